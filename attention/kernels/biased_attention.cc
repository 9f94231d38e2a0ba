// Biased attention and its convolution on any device.
#include "attention/kernels/biased_attention.h"

#include "attention/kernels/cpu_kernels.h"
#include "attention/kernels/heads_cuda.h"
#include "attention/kernels/no_kernel.h"

namespace fovea {

void BiasedAttention(Context& ctx, const Tensor& q, const Tensor& k, const Tensor& v, float scale,
                     const Tensor& bias, const Tensor& out) {
  ctx.backend.CountFlops(4.0 * static_cast<double>(q.NumElements()) *
                         static_cast<double>(k.shape[1]));
  if (ctx.backend.IsPlanning()) return;
  switch (ctx.backend.Kind()) {
    case DeviceKind::kCpu:
      return BiasedAttentionCpu(q, k, v, scale, bias, out);
    case DeviceKind::kCuda:
      return BiasedAttentionCuda(ctx, q, k, v, scale, bias, out);
  }
}

void AddDepthwise(Context& ctx, const Tensor& v, const Segment& grid, const Tensor& weight,
                  const Tensor& bias, const Tensor& out) {
  if (ctx.backend.IsPlanning() && ctx.backend.Kind() == DeviceKind::kCpu) return;
  switch (ctx.backend.Kind()) {
    case DeviceKind::kCpu:
      return AddDepthwiseCpu(v, grid, weight, bias, out);
    case DeviceKind::kCuda:
      break;
  }
  NoKernel(ctx, "the convolution of agent attention");
}

}  // namespace fovea
