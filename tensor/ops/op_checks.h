// What the checked operations have in common: conditions on tensors, and details for trace zones.
#pragma once

#include <string>

#include "tensor/context.h"
#include "tensor/cpu/rows.h"
#include "tensor/trace.h"

namespace fovea::ops {

inline std::string TraceDetail(const Tensor& a, const Tensor& b) {
  if (!trace::Enabled()) return {};
  return a.shape.ToString() + " -> " + b.shape.ToString() + " " + std::string(Name(a.dtype));
}

inline void EnsureActivation(const Tensor& t) {
  ENSURE(t.dtype == DType::kF32 || t.dtype == DType::kBF16,
         "activations of " + std::string(Name(t.dtype)));
}

inline void EnsureSameShape(const Tensor& a, const Tensor& b) {
  ENSURE(a.shape == b.shape, a.shape.ToString() + " and " + b.shape.ToString());
}

inline void EnsureSameType(const Tensor& a, const Tensor& b) {
  ENSURE(a.dtype == b.dtype,
         std::string(Name(a.dtype)) + " and " + std::string(Name(b.dtype)) + " in one operation");
}

// A vector of parameters: (c), f32, dense.
inline void EnsureParameter(const Tensor& t, int64_t c) {
  ENSURE(t.shape.rank == 1 && t.shape[0] == c && t.dtype == DType::kF32 && t.IsContiguous(),
         t.shape.ToString() + " " + std::string(Name(t.dtype)) + " for " + std::to_string(c) +
             " channels");
}

inline void EnsureEpilogue(const Epilogue& epilogue, const Tensor& out) {
  if (!epilogue.residual) return;
  EnsureSameShape(*epilogue.residual, out);
  EnsureSameType(*epilogue.residual, out);
  ENSURE(LastAxisDense(*epilogue.residual), "residual of shape " + out.shape.ToString());
}

}  // namespace fovea::ops
