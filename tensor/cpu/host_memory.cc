#include "tensor/cpu/host_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tensor/error.h"

namespace fovea {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kLine = 64;

[[noreturn]] void ThrowOutOfMemory(size_t bytes) {
  throw Error(ErrorCode::kOutOfMemory, "the system refused " + std::to_string(bytes >> 20) +
                                           " MB of memory; close other programs, or use a "
                                           "smaller size or batch");
}

}  // namespace

Buffer AllocateHost(size_t bytes, Pages pages) {
  if (bytes >= kHugePage) {
    // One huge page more than needed, so that the block can begin at a huge page; what is not
    // touched costs nothing.
    const size_t mapped = bytes + kHugePage;
    void* map = mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) ThrowOutOfMemory(bytes);
    const auto address = reinterpret_cast<uintptr_t>(map);
    auto* begin = reinterpret_cast<std::byte*>((address + kHugePage - 1) / kHugePage * kHugePage);
    // Whole huge pages only: the tail stays in small pages, so memory in use is what was asked for.
    if (pages == Pages::kHuge) madvise(begin, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
    Buffer buffer;
    buffer.size = bytes;
    buffer.bytes = {begin, [map, mapped](std::byte*) { munmap(map, mapped); }};
    return buffer;
  }
  const size_t rounded = (bytes + kLine - 1) / kLine * kLine + (bytes == 0 ? kLine : 0);
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(kLine, rounded));
  if (!memory) ThrowOutOfMemory(bytes);
  std::memset(memory, 0, rounded);
  Buffer buffer;
  buffer.size = bytes;
  buffer.bytes = {memory, [](std::byte* p) { std::free(p); }};
  return buffer;
}

Buffer ReserveAddresses(size_t bytes) {
  constexpr size_t kLeast = size_t{1} << 30;
  for (;; bytes = std::max(kLeast, bytes / 2)) {
    void* map = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED && bytes > kLeast) continue;
    if (map == MAP_FAILED) ThrowOutOfMemory(bytes);
    Buffer buffer;
    buffer.size = bytes;
    buffer.bytes = {static_cast<std::byte*>(map), [bytes](std::byte* p) { munmap(p, bytes); }};
    return buffer;
  }
}

void ReleaseMappedPages(const void* data, size_t bytes) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<uintptr_t>(data);
  const uintptr_t begin = (address + page - 1) / page * page;
  const uintptr_t end = (address + bytes) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace fovea
