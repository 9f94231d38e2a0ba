// What the checked operations have in common: conditions on tensors, and details for trace zones.
#pragma once

#include <initializer_list>
#include <string>

#include "tensor/context.h"
#include "tensor/cpu/rows.h"
#include "tensor/trace.h"

namespace fovea::ops {

inline std::string TraceDetail(const Tensor& a, const Tensor& b) {
  if (!trace::Enabled()) return {};
  return a.shape.ToString() + " -> " + b.shape.ToString() + " " + std::string(Name(a.dtype));
}

// Every element of a product is a sum over one row of the weight.
inline double ProductFlops(const Tensor& out, const Weight& weight) {
  if (weight.Out() == 0) return 0;
  return 2.0 * static_cast<double>(out.NumElements()) *
         static_cast<double>(weight.w.NumElements() / weight.Out());
}

// Counts an operation's work in its zone: what it reads and writes at the least.
inline void CountWork(double flops, std::initializer_list<const Tensor*> operands) {
  if (!trace::Enabled()) return;
  double bytes = 0;
  for (const Tensor* operand : operands) {
    if (!operand->Empty()) bytes += static_cast<double>(operand->Bytes());
  }
  trace::Count({flops, bytes});
}

inline void EnsureActivation(const Tensor& t) {
  ENSURE(t.dtype == DType::kF32 || t.dtype == DType::kBF16 ||
             (t.dtype == DType::kF16 && t.device == DeviceKind::kCuda),
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

// One row a sample of x (n, .., c): (n, c).
inline void EnsureSampleRows(const Tensor& rows, const Tensor& x) {
  EnsureSameType(rows, x);
  ENSURE(rows.shape == (Shape{x.shape[0], x.shape[-1]}) && LastAxisDense(rows),
         rows.shape.ToString() + " for samples of " + x.shape.ToString());
}

inline void EnsureEpilogue(const Epilogue& epilogue, const Tensor& out) {
  if (!epilogue.residual) return;
  EnsureSameShape(*epilogue.residual, out);
  EnsureSameType(*epilogue.residual, out);
  ENSURE(LastAxisDense(*epilogue.residual), "residual of shape " + out.shape.ToString());
}

}  // namespace fovea::ops
