#include "tensor/ops/rotate.h"

#include "tensor/ops/op_checks.h"

namespace fovea::ops {

void Rotate(Context& ctx, const Tensor& x, const Tensor& tables, const Tensor& out) {
  TRACE_ZONE("rotate", TraceDetail(x, out));
  EnsureActivation(x);
  EnsureSameType(x, out);
  EnsureSameShape(x, out);
  ENSURE(x.shape.rank == 4 && x.shape[3] % 2 == 0, x.shape.ToString());
  ENSURE(LastAxisDense(x) && LastAxisDense(out), x.shape.ToString());
  ENSURE(tables.dtype == DType::kF32 && tables.IsContiguous() &&
             tables.shape == (Shape{x.shape[1], 2, x.shape[3]}),
         tables.shape.ToString() + " for " + x.shape.ToString());
  CountWork(0, {&x, &tables, &out});
  ctx.backend.Rotate(ctx, x, tables, out);
}

}  // namespace fovea::ops
