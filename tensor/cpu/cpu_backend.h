// The CPU backend and the planning backend that stands in for it.
#pragma once

#include <memory>

#include "tensor/backend.h"
#include "tensor/planning_backend.h"

namespace fovea {

// `real` was made by MakeCpuBackend and outlives the result; they share oneDNN's primitives.
std::unique_ptr<PlanningBackend> MakeCpuPlanningBackend(Backend& real);

}  // namespace fovea
