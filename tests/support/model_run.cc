#include "tests/support/model_run.h"

#include <algorithm>

#include "tensor/ops/elementwise.h"

namespace fovea {

ModelRun RunModel(Backend& backend, DType dtype,
                  const std::function<Tensor(Context&, AttentionRuntime&)>& forward) {
  ModelRun run;
  AttentionRuntime attention;
  {
    const auto planner = MakePlanningBackend(backend);
    Arena arena(*planner, kPlanningArenaBytes);
    Context ctx{*planner, arena, {}, dtype};
    forward(ctx, attention);
    run.cost = planner->TotalCost();
    run.planned_bytes = arena.PeakBytes();
  }
  Arena arena(backend, run.planned_bytes);
  Context ctx{backend, arena, {}, dtype};
  const size_t packed = backend.PackedBytes();
  const int64_t allocations = backend.Allocations();
  const Tensor out = forward(ctx, attention);
  run.allocations = backend.Allocations() - allocations;
  run.packed_bytes = backend.PackedBytes() - packed;
  run.peak_bytes = arena.PeakBytes();
  run.output = HostTensor(out.shape, DType::kF32);
  ops::Copy(ctx, out, run.output.View());
  return run;
}

Tensor Upload(Context& ctx, const HostTensor& tensor) {
  const Tensor view =
      tensor.shape().rank == 4 ? tensor.View().Permute({0, 2, 3, 1}) : tensor.View();
  const Tensor out = ctx.New(view.shape);
  ops::Copy(ctx, view, out);
  return out;
}

int64_t MostOperationsAfterStop(Backend& backend,
                                const std::function<Tensor(Context&, AttentionRuntime&)>& forward) {
  const auto planner = MakePlanningBackend(backend);
  AttentionRuntime attention;
  const auto run = [&](int64_t stop_at) {
    StoppingBackend stopping(*planner, stop_at);
    Arena arena(stopping, kPlanningArenaBytes);
    Context ctx{stopping, arena, stopping.Token(), DType::kF32};
    forward(ctx, attention);
    return stopping.Operations();
  };
  const int64_t all = run(-1);
  int64_t most = 0;
  for (int64_t at = 0; at < all; ++at) most = std::max(most, run(at) - at);
  return most;
}

}  // namespace fovea
