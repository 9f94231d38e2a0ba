#include "tensor/cpu/host_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <vector>

#include "tensor/memory/host_tensor.h"
#include "tensor/ops/product/linear.h"
#include "tests/tensor/op_test.h"

namespace fovea {
namespace {

// Pages of file mappings that this process has in memory.
int64_t ResidentFilePages() {
  std::ifstream file("/proc/self/statm");
  int64_t total = 0, resident = 0, shared = 0;
  file >> total >> resident >> shared;
  return shared;
}

TEST_CASE("host memory is aligned and zero, small and large") {
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{100}, size_t{2} << 20, size_t{5000001}}) {
    const Buffer buffer = AllocateHost(bytes, bytes % 3 == 0 ? Pages::kSmall : Pages::kHuge);
    CHECK(buffer.size == bytes);
    REQUIRE(buffer.bytes != nullptr);
    CHECK(reinterpret_cast<uintptr_t>(buffer.bytes.get()) % 64 == 0);
    bool zero = true;
    for (size_t i = 0; i < bytes; ++i) zero = zero && buffer.bytes.get()[i] == std::byte{0};
    CHECK(zero);
    if (bytes > 0) std::memset(buffer.bytes.get(), 1, bytes);
  }
}

TEST_CASE("memory that nobody has is refused with a message") {
  try {
    AllocateHost(size_t{1} << 60, Pages::kHuge);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code == ErrorCode::kOutOfMemory);
  }
}

TEST_CASE("dry runs get fewer addresses where the system has not so many") {
  const Buffer buffer = ReserveAddresses(size_t{1} << 60);
  CHECK(buffer.size >= size_t{1} << 30);
  CHECK(buffer.size < size_t{1} << 60);
}

TEST_CASE("pages of a mapped weight are given up once it is packed, and can be read again") {
  OpTest test;
  const int64_t out = 1024, in = 2048;
  // f32 weights for bf16 activations are held in bf16.
  const HostTensor w = Random({out, in}, DType::kF32, 1, 0.02f);
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  REQUIRE(std::fwrite(w.data(), 1, w.Bytes(), file) == w.Bytes());
  std::fflush(file);
  void* map = mmap(nullptr, w.Bytes(), PROT_READ, MAP_PRIVATE, fileno(file), 0);
  REQUIRE(map != MAP_FAILED);
  {
    Weight weight{Tensor::Contiguous(map, {out, in}, DType::kF32), {}};
    weight.mapped = true;
    REQUIRE(std::memcmp(map, w.data(), w.Bytes()) == 0);
    const HostTensor x = Random({3, in}, DType::kBF16, 2);
    HostTensor y = Poisoned({3, out}, DType::kBF16);
    ops::Linear(test.ctx, x.View(), {w.View(), {}}, y.View());  // brings in the library's own pages
    const int64_t before = ResidentFilePages();
    ops::Linear(test.ctx, x.View(), weight, y.View());
    const auto pages = static_cast<int64_t>(w.Bytes()) / sysconf(_SC_PAGESIZE);
    CHECK(ResidentFilePages() <= before - pages * 3 / 4);
    REQUIRE_CLOSE(y.View(), ReferenceLinear(x.View(), weight, {}));
    CHECK(std::memcmp(map, w.data(), w.Bytes()) == 0);
  }
  munmap(map, w.Bytes());
  std::fclose(file);
}

}  // namespace
}  // namespace fovea
