// The sampling loop around models that are not networks.
#include "pipelines/sampling/denoise_loop.h"

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

LoopRun RunLoop(const FakeDenoiser& denoiser, const Guidance& guidance, int steps) {
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
  DenoiseLoop loop{denoiser, *scheduler, guidance, {2, 3, 4, 5}, {}, {}};
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
  const LoopRun run = RunLoop(denoiser, {3.0, 0.0}, 2);
  CHECK(run.finished);
  CHECK(denoiser.batch == 4);
}

TEST_CASE("steps outside the interval of guidance run the prompt's half alone") {
  FakeDenoiser denoiser;
  denoiser.guided = true;
  Guidance guidance{3.0, 0.0};
  guidance.interval = ParseStepRange("0-1");
  CHECK(RunLoop(denoiser, guidance, 4).finished);
  CHECK(denoiser.batches == std::vector<int64_t>{4, 4, 2, 2});
  CHECK(guidance.StepsOfChange(4) == std::vector<int>{0, 2});
  denoiser.batches.clear();
  guidance.interval = ParseStepRange("0%-50%");
  CHECK(RunLoop(denoiser, guidance, 4).finished);
  CHECK(denoiser.batches == std::vector<int64_t>{4, 4, 2, 2});
  guidance.interval = ParseStepRange("2-3");
  CHECK(guidance.StepsOfChange(5) == std::vector<int>{0, 2, 4});
}

TEST_CASE("a run that begins later makes the later calls, and keeps what it is told to") {
  FakeDenoiser denoiser;
  const auto backend = MakeCpuBackend();
  Arena arena(*backend, 1 << 16);
  Context ctx{*backend, arena};
  AttentionRuntime attention;
  const auto scheduler = MakeDdim(4);
  std::vector<float> latents(2 * 3 * 4 * 5, 1.0F);
  DenoiseLoop loop{denoiser, *scheduler, {}, {2, 3, 4, 5}, {}, {}};
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
