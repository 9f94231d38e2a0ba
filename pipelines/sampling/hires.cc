#include "pipelines/sampling/hires.h"

#include <algorithm>

#include "tensor/error.h"

namespace fovea {
namespace {

// How much larger than trained the longer side must be for "auto" to act.
constexpr double kAutoFrom = 1.25;

bool LargerThanTrained(const DenoiserTraits& traits, int64_t height, int64_t width) {
  const int trained = std::max(traits.sample_height, traits.sample_width);
  return static_cast<double>(std::max(height, width)) > kAutoFrom * trained;
}

RaunetSchedule ScheduleOf(const HiresRequest& request, std::string_view text,
                          const DenoiserTraits& traits) {
  const std::string about = "hires: \"" + std::string(text) + "\" ";
  if (!traits.raunet.schedule) {
    const std::string reason = traits.raunet.reason.empty() ? "it is none" : traits.raunet.reason;
    throw Error(ErrorCode::kUnsupported, about + "needs a U-Net that RAU-Net knows, and this " +
                                             traits.class_name + " is not one: " + reason +
                                             "; take --hires off");
  }
  if (!request.schedule) return *traits.raunet.schedule;
  if (!traits.raunet.Allows(*request.schedule)) {
    throw Error(ErrorCode::kUnsupported, about + "does not fit this U-Net, whose own schedule is " +
                                             std::string(Name(*traits.raunet.schedule)));
  }
  return *request.schedule;
}

}  // namespace

Hires::Hires(std::string_view text, const DenoiserTraits& traits, int64_t height, int64_t width,
             int steps) {
  const HiresRequest request = ParseHires(text);
  if (request.mode == HiresMode::kOff || request.mode == HiresMode::kTwoPass) return;
  if (request.mode == HiresMode::kAuto && !LargerThanTrained(traits, height, width)) return;
  RaunetRun run;
  run.schedule = ScheduleOf(request, text, traits);
  run.steps = steps;
  run.height = height;
  run.width = width;
  run.trained_height = traits.sample_height;
  run.trained_width = traits.sample_width;
  run_ = run;
  windows_ = request.mode != HiresMode::kRaunet;
}

const RaunetRun& Hires::Run() const {
  ENSURE(run_.has_value());
  return *run_;
}

RaunetStage Hires::StageAt(int step) const {
  return run_ ? fovea::StageAt(*run_, step) : RaunetStage{};
}

std::vector<HiresSpan> Hires::Spans() const {
  std::vector<HiresSpan> spans;
  for (int step = 0; run_ && step < run_->steps; ++step) {
    const RaunetStage stage = StageAt(step);
    if (spans.empty() || !(spans.back().stage == stage)) spans.push_back({step, step, stage});
    spans.back().last = step;
  }
  return spans;
}

std::vector<int> Hires::StepsOfChange() const {
  std::vector<int> steps{0};
  for (const HiresSpan& span : Spans()) {
    if (span.first > 0) steps.push_back(span.first);
  }
  return steps;
}

AttentionPlan Hires::With(const AttentionPlan& plan) const {
  if (!windows_) return plan;
  const std::string windows = WindowRule(run_->schedule);
  return AttentionPlan::Parse(plan.Empty() ? windows : plan.Text() + "; " + windows);
}

std::string WindowRule(RaunetSchedule schedule, std::string_view arguments) {
  const std::string op = arguments.empty() ? "window" : "window(" + std::string(arguments) + ")";
  // The highest levels that have attention; the official list names these blocks one by one.
  if (schedule == RaunetSchedule::kSd) {
    return "{down_blocks.0,up_blocks.3}.attentions.*.transformer_blocks.0.attn1: " + op;
  }
  return "{down_blocks.1,up_blocks.1}.attentions.*.transformer_blocks.{0,1}.attn1: " + op;
}

std::vector<int> Merged(std::vector<int> a, const std::vector<int>& b) {
  a.insert(a.end(), b.begin(), b.end());
  std::sort(a.begin(), a.end());
  a.erase(std::unique(a.begin(), a.end()), a.end());
  return a;
}

}  // namespace fovea
