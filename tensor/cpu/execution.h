// The operations that need oneDNN, scratch memory or packed weights, once for both backends: the
// real one computes, the planning one takes the same decisions and stops before the arithmetic.
#pragma once

#include "tensor/context.h"
#include "tensor/cpu/onednn.h"
#include "tensor/cpu/weight_packs.h"

namespace fovea {

struct CpuExecution {
  onednn::Library& library;
  WeightPacks& packs;
  bool planning;
};

// What the backend's copy of a matrix or filter bank holds, where it makes one for activations x.
inline DType CopyType(const Context& ctx, const Tensor& x) {
  return ctx.narrow_weights ? DType::kBF16 : x.dtype;
}

void LinearCpu(const CpuExecution& execution, Context& ctx, const Tensor& x, const Weight& weight,
               const Epilogue& epilogue, const Tensor& out);
void Conv2dCpu(const CpuExecution& execution, Context& ctx, const Tensor& x, const Weight& weight,
               const Conv2dParams& params, const Epilogue& epilogue, const Tensor& out);
void GroupNormCpu(const CpuExecution& execution, Context& ctx, const Tensor& x,
                  const GroupNormParams& params, const Tensor& out);

}  // namespace fovea
