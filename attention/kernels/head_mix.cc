// Mixed and blended heads on any device.
#include "attention/kernels/head_mix.h"

#include "attention/kernels/cpu_kernels.h"
#include "attention/kernels/heads_cuda.h"

namespace fovea {

void ApplyHeadMix(Context& ctx, std::span<const HeadMix> mix, const Tensor& v, const Tensor& out) {
  if (mix.empty()) return;
  ENSURE(v.shape == out.shape && static_cast<int64_t>(mix.size()) == out.shape[0] * out.shape[2]);
  if (ctx.backend.IsPlanning()) return;
  switch (ctx.backend.Kind()) {
    case DeviceKind::kCpu:
      return ApplyHeadMixCpu(mix, v, out);
    case DeviceKind::kCuda:
      return ApplyHeadMixCuda(ctx, mix, v, out);
  }
}

void BlendHeads(Context& ctx, const Tensor& x, float share, const RowRange& rows,
                const Tensor& out) {
  ENSURE(x.shape[0] == out.shape[0] && x.shape[2] == out.shape[2] && x.shape[3] == out.shape[3] &&
         (x.shape[1] == out.shape[1] || x.shape[1] == 1) && x.dtype == out.dtype);
  if (ctx.backend.IsPlanning()) return;
  switch (ctx.backend.Kind()) {
    case DeviceKind::kCpu:
      return BlendHeadsCpu(x, share, rows, out);
    case DeviceKind::kCuda:
      return BlendHeadsCuda(ctx, x, share, rows, out);
  }
}

}  // namespace fovea
