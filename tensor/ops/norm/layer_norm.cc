#include "tensor/ops/norm/layer_norm.h"

#include "tensor/ops/op_checks.h"

namespace fovea::ops {

namespace {

void Normalize(Context& ctx, const Tensor& x, const LayerNormParams& params, const Tensor& out) {
  TRACE_ZONE("layer_norm", TraceDetail(x, out));
  EnsureActivation(x);
  EnsureSameType(x, out);
  EnsureSameShape(x, out);
  ENSURE(x.shape.rank >= 1 && x.shape[-1] > 0, x.shape.ToString());
  ENSURE(LastAxisDense(x) && LastAxisDense(out), x.shape.ToString());
  if (!params.gamma.Empty()) EnsureParameter(params.gamma, x.shape[-1]);
  if (!params.beta.Empty()) EnsureParameter(params.beta, x.shape[-1]);
  CountWork(0, {&x, &out});
  ctx.backend.LayerNorm(ctx, x, params, out);
}

}  // namespace

void LayerNorm(Context& ctx, const Tensor& x, const Tensor& gamma, const Tensor& beta, float eps,
               const Tensor& out) {
  Normalize(ctx, x, {gamma, beta, eps, {}, {}}, out);
}

void ModulatedLayerNorm(Context& ctx, const Tensor& x, const LayerNormParams& params,
                        const Tensor& out) {
  ENSURE(x.shape.rank == 3, x.shape.ToString());
  for (const Tensor* rows : {&params.scale, &params.shift}) {
    EnsureSampleRows(*rows, x);
  }
  Normalize(ctx, x, params, out);
}

}  // namespace fovea::ops
