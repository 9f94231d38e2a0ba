#include "tensor/planning_backend.h"

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cuda/cuda_backend.h"

namespace fovea {

std::unique_ptr<PlanningBackend> MakePlanningBackend(Backend& real) {
  ENSURE(!real.IsPlanning(), "a dry run of a dry run");
  if (real.Kind() == DeviceKind::kCuda) return MakeCudaPlanningBackend(real);
  return MakeCpuPlanningBackend(real);
}

}  // namespace fovea
