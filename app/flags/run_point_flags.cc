#include "app/flags/run_point_flags.h"

#include "app/built_in_models.h"
#include "pipelines/sampling/hires.h"
#include "pipelines/settings/plan_source.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr int64_t kMostSteps = 1000000;

}  // namespace

void RunPointFlags::Add(Flags& flags) {
  flags.Text("--attention", "PLAN", attention,
             "attention plan: [LAYERS:]OPERATOR;..., @FILE or preset:NAME", "dense");
  flags.Text("--hires", "off|auto|hidiffusion|raunet[=SCHEDULE]", hires,
             "HiDiffusion, at --step of --steps", "off");
  flags.Whole("--step", step, 0, kMostSteps, "0-based step, for what depends on it", "0");
  flags.Whole("--steps", steps, 1, kMostSteps, "steps of the whole run", "1");
  flags.Value(
      "-s,--seed", "N", [this](const std::string& text) { seed = ParseSeed("--seed", text); },
      "seed, for operators that draw", "0");
}

void RunPointFlags::Fill(ForwardOptions& options) const {
  options.attention = ReadPlan(attention.value_or(""), BuiltInPlansFolder());
  options.hires = hires.value_or("off");
  ParseHires(options.hires);
  options.seed = seed;
  options.step = static_cast<int>(step.value_or(0));
  options.steps = static_cast<int>(steps.value_or(options.step + 1));
  if (options.step >= options.steps) {
    throw Error(ErrorCode::kUsage, "--step " + std::to_string(options.step) +
                                       " is not below --steps " + std::to_string(options.steps) +
                                       "; steps count from 0");
  }
}

}  // namespace fovea
