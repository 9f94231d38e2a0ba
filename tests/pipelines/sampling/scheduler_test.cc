// Samplers against diffusers (tests/golden/schedulers/runs.json, made by
// tools/golden/schedulers.py) and against what we refuse.
#include "pipelines/sampling/scheduler.h"

#include <cmath>

#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "pipelines/sampling/noise.h"
#include "tensor/error.h"
#include "tests/support/source_dir.h"
#include "tests/support/worst.h"

namespace fovea {
namespace {

using Json = nlohmann::json;

const Json& Golden() {
  static const Json json =
      Config::ReadFile(SourceDir() / "tests/golden/schedulers/runs.json").Json();
  return json;
}

Config ConfigOf(Json json, const std::string& class_name) {
  if (!json.contains("_class_name")) json["_class_name"] = class_name;
  return Config::Parse(json.dump(), "scheduler_config.json");
}

std::unique_ptr<Scheduler> Make(const std::string& json, const SamplerChoice& choice = {}) {
  return MakeScheduler(Config::Parse(json, "scheduler_config.json"), choice);
}

bool IsFlow(std::string_view sampler) {
  return sampler.starts_with("flow_");
}

ErrorCode CodeOf(const std::string& json, const SamplerChoice& choice = {}) {
  try {
    Make(json, choice);
  } catch (const Error& error) {
    UNSCOPED_INFO(error.what());
    return error.code;
  }
  return ErrorCode::kInternal;
}

std::vector<float> GoldenNoise() {
  std::vector<float> out(12);
  for (size_t k = 0; k < out.size(); ++k) {
    out[k] = static_cast<float>(1.3 * std::sin(1 + 1.7 * static_cast<double>(k)));
  }
  return out;
}

// The largest difference, relative to the largest value.
double Difference(std::span<const float> got, const Json& expected) {
  REQUIRE(got.size() == expected.size());
  Worst worst;
  for (size_t k = 0; k < got.size(); ++k) worst.Add(got[k], expected[k].get<double>());
  return worst.Relative();
}

std::vector<float> RunAnalyticModel(Scheduler& scheduler) {
  const auto generator = MakeNoiseSource(RngKind::kTorch, 11);
  std::vector<float> latents = GoldenNoise();
  for (float& x : latents) x = static_cast<float>(x * scheduler.InitNoiseSigma());
  for (size_t i = 0; i < scheduler.Timesteps().size(); ++i) {
    std::vector<float> output = latents;
    scheduler.ScaleModelInput(static_cast<int>(i), output);
    const double t = scheduler.Timesteps()[i];
    for (float& x : output) {
      x = static_cast<float>(0.3 * std::tanh(double{x}) + 0.05 * std::sin(0.01 * t) + 0.2 * x);
    }
    scheduler.Step(static_cast<int>(i), output, latents,
                   [&](std::span<float> out) { generator->Normal(out); });
  }
  return latents;
}

}  // namespace

TEST_CASE("every sampler runs as diffusers' does") {
  // What f32 costs diffusers' own run, at most 1.9e-5 here (differences of logarithms at many
  // steps).
  constexpr double kLimit = 3e-5;
  REQUIRE(Golden()["cases"].size() > 550);
  for (const Json& run : Golden()["cases"]) {
    CAPTURE(run.dump());
    SamplerChoice choice;
    choice.steps = run["steps"];
    choice.sampler = run.value("sampler", std::string());
    choice.eta = run.value("eta", 0.0);
    choice.schedule = run.value("schedule", std::string());
    choice.image_tokens = run.value("image_tokens", 0);
    choice.flow_from_one = run.value("flow_from_one", false);
    const auto scheduler =
        MakeScheduler(ConfigOf(run["config"], run["class"].get<std::string>()), choice);

    const auto timesteps = scheduler->Timesteps();
    REQUIRE(timesteps.size() == run["timesteps"].size());
    for (size_t i = 0; i < timesteps.size(); ++i) {
      const double expected = run["timesteps"][i];
      if (expected == std::floor(expected)) {
        CHECK(timesteps[i] == expected);
      } else {
        CHECK(timesteps[i] == Approx(expected).epsilon(1e-6));
      }
    }
    CHECK(scheduler->InitNoiseSigma() ==
          Approx(run["init_noise_sigma"].get<double>()).epsilon(1e-6));

    CHECK(Difference(RunAnalyticModel(*scheduler), run["latents"]) < kLimit);

    std::vector<float> noisy(12, 0.5f);
    scheduler->AddNoise(static_cast<int>(timesteps.size() / 2), GoldenNoise(), noisy);
    CHECK(Difference(noisy, run["noisy"]) < 1e-6);
  }
}

TEST_CASE("the predicted clean latents are those of the last call") {
  // A model that knows the truth, clean = 0.25, whatever the sampler and the prediction type.
  for (const std::string_view name : SamplerNames()) {
    if (IsFlow(name)) continue;
    for (const char* type : {"epsilon", "v_prediction"}) {
      CAPTURE(name, type);
      const auto scheduler = Make(
          R"({"_class_name":"DDIMScheduler","clip_sample":false,"skip_prk_steps":true,"prediction_type":")" +
              std::string(type) + R"("})",
          {.sampler = std::string(name), .steps = 8});
      std::vector<float> clean(5, 0.25f), zero(5, 0.0f), one(5, 1.0f);
      const int call = 2;  // the first of a step, for those that call twice
      // The noise level of a call shows in how it mixes clean and noise.
      std::vector<float> level = zero, signal = one;
      scheduler->AddNoise(call, one, level);
      scheduler->AddNoise(call, zero, signal);
      std::vector<float> latents(5), output(5);
      for (size_t k = 0; k < 5; ++k) {
        const double noise = 0.7;
        latents[k] = static_cast<float>(signal[k] * 0.25 + level[k] * noise);
        const double norm = std::hypot(signal[k], level[k]);
        output[k] =
            static_cast<float>(*type == 'e' ? noise : (signal[k] * noise - level[k] * 0.25) / norm);
      }
      std::vector<float> next = latents;
      scheduler->Step(call, output, next, [](std::span<float> out) {
        for (float& x : out) x = 0;
      });
      for (const float x : scheduler->PredictedClean()) CHECK(x == Approx(0.25).margin(2e-6));
    }
  }
}

TEST_CASE("a flow's predicted clean latents are those of the last call") {
  for (const std::string_view name : SamplerNames()) {
    if (!IsFlow(name)) continue;
    for (const bool stochastic : {false, true}) {
      CAPTURE(name, stochastic);
      const auto scheduler = Make(R"({"_class_name":"FlowMatchEulerDiscreteScheduler","shift":3)"
                                  R"(,"stochastic_sampling":)" +
                                      std::string(stochastic ? "true}" : "false}"),
                                  {.sampler = std::string(name), .steps = 8});
      std::vector<float> latents(5, 0.25f), velocity(5, 0.7f - 0.25f);
      const std::vector<float> noise(5, 0.7f);
      scheduler->AddNoise(2, noise, latents);
      scheduler->Step(2, velocity, latents, [](std::span<float> out) {
        for (float& x : out) x = 0;
      });
      for (const float x : scheduler->PredictedClean()) CHECK(x == Approx(0.25).margin(2e-6));
    }
  }
}

TEST_CASE("samplers of flows and of noise predictions do not mix") {
  const std::string flow = R"({"_class_name":"FlowMatchEulerDiscreteScheduler","shift":3})";
  const std::string noise = R"({"_class_name":"DDIMScheduler"})";
  for (const std::string_view name : SamplerNames()) {
    CAPTURE(name);
    CHECK(CodeOf(IsFlow(name) ? noise : flow, {.sampler = std::string(name)}) ==
          ErrorCode::kUnsupported);
  }
  const std::string solver =
      R"({"_class_name":"DPMSolverMultistepScheduler","use_flow_sigmas":true)"
      R"(,"prediction_type":"flow_prediction","flow_shift":3})";
  CHECK(Make(solver)->Name() == "flow_dpmpp_2m");
  // The shift under its other name.
  const auto euler = Make(solver, {.sampler = "flow_euler", .steps = 3});
  const auto own = Make(flow, {.steps = 3});
  for (size_t i = 0; i < 3; ++i) CHECK(euler->Timesteps()[i] == own->Timesteps()[i]);
  CHECK(CodeOf(solver, {.sampler = "dpmpp_2m"}) == ErrorCode::kUnsupported);
  // A chosen shift is that shift, whatever the config says of it.
  const std::string sized =
      R"({"_class_name":"FlowMatchEulerDiscreteScheduler","use_dynamic_shifting":true})";
  for (const char* sampler : {"flow_euler", "flow_heun", "flow_dpmpp_2m"}) {
    for (const bool from_one : {false, true}) {
      SamplerChoice choice = {.sampler = sampler, .steps = 3, .image_tokens = 900};
      choice.flow_from_one = from_one;
      const auto want = Make(flow, choice), dynamic = Make(sized, choice);
      choice.shift = 3;
      const auto got = Make(sized, choice);
      CHECK(std::ranges::equal(got->Timesteps(), want->Timesteps()));
      CHECK_FALSE(std::ranges::equal(got->Timesteps(), dynamic->Timesteps()));
    }
  }
  CHECK(CodeOf(flow, {.sampler = "flow_dpmpp_2m", .schedule = "karras"}) ==
        ErrorCode::kUnsupported);
}

TEST_CASE("euler_a, ddim and lcm take every schedule: levels as Euler's, clean data comes out") {
  const std::string plain =
      R"({"_class_name":"DDIMScheduler","beta_start":0.00085,"beta_end":0.012,)"
      R"("beta_schedule":"scaled_linear","clip_sample":false,)"
      R"("set_alpha_to_one":false,"steps_offset":1,)"
      R"("timestep_spacing":"leading","timestep_scaling":10})";
  for (const char* schedule : {"normal", "sgm_uniform", "karras", "exponential", "beta"}) {
    const auto euler = Make(plain, {.sampler = "euler", .steps = 12, .schedule = schedule});
    for (const char* name : {"euler_a", "ddim", "lcm"}) {
      CAPTURE(schedule, name);
      const auto got = Make(plain, {.sampler = name, .steps = 12, .schedule = schedule});
      CHECK(got->ScheduleType() == euler->ScheduleType());
      REQUIRE(got->Timesteps().size() == euler->Timesteps().size());
      for (size_t i = 0; i < got->Timesteps().size(); ++i) {
        CHECK(std::abs(got->Timesteps()[i] - euler->Timesteps()[i]) <= 1);
      }
      for (const float x : RunAnalyticModel(*got)) CHECK(std::isfinite(x));
    }
  }
  // A DDIM step between the same levels is Euler's, in other words (Song et al. 2021, eq. 13).
  const auto ddim = Make(plain, {.sampler = "ddim", .steps = 12, .schedule = "karras"});
  const auto euler = Make(plain, {.sampler = "euler", .steps = 12, .schedule = "karras"});
  std::vector<float> clean = GoldenNoise(), a(clean.size(), 0), b(clean.size(), 0);
  ddim->AddNoise(0, clean, a);
  euler->AddNoise(0, clean, b);
  for (int i = 0; i < 12; ++i) {
    // A model whose noise is a fixed function of the scaled latents.
    const auto model = [](std::span<const float> x) {
      std::vector<float> out(x.begin(), x.end());
      for (size_t k = 0; k < out.size(); ++k)
        out[k] = std::tanh(out[k]) + 0.1f * static_cast<float>(k);
      return out;
    };
    std::vector<float> input = b;
    euler->ScaleModelInput(i, input);
    for (size_t k = 0; k < a.size(); ++k) CHECK(a[k] == Approx(input[k]).margin(2e-4));
    ddim->Step(i, model(a), a, {});
    euler->Step(i, model(input), b, {});
  }
  for (size_t k = 0; k < a.size(); ++k) CHECK(a[k] == Approx(b[k]).margin(1e-3));
  // Zero signal to noise has no first level that a ramp could begin at.
  const std::string zero = R"({"_class_name":"DDIMScheduler","rescale_betas_zero_snr":true,)"
                           R"("prediction_type":"v_prediction","timestep_spacing":"trailing"})";
  CHECK(CodeOf(zero, {.sampler = "ddim", .schedule = "karras"}) == ErrorCode::kUnsupported);
}

TEST_CASE("every number of steps gives finite latents") {
  for (const std::string_view name : SamplerNames()) {
    if (IsFlow(name)) {
      for (const int steps : {1, 2, 3, 5, 14, 37, 100}) {
        CAPTURE(name, steps);
        const auto scheduler =
            Make(R"({"_class_name":"FlowMatchEulerDiscreteScheduler","num_train_timesteps":100})",
                 {.sampler = std::string(name), .steps = steps});
        for (const float x : RunAnalyticModel(*scheduler)) CHECK(std::isfinite(x));
      }
      continue;
    }
    for (const char* spacing : {"linspace", "trailing"}) {
      for (const int steps : {1, 2, 3, 4, 5, 13, 14, 15, 37, 61, 99, 100}) {
        CAPTURE(name, spacing, steps);
        const auto scheduler = Make(
            R"({"_class_name":"DDIMScheduler","num_train_timesteps":100,"original_inference_steps":100,)"
            R"("skip_prk_steps":true,"clip_sample":false,"timestep_spacing":")" +
                std::string(spacing) + R"("})",
            {.sampler = std::string(name), .steps = steps});
        for (const float x : RunAnalyticModel(*scheduler)) CHECK(std::isfinite(x));
      }
    }
  }
}

TEST_CASE("what a scheduler config cannot be is refused by name") {
  const auto with = [](const std::string& fields, const char* class_name = "DDIMScheduler") {
    return R"({"_class_name":")" + std::string(class_name) + R"(",)" + fields + "}";
  };
  const char* euler = "EulerDiscreteScheduler";
  const char* dpm = "DPMSolverMultistepScheduler";
  CHECK(CodeOf(with(R"("a":1)", "LMSDiscreteScheduler")) == ErrorCode::kUnsupported);
  CHECK(CodeOf(R"({"a":1})") == ErrorCode::kBadFile);
  CHECK(CodeOf(with(R"("beta_schedule":"sigmoid")")) == ErrorCode::kUnsupported);
  CHECK(CodeOf(with(R"("prediction_type":"flow_prediction")")) == ErrorCode::kUnsupported);
  CHECK(CodeOf(with(R"("prediction_type":"sample")", "PNDMScheduler")) == ErrorCode::kUnsupported);
  CHECK(CodeOf(with(R"("timestep_spacing":"log")")) == ErrorCode::kUnsupported);
  CHECK(CodeOf(with(R"("thresholding":true)")) == ErrorCode::kUnsupported);
  CHECK(CodeOf(with(R"("use_flow_sigmas":true)", dpm)) == ErrorCode::kUnsupported);
  CHECK(CodeOf(with(R"("variance_type":"learned")", dpm)) == ErrorCode::kUnsupported);
  CHECK(CodeOf(with(R"("algorithm_type":"dpmsolver")", dpm)) == ErrorCode::kUnsupported);
  CHECK(CodeOf(with(R"("rescale_betas_zero_snr":true,"timestep_spacing":"trailing")")) ==
        ErrorCode::kUnsupported);

  CHECK(CodeOf(with(R"("num_train_timesteps":0)")) == ErrorCode::kBadFile);
  CHECK(CodeOf(with(R"("num_train_timesteps":-1)")) == ErrorCode::kBadFile);
  CHECK(CodeOf(with(R"("num_train_timesteps":1000000000)")) == ErrorCode::kBadFile);
  CHECK(CodeOf(with(R"("num_train_timesteps":"1000")")) == ErrorCode::kBadFile);
  CHECK(CodeOf(with(R"("num_train_timesteps":12.5)")) == ErrorCode::kBadFile);
  CHECK(CodeOf(with(R"("beta_start":"small")")) == ErrorCode::kBadFile);
  CHECK(CodeOf(with(R"("beta_start":-0.1)")) == ErrorCode::kBadFile);
  CHECK(CodeOf(with(R"("beta_end":1.5)")) == ErrorCode::kBadFile);
  CHECK(CodeOf(with(R"("beta_start":-0.1,"beta_schedule":"scaled_linear")")) ==
        ErrorCode::kBadFile);
  CHECK(CodeOf(with(R"("trained_betas":[0.1,0.2])")) == ErrorCode::kBadFile);
  CHECK(CodeOf(with(R"("steps_offset":-1)")) == ErrorCode::kBadFile);
  CHECK(CodeOf(with(R"("clip_sample":"yes")")) == ErrorCode::kBadFile);
  CHECK(CodeOf(with(R"("solver_order":4)", dpm)) == ErrorCode::kBadFile);
  CHECK(CodeOf(with(R"("sigma_min":0,"use_karras_sigmas":true)", euler)) == ErrorCode::kBadFile);
  CHECK(CodeOf(with(R"("use_karras_sigmas":true,"use_exponential_sigmas":true)", euler)) ==
        ErrorCode::kBadFile);

  const char* flow = "FlowMatchEulerDiscreteScheduler";
  CHECK(CodeOf(with(R"("shift":0)", flow)) == ErrorCode::kBadFile);
  CHECK(CodeOf(with(R"("shift":-2)", flow)) == ErrorCode::kBadFile);
  CHECK(CodeOf(with(R"("shift":"3")", flow)) == ErrorCode::kBadFile);
  CHECK(CodeOf(with(R"("shift_terminal":1)", flow)) == ErrorCode::kBadFile);
  CHECK(CodeOf(with(R"("use_karras_sigmas":true,"use_beta_sigmas":true)", flow)) ==
        ErrorCode::kBadFile);
  const std::string sized = R"("use_dynamic_shifting":true)";
  CHECK(CodeOf(with(sized + R"(,"base_image_seq_len":9,"max_image_seq_len":9)", flow),
               {.image_tokens = 9}) == ErrorCode::kBadFile);
  CHECK(CodeOf(with(sized + R"(,"time_shift_type":"cubic")", flow), {.image_tokens = 9}) ==
        ErrorCode::kUnsupported);
  CHECK(CodeOf(with(sized + R"(,"max_shift":-9,"time_shift_type":"linear")", flow),
               {.image_tokens = 9999}) == ErrorCode::kBadFile);
  CHECK(CodeOf(with(R"("use_flow_sigmas":true,"prediction_type":"flow_prediction",)"
                    R"("use_karras_sigmas":true)",
                    dpm)) == ErrorCode::kUnsupported);

  const std::string plain = with(R"("clip_sample":false)");
  CHECK(CodeOf(plain, {.steps = 0}) == ErrorCode::kUsage);
  CHECK(CodeOf(plain, {.steps = -5}) == ErrorCode::kUsage);
  CHECK(CodeOf(plain, {.steps = 1001}) == ErrorCode::kUsage);
  CHECK(CodeOf(plain, {.sampler = "k_euler"}) == ErrorCode::kUsage);
  CHECK(CodeOf(plain, {.eta = 1.5}) == ErrorCode::kUsage);
  CHECK(CodeOf(plain, {.eta = NAN}) == ErrorCode::kUsage);
  CHECK(CodeOf(with(R"("steps_offset":1)"), {.steps = 1000}) == ErrorCode::kUsage);
  CHECK(CodeOf(plain, {.sampler = "pndm", .steps = 3}) == ErrorCode::kUsage);
  CHECK(CodeOf(plain, {.sampler = "lcm", .steps = 51}) == ErrorCode::kUsage);
  CHECK(CodeOf(plain, {.schedule = "cosine"}) == ErrorCode::kUsage);
  CHECK(CodeOf(plain, {.sampler = "pndm", .schedule = "karras"}) == ErrorCode::kUnsupported);
  const char* unipc = "UniPCMultistepScheduler";
  CHECK(CodeOf(with(R"("use_flow_sigmas":true)", unipc)) == ErrorCode::kUnsupported);
  CHECK(CodeOf(with(R"("predict_x0":false)", unipc)) == ErrorCode::kUnsupported);
  CHECK(CodeOf(with(R"("solver_order":0)", unipc)) == ErrorCode::kBadFile);
  CHECK(CodeOf(with(R"("original_inference_steps":5000)", "LCMScheduler")) == ErrorCode::kBadFile);
}

TEST_CASE("a scheduler file with Python's minus infinity is read") {
  const auto scheduler =
      Make(R"({"_class_name":"DPMSolverMultistepScheduler","lambda_min_clipped":-Infinity})",
           {.steps = 10});
  CHECK(scheduler->Timesteps().size() == 10);
  CHECK(scheduler->Timesteps()[0] == 999);
  CHECK(CodeOf(R"({"_class_name":"DDIMScheduler","beta_end":NaN})") == ErrorCode::kBadFile);
}

}  // namespace fovea
