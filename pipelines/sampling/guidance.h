// Guidance: which branches of the network a step asks, and how their answers become one.
//
// Rescale: Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed" (2023),
// section 3.4. Interval: Kynkäänniemi et al., "Applying Guidance in a Limited Interval" (2024).
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "attention/heads/branch_layout.h"
#include "attention/plans/plan.h"

namespace fovea {

// The loop knows this much of guidance and no more. One object serves one run: a method may
// remember earlier steps. Steps are the sampler's, 0-based; a sampler may call the network twice in
// one.
class Guidance {
 public:
  virtual ~Guidance() = default;
  // All that some step may ask, in the order of rows.
  virtual std::span<const BranchKind> Branches() const = 0;
  // What this step asks: neighbours in that order, the conditional branch among them.
  virtual std::span<const BranchKind> BranchesAt(int step, int steps) const = 0;
  // `outputs`: the answers of BranchesAt(step, steps), each of `pictures` pictures. Returns the
  // guided ones, which overwrite the first branch's.
  virtual std::span<float> Combine(int step, int steps, std::span<float> outputs,
                                   size_t pictures) = 0;
  // Whether the result depends on earlier steps, so that no step can be repeated alone.
  virtual bool KeepsState() const { return false; }
};

struct GuidanceSettings {
  OperatorSpec method{"cfg", {}};  // a name and arguments of GuidanceMethods()
  double scale = 1;
  double rescale = 0;
  bool model_is_guided = false;  // the model takes the scale as an input: no second branch
  bool flow = false;             // the model answers with a velocity
  StepRange interval = {};       // of steps that are guided at all
  // Guidance away from a perturbed network: adds perturb_scale * (conditional - perturbed).
  bool perturbs = false;
  double perturb_scale = 0;
  StepRange perturb_steps = {};

  // As diffusers: only above 1.
  bool HasUnconditional() const { return scale > 1 && !model_is_guided; }
  bool HasPerturbed() const { return perturbs && perturb_scale != 0; }
  std::vector<BranchKind> Branches() const;
};

// Throws kUsage for an unknown method or argument, kUnsupported for one that does not fit the
// model.
std::unique_ptr<Guidance> MakeGuidance(const GuidanceSettings& settings = {});

}  // namespace fovea
