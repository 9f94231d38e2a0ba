// Blurred and mean queries on any device.
#include "attention/kernels/query_blur.h"

#include "attention/kernels/cpu_kernels.h"
#include "attention/kernels/no_kernel.h"

namespace fovea {

void BlurQueries(Context& ctx, const Tensor& q, const Segment& grid, double sigma,
                 const Tensor& out) {
  ENSURE(q.shape == out.shape && q.dtype == out.dtype && sigma > 0);
  if (ctx.backend.IsPlanning() && ctx.backend.Kind() == DeviceKind::kCpu) return;
  switch (ctx.backend.Kind()) {
    case DeviceKind::kCpu:
      return BlurQueriesCpu(q, grid, sigma, out);
    case DeviceKind::kCuda:
      break;
  }
  NoKernel(ctx, "blurring queries");
}

void MeanQuery(Context& ctx, const Tensor& q, const Tensor& out) {
  ENSURE(q.shape[0] == out.shape[0] && q.shape[2] == out.shape[2] && q.dtype == out.dtype);
  if (ctx.backend.IsPlanning() && ctx.backend.Kind() == DeviceKind::kCpu) return;
  switch (ctx.backend.Kind()) {
    case DeviceKind::kCpu:
      return MeanQueryCpu(q, out);
    case DeviceKind::kCuda:
      break;
  }
  NoKernel(ctx, "the mean query");
}

}  // namespace fovea
