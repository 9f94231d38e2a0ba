#include "tensor/ops/embed.h"

#include "tensor/ops/op_checks.h"

namespace fovea::ops {

void Embed(Context& ctx, const Tensor& ids, const Tensor& table, const Tensor& out) {
  TRACE_ZONE("embed", TraceDetail(table, out));
  EnsureActivation(out);
  ENSURE(ids.shape.rank == 2 && table.shape.rank == 2 && out.shape.rank == 3 &&
             out.shape == Shape({ids.shape[0], ids.shape[1], table.shape[1]}),
         ids.shape.ToString() + " in " + table.shape.ToString() + " to " + out.shape.ToString());
  ENSURE(ids.dtype == DType::kI32 && ids.device == DeviceKind::kCpu, "ids");
  ENSURE(LastAxisDense(table) && LastAxisDense(out), table.shape.ToString());
  // In a dry run the ids may be addresses without memory.
  if (!ctx.backend.IsPlanning()) {
    for (int64_t i = 0; i < ids.shape[0]; ++i) {
      for (int64_t j = 0; j < ids.shape[1]; ++j) {
        const int32_t id = ids.Data<int32_t>()[i * ids.stride[0] + j * ids.stride[1]];
        if (id >= 0 && id < table.shape[0]) continue;
        throw Error(ErrorCode::kUsage, "token " + std::to_string(id) + " at position " +
                                           std::to_string(j) + " is outside the vocabulary of " +
                                           std::to_string(table.shape[0]) +
                                           "; use the tokenizer that belongs to the model");
      }
    }
  }
  ctx.backend.Embed(ctx, ids, table, out);
}

}  // namespace fovea::ops
