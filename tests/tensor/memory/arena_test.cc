#include "tensor/memory/arena.h"

#include <catch2/catch.hpp>

#include "tensor/backend.h"

namespace fovea {
namespace {

TEST_CASE("arena hands out aligned blocks and takes them back by scope") {
  const auto backend = MakeCpuBackend();
  Arena arena(*backend, 4096);
  const Tensor a = arena.New({3, 5}, DType::kF32);
  CHECK(reinterpret_cast<uintptr_t>(a.data) % 64 == 0);
  CHECK(a.IsContiguous());
  void* next = nullptr;
  {
    const ArenaScope scope(arena);
    next = arena.New({100}, DType::kF32).data;
    CHECK(next != a.data);
    CHECK(arena.PeakBytes() == 64 + 448);
  }
  CHECK(arena.Mark() == 64);
  CHECK(arena.New({1}, DType::kBF16).data == next);
  CHECK(arena.PeakBytes() == 64 + 448);
  CHECK_FALSE(arena.New({0}, DType::kF32).Empty());
}

TEST_CASE("a full arena says what was asked for") {
  const auto backend = MakeCpuBackend();
  Arena arena(*backend, 4096);
  CHECK_NOTHROW(arena.New({1024}, DType::kF32));
  try {
    arena.New({17}, DType::kF32);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code == ErrorCode::kOutOfMemory);
    CHECK(std::string(error.what()).find("[17]") != std::string::npos);
  }
}

TEST_CASE("arenas are the only allocations that are counted") {
  const auto backend = MakeCpuBackend();
  CHECK(backend->Allocations() == 0);
  Arena arena(*backend, 1 << 20);
  for (int i = 0; i < 10; ++i) {
    const ArenaScope scope(arena);
    arena.New({100000}, DType::kF32);
  }
  CHECK(backend->Allocations() == 1);
}

}  // namespace
}  // namespace fovea
