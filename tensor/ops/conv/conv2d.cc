#include "tensor/ops/conv/conv2d.h"

#include "tensor/ops/op_checks.h"

namespace fovea::ops {
namespace {

std::string ConvDetail(const Tensor& x, const Weight& weight, const Conv2dParams& params,
                       const Tensor& out) {
  if (!trace::Enabled()) return {};
  const Shape& w = weight.w.shape;
  std::string filter = std::to_string(w[2]) + "x" + std::to_string(w[3]);
  if (params.stride != 1) filter += "/" + std::to_string(params.stride);
  return filter + " " + TraceDetail(x, out);
}

}  // namespace

void Conv2d(Context& ctx, const Tensor& x, const Weight& weight, const Conv2dParams& params,
            const Tensor& out, const Epilogue& epilogue) {
  TRACE_ZONE("conv2d", ConvDetail(x, weight, params, out));
  EnsureActivation(x);
  EnsureSameType(x, out);
  const Shape& w = weight.w.shape;
  ENSURE(x.shape.rank == 4 && out.shape.rank == 4 && w.rank == 4 && weight.w.IsContiguous(),
         x.shape.ToString() + " by " + w.ToString());
  const int64_t d = params.dilation;
  const int64_t height = x.shape[1] + params.pad_top + params.pad_bottom - d * (w[2] - 1) - 1;
  const int64_t width = x.shape[2] + params.pad_left + params.pad_right - d * (w[3] - 1) - 1;
  ENSURE(params.stride > 0 && d > 0 && height >= 0 && width >= 0 && x.shape[3] == w[1] &&
             out.shape ==
                 Shape({x.shape[0], height / params.stride + 1, width / params.stride + 1, w[0]}),
         x.shape.ToString() + " by " + w.ToString() + " to " + out.shape.ToString());
  ENSURE(LastAxisDense(x) && LastAxisDense(out), x.shape.ToString());
  if (!weight.bias.Empty()) EnsureParameter(weight.bias, weight.Out());
  EnsureEpilogue(epilogue, out);
  CountWork(ProductFlops(out, weight), {&x, &weight.w, &out});
  ctx.backend.Conv2d(ctx, x, weight, params, epilogue, out);
}

}  // namespace fovea::ops
