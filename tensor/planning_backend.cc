#include "tensor/planning_backend.h"

#include "tensor/cpu/cpu_backend.h"

namespace fovea {

std::unique_ptr<PlanningBackend> MakePlanningBackend(Backend& real) {
  ENSURE(!real.IsPlanning() && real.Kind() == DeviceKind::kCpu, "no dry run for this device");
  return MakeCpuPlanningBackend(real);
}

}  // namespace fovea
