// A stack allocator for activations: one block of device memory, claimed before the run.
//
// The size comes from a dry run on the PlanningBackend, which uses the same Arena over addresses
// that are never touched; so no tensor memory is allocated inside a denoising step, and a run that
// does not fit is refused before it starts. One thread at a time.
#pragma once

#include <cstddef>

#include "tensor/memory/buffer.h"
#include "tensor/tensor.h"

namespace fovea {

class Backend;

class Arena {
 public:
  Arena(Backend& backend, size_t bytes);
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Uninitialised, contiguous, 64-byte aligned. Throws kOutOfMemory when the block is exhausted.
  Tensor New(const Shape& shape, DType dtype);
  size_t Mark() const { return used_; }
  void Release(size_t mark) { used_ = mark; }
  size_t PeakBytes() const { return peak_; }
  size_t Capacity() const { return buffer_.size; }

 private:
  Buffer buffer_;
  DeviceKind device_;
  size_t used_ = 0, peak_ = 0;
};

// Gives back at the end of a block what was taken inside it.
class ArenaScope {
 public:
  explicit ArenaScope(Arena& arena) : arena_(arena), mark_(arena.Mark()) {}
  ~ArenaScope() { arena_.Release(mark_); }
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;

 private:
  Arena& arena_;
  size_t mark_;
};

}  // namespace fovea
