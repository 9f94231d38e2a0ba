// The text-to-image pipeline on a tiny model: promises that need no reference.
#include "pipelines/generation/text_to_image.h"

#include <cmath>
#include <fstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/support/error_code.h"
#include "tests/support/pipeline_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

// One model for all cases; nobody changes it.
const std::filesystem::path& Model() {
  static const TempDir folder;
  static const bool written = (WritePipeline(folder.Path(), Sd15SchedulerJson()), true);
  static_cast<void>(written);
  return folder.Path();
}

GenerateSettings Small() {
  GenerateSettings settings;
  settings.prompt = "a red cube";
  settings.width = 40;
  settings.height = 48;
  settings.steps = 3;
  settings.seed = 5;
  settings.dtype = "f32";
  return settings;
}

std::unique_ptr<TextToImage> LoadModel(Backend& backend) {
  return TextToImage::Load(OpenModelFolder(Model()), backend);
}

Generated RunOnce(const GenerateSettings& settings, const GenerateHooks& hooks = {},
                  const HostTensor* init_latents = nullptr) {
  const auto backend = MakeCpuBackend();
  return LoadModel(*backend)->Run(settings, {init_latents}, hooks);
}

}  // namespace

TEST_CASE("the same settings give the same pictures") {
  GenerateSettings settings = Small();
  settings.sampler = "euler_a";
  const Generated first = RunOnce(settings), second = RunOnce(settings);
  REQUIRE(first.images.size() == 1);
  CHECK(first.images[0].width == 40);
  CHECK(first.images[0].height == 48);
  CHECK(first.images[0].rgb == second.images[0].rgb);
  settings.seed = 6;
  CHECK(RunOnce(settings).images[0].rgb != first.images[0].rgb);
}

TEST_CASE("weights that come and go within a limit of memory change nothing") {
  GenerateSettings settings = Small();
  settings.batch = 2;
  const auto backend = MakeCpuBackend();
  const auto pipeline = LoadModel(*backend);
  const size_t whole = pipeline->DryRun(settings).PeakBytes();
  const Generated free = pipeline->Run(settings, {}, {});
  CHECK_FALSE(pipeline->DryRun(settings).kept_weights.has_value());

  const auto other = MakeCpuBackend();
  const auto limited = LoadModel(*other);
  limited->LimitMemory(whole);
  CHECK_FALSE(limited->DryRun(settings).kept_weights.has_value());
  // The model is tiny beside the program: its packed weights, and a third of them.
  for (const double share : {0.999, 0.34}) {
    CAPTURE(share);
    const auto packed = static_cast<double>(free.packed_bytes);
    const size_t memory = whole - static_cast<size_t>((1 - share) * packed);
    limited->LimitMemory(memory);
    const Prediction predicted = limited->DryRun(settings);
    REQUIRE(predicted.kept_weights.has_value());
    CHECK(predicted.PeakBytes() <= memory);
    for (int again = 0; again < 2; ++again) {
      const Generated generated = limited->Run(settings, {}, {});
      for (size_t i = 0; i < 2; ++i) CHECK(generated.images[i].rgb == free.images[i].rgb);
      CHECK(generated.packed_bytes <= predicted.packed_bytes);
    }
  }
  limited->LimitMemory(whole / 100);
  CHECK(CodeOf([&] { limited->DryRun(settings); }) == ErrorCode::kOutOfMemory);
  CHECK(CodeOf([&] { limited->Run(settings, {}, {}); }) == ErrorCode::kOutOfMemory);
  limited->LimitMemory(0);
  CHECK(limited->Run(settings, {}, {}).images[1].rgb == free.images[1].rgb);
}

TEST_CASE("a picture of a batch is the picture of its own seed") {
  for (const char* rng : {"torch", "philox"}) {
    CAPTURE(rng);
    GenerateSettings settings = Small();
    settings.sampler = "euler_a";
    settings.rng = rng;
    settings.batch = 3;
    const Generated batch = RunOnce(settings);
    REQUIRE(batch.images.size() == 3);
    CHECK(batch.latents.shape() == Shape{3, 4, 6, 5});
    settings.batch = 1;
    for (uint64_t i = 0; i < 3; ++i) {
      settings.seed = 5 + i;
      CHECK(RunOnce(settings).images[0].rgb == batch.images[i].rgb);
    }
  }
}

TEST_CASE("given latents take the place of the first draw") {
  GenerateSettings settings = Small();
  settings.sampler = "euler_a";
  HostTensor noise({1, 4, 6, 5}, DType::kF32);
  for (int64_t k = 0; k < noise.NumElements(); ++k) {
    noise.Data<float>()[k] = std::sin(1.7f * static_cast<float>(k));
  }
  Generated given = RunOnce(settings, {}, &noise);
  settings.seed = 6;
  const Generated other_draws = RunOnce(settings, {}, &noise);
  CHECK(given.images[0].rgb != other_draws.images[0].rgb);

  const HostTensor wrong({1, 4, 5, 6}, DType::kF32);
  CHECK(CodeOf([&] { RunOnce(settings, {}, &wrong); }) == ErrorCode::kBadFile);
}

TEST_CASE("a run asks to be stopped between blocks") {
  const auto backend = MakeCpuBackend();
  const auto pipeline = LoadModel(*backend);
  GenerateSettings settings = Small();

  std::stop_source before;
  before.request_stop();
  const Generated none = pipeline->Run(settings, {}, {.stop = before.get_token()});
  CHECK(none.cancelled);
  CHECK(none.images.empty());

  std::stop_source midway;
  int steps = 0;
  GenerateHooks hooks;
  hooks.stop = midway.get_token();
  hooks.on_step = [&](const StepView&) {
    if (++steps == 2) midway.request_stop();
  };
  const Generated stopped = pipeline->Run(settings, {}, hooks);
  CHECK(stopped.cancelled);
  CHECK(stopped.images.empty());
  CHECK(steps == 2);

  // The pipeline is as good as new.
  CHECK(pipeline->Run(settings, {}, {}).images[0].rgb == RunOnce(settings).images[0].rgb);
}

TEST_CASE("no step claims memory of the backend") {
  const auto backend = MakeCpuBackend();
  const auto pipeline = LoadModel(*backend);
  GenerateSettings settings = Small();
  settings.sampler = "dpmpp_2m";
  std::vector<int64_t> allocations;
  GenerateHooks hooks;
  hooks.on_text = [&](const NamedTensors&) { allocations.push_back(backend->Allocations()); };
  hooks.on_step = [&](const StepView&) { allocations.push_back(backend->Allocations()); };
  pipeline->Run(settings, {}, hooks);
  REQUIRE(allocations.size() == 4);
  CHECK(allocations.front() >= 1);  // the arena
  CHECK(allocations.back() == allocations.front());
  // A second run of the same size reuses it.
  pipeline->Run(settings, {}, {});
  CHECK(backend->Allocations() == allocations.back());
}

TEST_CASE("the dry run foresees arena and packed weights to the byte") {
  for (const bool tiled : {false, true}) {
    for (const double cfg : {1.0, 7.5}) {
      CAPTURE(tiled, cfg);
      GenerateSettings settings = Small();
      settings.cfg = cfg;
      settings.width = 136;
      settings.vae_tiling = tiled ? "on" : "off";
      const auto backend = MakeCpuBackend();
      const auto pipeline = LoadModel(*backend);
      const Prediction prediction = pipeline->DryRun(settings);
      const Generated generated = pipeline->Run(settings, {}, {});
      CHECK(prediction.arena_bytes == generated.arena_bytes);
      CHECK(prediction.packed_bytes == generated.packed_bytes);
      CHECK(prediction.flops > 1e6);
      // Nothing more is packed by a second run.
      CHECK(pipeline->DryRun(settings).packed_bytes == prediction.packed_bytes);
    }
  }
}

TEST_CASE("tiles give nearly the whole picture") {
  GenerateSettings settings = Small();
  settings.width = 136;
  settings.vae_tiling = "off";
  const Generated whole = RunOnce(settings);
  settings.vae_tiling = "on";
  const Generated tiled = RunOnce(settings);
  REQUIRE(whole.images[0].rgb.size() == tiled.images[0].rgb.size());
  double sum = 0;
  for (size_t k = 0; k < whole.images[0].rgb.size(); ++k) {
    sum += std::abs(whole.images[0].rgb[k] - tiled.images[0].rgb[k]);
  }
  CHECK(sum / static_cast<double>(whole.images[0].rgb.size()) < 20);
  settings.vae_tiling = "auto";  // small enough to be decoded whole
  CHECK(RunOnce(settings).images[0].rgb == whole.images[0].rgb);
}

TEST_CASE("defaults come from the model") {
  const auto backend = MakeCpuBackend();
  const GenerateSettings plain = LoadModel(*backend)->Resolve({});
  CHECK(plain.width == 80);
  CHECK(plain.height == 80);
  CHECK(plain.steps == 25);
  CHECK(plain.cfg == 7.5);
  CHECK(plain.cfg_rescale == 0);
  CHECK(plain.sampler.empty());
  CHECK(plain.seed.has_value());

  const TempDir folder;
  WritePipeline(folder.Path(), Sd15SchedulerJson());
  const auto with = [&](const std::string& json) {
    std::ofstream(folder / "fovea.json") << json;
    return TextToImage::Load(OpenModelFolder(folder.Path()), *backend);
  };
  const auto pipeline =
      with(R"({"width":64,"height":96,"steps":12,"cfg":3,"cfg_rescale":0.5,"sampler":"euler",)"
           R"("prompt":"a blue ball"})");
  CHECK(pipeline->SamplePrompt() == "a blue ball");
  const GenerateSettings model = pipeline->Resolve({});
  CHECK(model.width == 64);
  CHECK(model.height == 96);
  CHECK(model.steps == 12);
  CHECK(model.cfg == 3);
  CHECK(model.cfg_rescale == 0.5);
  CHECK(model.sampler == "euler");
  GenerateSettings asked;
  asked.width = 72;
  asked.steps = 4;
  asked.cfg = 1;
  asked.cfg_rescale = 0;
  asked.sampler = "ddim";
  const GenerateSettings flags = pipeline->Resolve(asked);
  CHECK(flags.width == 72);
  CHECK(flags.height == 96);
  CHECK(flags.steps == 4);
  CHECK(flags.cfg == 1);
  CHECK(flags.cfg_rescale == 0);
  CHECK(flags.sampler == "ddim");

  for (const char* bad : {R"({"width":"64"})", R"({"width":0})", R"({"steps":-1})", R"({"cfg":-1})",
                          R"({"cfg_rescale":2})", "[]", "{", R"({"sampler":7})"}) {
    CAPTURE(bad);
    CHECK(CodeOf([&] { with(bad); }) == ErrorCode::kBadFile);
  }
  CHECK(CodeOf([&] { with(R"({"widht":64})"); }) == ErrorCode::kUnsupported);
  CHECK(CodeOf([&] { with(R"({"width":60})"); }) == ErrorCode::kUsage);
  CHECK(CodeOf([&] { with(R"({"sampler":"best"})"); }) == ErrorCode::kUsage);
}

TEST_CASE("settings that cannot be are refused") {
  const auto backend = MakeCpuBackend();
  const auto pipeline = LoadModel(*backend);
  const auto code = [&](const std::function<void(GenerateSettings&)>& change) {
    GenerateSettings settings = Small();
    change(settings);
    return CodeOf([&] { pipeline->Resolve(settings); });
  };
  using S = GenerateSettings;
  CHECK(code([](S& s) { s.width = 41; }) == ErrorCode::kUsage);
  CHECK(code([](S& s) { s.width = -8; }) == ErrorCode::kUsage);
  CHECK(code([](S& s) { s.height = 4; }) == ErrorCode::kUsage);
  CHECK(code([](S& s) { s.height = 1 << 21; }) == ErrorCode::kUsage);
  CHECK(code([](S& s) { s.steps = -1; }) == ErrorCode::kUsage);
  CHECK(code([](S& s) { s.steps = 1001; }) == ErrorCode::kUsage);
  CHECK(code([](S& s) { s.batch = 0; }) == ErrorCode::kUsage);
  CHECK(code([](S& s) { s.batch = 5000; }) == ErrorCode::kUsage);
  CHECK(code([](S& s) { s.cfg = NAN; }) == ErrorCode::kUsage);
  CHECK(code([](S& s) { s.cfg = INFINITY; }) == ErrorCode::kUsage);
  CHECK(code([](S& s) { s.cfg_rescale = 1.5; }) == ErrorCode::kUsage);
  CHECK(code([](S& s) { s.eta = -0.5; }) == ErrorCode::kUsage);
  CHECK(code([](S& s) { s.sampler = "k_lms"; }) == ErrorCode::kUsage);
  CHECK(code([](S& s) { s.clip_skip = 4; }) == ErrorCode::kUsage);
  CHECK(code([](S& s) { s.clip_skip = -1; }) == ErrorCode::kUsage);
  CHECK(code([](S& s) { s.rng = "cuda"; }) == ErrorCode::kUsage);
  CHECK(code([](S& s) { s.vae_tiling = "maybe"; }) == ErrorCode::kUsage);
  CHECK(code([](S& s) { s.dtype = "f64"; }) == ErrorCode::kUsage);
  CHECK(code([](S& s) { s.dtype = "f16"; }) == ErrorCode::kUnsupported);
}

TEST_CASE("models that are no Stable Diffusion pipeline are refused") {
  const auto backend = MakeCpuBackend();
  const auto load = [&](const std::filesystem::path& folder) {
    return CodeOf([&] { TextToImage::Load(OpenModelFolder(folder), *backend); });
  };
  CHECK(load(Model() / "unet") == ErrorCode::kUnsupported);

  const TempDir folder;
  WritePipeline(folder.Path(), R"({"_class_name":"SASolverScheduler"})");
  CHECK(load(folder.Path()) == ErrorCode::kUnsupported);
  const auto index_with = [&](const std::function<void(nlohmann::json&)>& change) {
    nlohmann::json index;
    std::ifstream(folder / "model_index.json") >> index;
    change(index);
    std::ofstream(folder / "model_index.json") << index.dump();
  };
  index_with([](nlohmann::json& index) { index["_class_name"] = "StableDiffusion3Pipeline"; });
  CHECK(load(folder.Path()) == ErrorCode::kBadFile);  // it has no transformer
  index_with([](nlohmann::json& index) { index["_class_name"] = "PixArtSigmaPipeline"; });
  CHECK(load(folder.Path()) == ErrorCode::kUnsupported);
  index_with([](nlohmann::json& index) { index["_class_name"] = "StableDiffusionXLPipeline"; });
  CHECK(load(folder.Path()) == ErrorCode::kBadFile);  // it has no text_encoder_2
  index_with([](nlohmann::json& index) {
    index["_class_name"] = "StableDiffusionPipeline";
    index["unet"] = {"diffusers", "UNet3DConditionModel"};
  });
  CHECK(load(folder.Path()) == ErrorCode::kUnsupported);
  index_with([](nlohmann::json& index) { index.erase("unet"); });
  CHECK(load(folder.Path()) == ErrorCode::kBadFile);
}

TEST_CASE("text that does not fit its window is cut and named") {
  GenerateSettings settings = Small();
  settings.steps = 1;
  settings.prompt_weights = "off";
  for (int i = 0; i < 60; ++i) settings.prompt += " red cube";
  settings.prompt += " lastword";
  std::vector<std::string> warnings;
  RunOnce(settings, {.warn = [&](const std::string& text) { warnings.push_back(text); }});
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("prompt") != std::string::npos);
  CHECK(warnings[0].find("cube") != std::string::npos);
  CHECK(warnings[0].find('\n') == std::string::npos);
}

TEST_CASE("weights and long prompts change the picture, and the two ways of reading differ") {
  GenerateSettings settings = Small();
  const auto latents = [&](const char* mode, const std::string& prompt) {
    settings.prompt_weights = mode;
    settings.prompt = prompt;
    const Generated generated = RunOnce(settings);
    const float* values = generated.latents.Data<float>();
    return std::vector<float>(values, values + generated.latents.NumElements());
  };
  CHECK(latents("a1111", "a red cube") == latents("off", "a red cube"));
  CHECK(latents("comfy", "a red cube") == latents("off", "a red cube"));
  const auto plain = latents("a1111", "a red cube");
  const auto a1111 = latents("a1111", "a (red:1.6) cube");
  const auto comfy = latents("comfy", "a (red:1.6) cube");
  CHECK(a1111 != plain);
  CHECK(comfy != plain);
  CHECK(a1111 != comfy);
  std::string longer = "a red cube";
  for (int i = 0; i < 60; ++i) longer += " and the blue";
  CHECK(latents("a1111", longer) != latents("off", longer));
  CHECK(latents("comfy", longer) != latents("off", longer));
}

TEST_CASE("outside its interval guidance costs nothing and changes nothing") {
  GenerateSettings settings = Small();
  settings.sampler = "ddim";
  const auto run = [&](const std::string& interval, double cfg) {
    settings.cfg_interval = interval;
    settings.cfg = cfg;
    std::vector<std::vector<float>> outputs;
    const auto keep = [&](const StepView& view) {
      outputs.emplace_back(view.model_output.begin(), view.model_output.end());
    };
    RunOnce(settings, {.on_step = keep});
    return outputs;
  };
  const auto distance = [](const std::vector<float>& a, const std::vector<float>& b) {
    double sum = 0, norm = 0;
    for (size_t k = 0; k < a.size(); ++k) {
      sum += (a[k] - b[k]) * (a[k] - b[k]);
      norm += b[k] * b[k];
    }
    return std::sqrt(sum / norm);
  };
  const auto all = run("", 7.5), none = run("", 1), first = run("0-0", 7.5), late = run("1-2", 7.5);
  CHECK(first[0] == all[0]);
  CHECK(distance(late[0], none[0]) < 1e-5);
  CHECK(distance(late[0], all[0]) > 1e-3);
  CHECK(distance(late[1], none[1]) > 1e-3);

  const auto backend = MakeCpuBackend();
  const auto pipeline = LoadModel(*backend);
  const auto predict = [&](const std::string& interval) {
    settings.cfg_interval = interval;
    settings.cfg = 7.5;
    return pipeline->DryRun(settings);
  };
  const Prediction whole = predict(""), part = predict("1-1");
  CHECK(part.flops < 0.85 * whole.flops);
  CHECK(part.arena_bytes == whole.arena_bytes);
  const Generated generated = pipeline->Run(settings, {}, {});
  CHECK(generated.arena_bytes == part.arena_bytes);
  CHECK(generated.packed_bytes == part.packed_bytes);
  for (const char* bad : {"a", "3-1", "5%", "-1", "1-2-3"}) {
    CAPTURE(bad);
    CHECK(CodeOf([&] { predict(bad); }) == ErrorCode::kUsage);
  }
}

TEST_CASE("guidance is off at 1 and follows its formula above") {
  const Guidance off{1, 0};
  std::vector<float> outputs = {1, 2, 3, 4};
  CHECK_FALSE(off.Active());
  CHECK(off.Combine(outputs, 2).size() == 4);

  const Guidance on{3, 0};
  outputs = {1, 2, /* positive */ 2, 5};
  const std::span<float> guided = on.Combine(outputs, 1);
  REQUIRE(guided.size() == 2);
  CHECK(guided[0] == 4);
  CHECK(guided[1] == 11);

  // Fully rescaled, each sample has the deviation of its positive half.
  const Guidance rescaled{3, 1};
  outputs = {1, 2, 0, 9, /* positive */ 2, 5, 1, 3};
  const std::span<float> scaled = rescaled.Combine(outputs, 2);
  CHECK(scaled[1] - scaled[0] == Approx(3));
  CHECK(std::abs(scaled[3] - scaled[2]) == Approx(2));
  CHECK_FALSE(Guidance{7.5, 0, true}.Active());
}

}  // namespace fovea
