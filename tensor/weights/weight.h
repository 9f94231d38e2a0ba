// A weight matrix or filter bank as the checkpoint has it, and the backend's own copy of it.
#pragma once

#include <memory>

#include "tensor/tensor.h"

namespace fovea {

struct WeightDelta;

// What a backend keeps for a weight: made at its first use, freed with the last copy of the Weight.
struct PackedWeight {
  virtual ~PackedWeight() = default;
};

struct Weight {
  Tensor w;     // (out, in) or (out, in, kh, kw): a view of the mapped file, in the file's dtype
  Tensor bias;  // (out), f32; empty: none
  // Shared by copies of this Weight, so that packing happens once. Filled by the backend's thread.
  std::shared_ptr<std::unique_ptr<PackedWeight>> packed =
      std::make_shared<std::unique_ptr<PackedWeight>>();
  // `w` lies in a read-only file mapping: once a backend has its own copy, the pages may be given
  // up.
  bool mapped = false;
  // Added to `w` in the backend's copy, which it then must make; row 0 of w is its row `delta_row`.
  std::shared_ptr<const WeightDelta> delta = nullptr;
  int64_t delta_row = 0;

  int64_t Out() const { return w.shape[0]; }
  int64_t In() const { return w.shape[1]; }
};

}  // namespace fovea
