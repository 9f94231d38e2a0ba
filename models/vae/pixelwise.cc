#include "models/vae/pixelwise.h"

#include <algorithm>

#include "tensor/machine/threads.h"
#include "tensor/memory/host_tensor.h"
#include "tensor/ops/elementwise.h"

namespace fovea {

void ClampInPlace(Context& ctx, const Tensor& x, float low, float high) {
  if (ctx.backend.IsPlanning()) return;
  ENSURE(x.IsContiguous());
  if (x.device != DeviceKind::kCpu) {  // a few values, once a picture
    const HostTensor host(x.shape, x.dtype);
    ops::Copy(ctx, x, host.View());
    ClampInPlace(ctx, host.View(), low, high);
    ops::Copy(ctx, host.View(), x);
    return;
  }
  float* values = x.Data<float>();
  std::transform(values, values + x.NumElements(), values,
                 [=](float v) { return std::clamp(v, low, high); });
}

void BlendInto(Context& ctx, const Tensor& before, int axis, const Tensor& x) {
  if (before.shape[axis] == 0) return;
  if (ctx.backend.Kind() != DeviceKind::kCpu) {  // in a dry run, too
    throw Error(ErrorCode::kUnsupported,
                "--vae-tiling: tiles are blended on the CPU alone; use --vae-tiling off");
  }
  if (ctx.backend.IsPlanning()) return;
  ENSURE(x.shape.rank == 4 && before.shape.rank == 4);
  const int64_t extent = before.shape[axis];
  const Tensor head = x.Slice(axis, 0, extent);
  ENSURE(head.shape == before.shape);
  const Shape& s = head.shape;
  const float* from = before.Data<float>();
  float* to = head.Data<float>();
  ParallelFor(s[0] * s[1], 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t i = row / s[1], j = row % s[1];
      for (int64_t k = 0; k < s[2]; ++k) {
        const int64_t y = axis == 1 ? j : k;
        const double share = static_cast<double>(y) / static_cast<double>(extent);
        const float old_weight = static_cast<float>(1 - share);
        const float new_weight = static_cast<float>(share);
        for (int64_t c = 0; c < s[3]; ++c) {
          const float old_value = from[i * before.stride[0] + j * before.stride[1] +
                                       k * before.stride[2] + c * before.stride[3]];
          float& value =
              to[i * head.stride[0] + j * head.stride[1] + k * head.stride[2] + c * head.stride[3]];
          value = old_value * old_weight + value * new_weight;
        }
      }
    }
  });
}

}  // namespace fovea
