// Blocks of host memory for tensors.
#pragma once

#include "tensor/buffer.h"

namespace fovea {

// Zero-filled, 64-byte aligned; in huge pages where it is large. Throws kOutOfMemory.
Buffer AllocateHost(size_t bytes);
// Addresses without memory, for dry runs: touching them is a crash.
Buffer ReserveAddresses(size_t bytes);
// Tells the system that whole pages inside the range of a read-only file mapping need not stay in
// memory; a later read brings them back from the file.
void ReleaseMappedPages(const void* data, size_t bytes);

}  // namespace fovea
