// The sampling loop around models that are not networks.
#include "pipelines/sampling/denoise_loop.h"

#include <array>
#include <cmath>

#include <catch2/catch.hpp>

#include "tensor/planning_backend.h"

namespace fovea {
namespace {

// Writes a function of latent and timestep; may stop the run.
class FakeDenoiser final : public Denoiser {
 public:
  const DenoiserTraits& Traits() const override { return traits_; }
  std::span<const AttentionSite> AttentionSites() const override { return {}; }
  void Forward(Context& ctx, AttentionRuntime& /*attention*/, const DenoiserInput& input,
               const Tensor& out) const override {
    ++calls;
    batch = input.latent.shape[0];
    timesteps.push_back(input.timestep[0]);
    if (calls == stop_at) stop.request_stop();
    batches.push_back(batch);
    if (ctx.Cancelled()) return;
    for (int64_t k = 0; k < out.NumElements(); ++k) {
      // The negative half, which stands first, answers nothing.
      const bool negative = guided && batch == 4 && k < out.NumElements() / 2;
      out.Data<float>()[k] = negative ? 0 : 0.5f * input.latent.Data<float>()[k];
    }
  }

  bool guided = false;
  int stop_at = -1;
  mutable std::stop_source stop;
  mutable int calls = 0;
  mutable int64_t batch = 0;
  mutable std::vector<float> timesteps;
  mutable std::vector<int64_t> batches;

 private:
  DenoiserTraits traits_{.class_name = "Fake", .in_channels = 3, .out_channels = 3};
};

std::unique_ptr<Scheduler> MakeDdim(int steps) {
  return MakeScheduler(Config::Parse(R"({"_class_name":"DDIMScheduler","clip_sample":false})", "x"),
                       {.sampler = {}, .steps = steps});
}

struct LoopRun {
  bool finished = false;
  std::vector<float> latents;
  std::vector<int> steps_seen;
};

LoopRun RunLoop(const FakeDenoiser& denoiser, const GuidanceSettings& guidance, int steps) {
  const auto backend = MakeCpuBackend();
  Arena arena(*backend, 1 << 16);
  Context ctx{*backend, arena, denoiser.stop.get_token()};
  AttentionRuntime attention;
  const auto scheduler = MakeDdim(steps);
  LoopRun run;
  run.latents.resize(2 * 3 * 4 * 5);
  for (size_t k = 0; k < run.latents.size(); ++k) {
    run.latents[k] = std::cos(static_cast<float>(k));
  }
  const std::vector<float> first = run.latents;
  DenoiseLoop loop{denoiser, *scheduler, MakeGuidance(guidance), {2, 3, 4, 5}, {}, {}};
  loop.on_step = [&](const StepView& view) {
    if (view.step == 0) {
      CHECK(std::equal(first.begin(), first.end(), view.latents_in.begin()));
      // NCHW to channels-last and back: element by element the same function.
      for (size_t k = 0; k < first.size(); ++k) {
        CHECK(view.model_output[k] == static_cast<float>(guidance.scale * (0.5 * first[k])));
      }
    }
    CHECK(view.steps == steps);
    CHECK(view.shape == Shape{2, 3, 4, 5});
    CHECK(view.predicted_clean.size() == first.size());
    run.steps_seen.push_back(view.step);
  };
  run.finished = loop.Run(ctx, attention, {}, run.latents);
  CHECK(arena.Mark() == 0);
  return run;
}

}  // namespace

TEST_CASE("each timestep is one call of the model") {
  const FakeDenoiser denoiser;
  const LoopRun run = RunLoop(denoiser, {}, 4);
  CHECK(run.finished);
  CHECK(run.steps_seen == std::vector<int>{0, 1, 2, 3});
  CHECK(denoiser.batch == 2);
  CHECK(denoiser.timesteps == std::vector<float>{750, 500, 250, 0});
}

TEST_CASE("a guided call has the negative half first") {
  FakeDenoiser denoiser;
  denoiser.guided = true;
  const LoopRun run = RunLoop(denoiser, {.scale = 3}, 2);
  CHECK(run.finished);
  CHECK(denoiser.batch == 4);
}

TEST_CASE("steps outside the interval of guidance run the prompt's half alone") {
  FakeDenoiser denoiser;
  denoiser.guided = true;
  GuidanceSettings guidance{.scale = 3};
  guidance.interval = ParseStepRange("0-1");
  CHECK(RunLoop(denoiser, guidance, 4).finished);
  CHECK(denoiser.batches == std::vector<int64_t>{4, 4, 2, 2});
  denoiser.batches.clear();
  guidance.interval = ParseStepRange("0%-50%");
  CHECK(RunLoop(denoiser, guidance, 4).finished);
  CHECK(denoiser.batches == std::vector<int64_t>{4, 4, 2, 2});
  guidance.interval = ParseStepRange("2-3");
  const auto scheduler = MakeDdim(5);
  const DenoiseLoop loop{denoiser, *scheduler, MakeGuidance(guidance), {2, 3, 4, 5}, {}, {}};
  CHECK(loop.StepsOfChange() == std::vector<int>{0, 2, 4});
}

// What no method of ours does: asks twice for a perturbed answer, the second time at some steps
// only.
class TwoPerturbed final : public Guidance {
 public:
  std::span<const BranchKind> Branches() const override { return kBranches; }
  std::span<const BranchKind> BranchesAt(int step, int) const override {
    return std::span(kBranches).first(step == 1 ? 2 : 3);
  }
  std::span<float> Combine(int, int, std::span<float> outputs, size_t pictures) override {
    const size_t size = 3 * 4 * 5 * pictures;
    answers.push_back(static_cast<int>(outputs.size() / size));
    for (size_t k = 0; k < size; ++k) outputs[k] = outputs[k] + outputs[outputs.size() - size + k];
    return outputs.first(size);
  }
  std::vector<int> answers;

 private:
  static constexpr std::array kBranches = {BranchKind::kConditional, BranchKind::kPerturbed,
                                           BranchKind::kPerturbed};
};

TEST_CASE("branches that the loop has never heard of are asked and combined") {
  const FakeDenoiser denoiser;
  const auto backend = MakeCpuBackend();
  Arena arena(*backend, 1 << 16);
  Context ctx{*backend, arena};
  AttentionRuntime attention;
  const auto scheduler = MakeDdim(3);
  std::vector<float> latents(2 * 3 * 4 * 5, 1.0F);
  auto guidance = std::make_unique<TwoPerturbed>();
  const TwoPerturbed& seen = *guidance;
  DenoiseLoop loop{denoiser, *scheduler, std::move(guidance), {2, 3, 4, 5}, {}, {}};
  loop.on_step = [&](const StepView& view) {
    CHECK(view.model_output[0] == view.latents_in[0]);  // twice half of it
    CHECK(view.model_output.size() == latents.size());
  };
  CHECK(loop.StepsOfChange() == std::vector<int>{0, 1, 2});
  CHECK(loop.Run(ctx, attention, {}, latents));
  CHECK(denoiser.batches == std::vector<int64_t>{6, 4, 6});
  CHECK(seen.answers == std::vector<int>{3, 2, 3});
}

TEST_CASE("guidance counts the sampler's steps, not the calls of the model") {
  FakeDenoiser denoiser;
  const auto scheduler =
      MakeScheduler(Config::Parse(R"({"_class_name":"HeunDiscreteScheduler"})", "x"),
                    {.sampler = {}, .steps = 3});
  REQUIRE(scheduler->Timesteps().size() == 5);
  GuidanceSettings guidance{.scale = 3};
  guidance.interval = ParseStepRange("1-1");
  const DenoiseLoop loop{denoiser, *scheduler, MakeGuidance(guidance), {2, 3, 4, 5}, {}, {}};
  CHECK(loop.StepsOfChange() == std::vector<int>{0, 2, 4});
}

TEST_CASE("a run that begins later makes the later calls, and keeps what it is told to") {
  FakeDenoiser denoiser;
  const auto backend = MakeCpuBackend();
  Arena arena(*backend, 1 << 16);
  Context ctx{*backend, arena};
  AttentionRuntime attention;
  const auto scheduler = MakeDdim(4);
  std::vector<float> latents(2 * 3 * 4 * 5, 1.0F);
  DenoiseLoop loop{denoiser, *scheduler, MakeGuidance(), {2, 3, 4, 5}, {}, {}};
  loop.first_call = 2;
  std::vector<int> seen, kept;
  loop.on_step = [&](const StepView& view) {
    seen.push_back(view.step);
    CHECK(view.steps == 2);
    CHECK(view.latents_out[0] == 7);
  };
  loop.keep = [&](int next, std::span<float> values) {
    kept.push_back(next);
    std::fill(values.begin(), values.end(), 7.0F);
  };
  CHECK(loop.Run(ctx, attention, {}, latents));
  CHECK(denoiser.timesteps == std::vector<float>{250, 0});
  CHECK(seen == std::vector<int>{0, 1});
  CHECK(kept == std::vector<int>{3, 4});
}

TEST_CASE("a stop inside a call ends the loop at once") {
  FakeDenoiser denoiser;
  denoiser.stop_at = 3;
  const LoopRun run = RunLoop(denoiser, {}, 10);
  CHECK_FALSE(run.finished);
  CHECK(denoiser.calls == 3);
  CHECK(run.steps_seen == std::vector<int>{0, 1});
}

}  // namespace fovea
