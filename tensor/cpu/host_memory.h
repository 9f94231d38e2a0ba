// Blocks of host memory for tensors.
#pragma once

#include "tensor/memory/buffer.h"

namespace fovea {

// kHuge asks for huge pages where the block is large: 1 to 3 % faster to compute in, but on a busy
// virtual machine three times as long to touch for the first time (3 ms a page, measured on the
// weights of a U-Net: 2.6 s against 1.0 s). Right for memory that is used over and over.
enum class Pages { kSmall, kHuge };

// Zero-filled, 64-byte aligned. Throws kOutOfMemory.
Buffer AllocateHost(size_t bytes, Pages pages);
// Addresses without memory, for dry runs: touching them is a crash. Fewer, down to 1 GiB, where the
// system gives no more (ulimit -v, tools that watch memory). Throws kOutOfMemory.
Buffer ReserveAddresses(size_t bytes);
// Tells the system that whole pages inside the range of a read-only file mapping need not stay in
// memory; a later read brings them back from the file.
void ReleaseMappedPages(const void* data, size_t bytes);

}  // namespace fovea
