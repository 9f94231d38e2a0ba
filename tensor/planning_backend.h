// A backend that computes nothing and counts everything: the dry run.
//
// Models run on it unchanged, with an Arena over a reserved, unmapped address range; the arena's
// peak, the packed bytes and the FLOPs then equal those of the real run. Prices scratch memory and
// packing through the real CPU backend's own planning functions, which also warms its caches.
#pragma once

#include <memory>

#include "tensor/backend.h"

namespace fovea {

// `real` must outlive the result. Threads: as the real backend.
class PlanningBackend : public Backend {
 public:
  bool IsPlanning() const final { return true; }
  virtual const Cost& TotalCost() const = 0;
};

std::unique_ptr<PlanningBackend> MakePlanningBackend(Backend& real);

// Large enough for any run; reserves addresses, not memory. The thread sanitizer leaves few of them.
#ifdef __SANITIZE_THREAD__
inline constexpr size_t kPlanningArenaBytes = size_t{1} << 37;
#else
inline constexpr size_t kPlanningArenaBytes = size_t{1} << 42;
#endif

}  // namespace fovea
