// Runs away from perturbed heads beside everything else that a run may have: promises that need no
// reference. The numbers are compared with diffusers in perturbation_golden_test.cc.
#include <cstring>

#include <catch2/catch.hpp>

#include "models/files/safetensors.h"
#include "models/lora/lora_deltas.h"
#include "pipelines/generation/replay.h"
#include "pipelines/generation/text_to_image.h"
#include "pipelines/pictures/picture_file.h"
#include "tests/support/error_code.h"
#include "tests/support/golden_case.h"
#include "tests/support/pipeline_case.h"
#include "tests/support/source_dir.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

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
  settings.perturb = "m0";
  return settings;
}

std::unique_ptr<TextToImage> LoadModel(Backend& backend) {
  return TextToImage::Load(OpenModelFolder(Model()), backend);
}

Generated RunOnce(const GenerateSettings& settings, const GenerateInputs& inputs = {}) {
  const auto backend = MakeCpuBackend();
  return LoadModel(*backend)->Run(settings, inputs, {});
}

bool SameLatents(const Generated& a, const Generated& b) {
  return a.latents.Bytes() == b.latents.Bytes() &&
         std::memcmp(a.latents.data(), b.latents.data(), a.latents.Bytes()) == 0;
}

// The run does something else with its perturbed heads than without, and its dry run foresees it.
void CheckCombines(TextToImage& pipeline, const GenerateSettings& settings,
                   const GenerateInputs& inputs = {}) {
  const Prediction prediction = pipeline.DryRun(settings, inputs);
  const Generated perturbed = pipeline.Run(settings, inputs, {});
  CHECK(perturbed.arena_bytes == prediction.arena_bytes);
  CHECK(perturbed.packed_bytes == prediction.packed_bytes);
  CHECK(RootMeanSquare(perturbed.latents) > 0);
  GenerateSettings plain = settings;
  plain.perturb.clear();
  const Generated without = pipeline.Run(plain, inputs, {});
  CHECK(RelativeL2(perturbed.latents, without.latents) > 1e-4);
  CHECK(pipeline.DryRun(plain, inputs).flops < prediction.flops);
}

// Without plain guidance, at scale -1, the answer is the perturbed network's own: that of a run
// whose attention plan has the operator there. Shared layers, steps and stages of HiDiffusion must
// all agree for that.
void CheckOperator(TextToImage& pipeline, GenerateSettings settings, const std::string& op) {
  settings.cfg = 1;
  GenerateSettings perturbed = settings, planned = settings;
  perturbed.perturb = "m0";
  perturbed.perturb_kind = "op:" + op;
  perturbed.perturb_scale = -1;
  planned.perturb.clear();
  planned.attention = "mid_block.*.attn1: " + op;
  const Generated answer = pipeline.Run(perturbed, {}, {});
  CHECK(RelativeL2(answer.latents, pipeline.Run(planned, {}, {}).latents) < 1e-5);
  planned.attention.clear();
  CHECK(RelativeL2(answer.latents, pipeline.Run(planned, {}, {}).latents) > 1e-5);
}

}  // namespace

TEST_CASE("heads without strength or scale leave every byte as it is, and cost nothing") {
  GenerateSettings settings = Small();
  settings.perturb.clear();
  const Generated plain = RunOnce(settings);
  const auto backend = MakeCpuBackend();
  const double flops = LoadModel(*backend)->DryRun(settings).flops;
  for (const auto& [list, scale] :
       {std::pair{"m0@0", 3.0}, std::pair{"d0.1@0,u1@0", 3.0}, std::pair{"m0", 0.0}}) {
    CAPTURE(list, scale);
    settings.perturb = list;
    settings.perturb_scale = scale;
    CHECK(SameLatents(RunOnce(settings), plain));
    CHECK(LoadModel(*backend)->DryRun(settings).flops == flops);
  }
}

TEST_CASE("all heads of a layer, each named, are the layer") {
  GenerateSettings settings = Small();
  const Generated layer = RunOnce(settings);
  settings.perturb = "m0.0,m0/0.1";
  CHECK(RelativeL2(RunOnce(settings).latents, layer.latents) < 1e-6);
  settings.perturb = "m0.[0-1]@1";
  CHECK(RelativeL2(RunOnce(settings).latents, layer.latents) < 1e-6);
}

TEST_CASE("outside its steps a perturbed branch costs nothing and changes nothing") {
  GenerateSettings settings = Small();
  settings.sampler = "ddim";
  const auto outputs = [](const GenerateSettings& s) {
    std::vector<std::vector<float>> kept;
    const auto backend = MakeCpuBackend();
    LoadModel(*backend)->Run(s, {}, {.on_step = [&](const StepView& view) {
                               kept.emplace_back(view.model_output.begin(),
                                                 view.model_output.end());
                             }});
    return kept;
  };
  GenerateSettings plain = settings;
  plain.perturb.clear();
  settings.perturb_steps = "1-2";
  const auto some = outputs(settings), none = outputs(plain);
  CHECK(some[0] == none[0]);
  CHECK(some[1] != none[1]);
  const auto backend = MakeCpuBackend();
  const auto flops = [&](const std::string& steps) {
    settings.perturb_steps = steps;
    return LoadModel(*backend)->DryRun(settings).flops;
  };
  const double free = LoadModel(*backend)->DryRun(plain).flops;
  CHECK(flops("") - free == Approx(3 * (flops("1-1") - free)));
  CHECK(flops("0-1") - free == Approx(2 * (flops("2-2") - free)));
  CHECK(CodeOf([&] { flops("3-7"); }) == ErrorCode::kUnsupported);
  CHECK(CodeOf([&] { flops("2-1"); }) == ErrorCode::kUsage);
}

TEST_CASE("the saving of shared layers grows with the first perturbed one") {
  const auto backend = MakeCpuBackend();
  const auto pipeline = LoadModel(*backend);
  GenerateSettings settings = Small();
  double last = -1;
  for (const char* layer : {"d0", "d1", "m0", "u0", "u1", "u2", "u3"}) {
    CAPTURE(layer);
    settings.perturb = layer;
    const Prediction prediction = pipeline->DryRun(settings);
    const double saved = 1 - prediction.flops / prediction.unshared_flops;
    CHECK(saved > last);
    CHECK(saved < 1.0 / 3);  // of three branches one
    last = saved;
    CHECK(pipeline->Run(settings, {}, {}).arena_bytes == prediction.arena_bytes);
  }
  settings.perturb = "d0,m0";
  CHECK(pipeline->DryRun(settings).perturbed_from.find("down_blocks.0") == 0);
}

TEST_CASE("a picture of a batch with perturbed heads is the picture alone") {
  GenerateSettings settings = Small();
  settings.batch = 2;
  const Generated both = RunOnce(settings);
  settings.batch = 1;
  settings.seed = 6;
  const Generated second = RunOnce(settings);
  CHECK(both.images.at(1).rgb == second.images.at(0).rgb);
}

TEST_CASE("perturbed heads go with every way to make a picture") {
  const auto backend = MakeCpuBackend();
  const auto pipeline = LoadModel(*backend);
  GenerateSettings settings = Small();
  settings.width = settings.height = 64;
  settings.perturb = "d0.1,m0@0.5";
  SECTION("guidance on, off, and in an interval") {
    CheckCombines(*pipeline, settings);
    settings.cfg = 1;
    CheckCombines(*pipeline, settings);
    settings.cfg = 7.5;
    settings.cfg_interval = "1-2";
    CheckCombines(*pipeline, settings);
  }
  SECTION("other methods of guidance, rescaled") {
    settings.cfg_rescale = 0.5;
    for (const char* method : {"apg(eta=0,r=5,momentum=-0.5)", "cfg-zero-star"}) {
      settings.guidance = method;
      CheckCombines(*pipeline, settings);
    }
  }
  SECTION("every operator") {
    for (const char* plan :
         {"clear(r=2)", "gna(window=3)", "halo(block=2x2,halo=1x1)", "window(grid=2x2)",
          "agentsd(ratio=0.3)", "*.attn1: agent(agents=2x2)"}) {
      CAPTURE(plan);
      settings.attention = plan;
      CheckCombines(*pipeline, settings);
    }
  }
  SECTION("every kind") {
    for (const char* kind : {"uniform", "zero", "meanq", "blur:1.5", "blur:inf",
                             "op:window(grid=2x2)", "op:gna(window=3)", "op:agent(agents=2x2)"}) {
      CAPTURE(kind);
      settings.perturb_kind = kind;
      CheckCombines(*pipeline, settings);
    }
    settings.perturb = "m0";
    settings.perturb_kind = "skip";
    CheckCombines(*pipeline, settings);
  }
  SECTION("two passes") {
    settings.hires = "two-pass=2,0.5";
    CheckCombines(*pipeline, settings);
  }
  SECTION("image to image, and a mask") {
    const Image picture = ReadPicture(GoldenFolder() / "image_pipeline/given.png");
    settings.image = PictureDigest(picture);
    settings.strength = 0.7;
    CheckCombines(*pipeline, settings, {nullptr, &picture});
    settings.mask = PictureDigest(picture);
    CheckCombines(*pipeline, settings, {nullptr, &picture, &picture});
  }
  SECTION("a sampler that calls the model twice a step") {
    settings.sampler = "heun";
    settings.perturb_steps = "1-1";
    CheckCombines(*pipeline, settings);
  }
  SECTION("a limit of memory") {
    const Generated free = pipeline->Run(settings, {}, {});
    const auto other = MakeCpuBackend();
    const auto limited = LoadModel(*other);
    const Prediction whole = limited->DryRun(settings);
    limited->LimitMemory(whole.PeakBytes() - whole.packed_bytes / 2);
    REQUIRE(limited->DryRun(settings).kept_weights.has_value());
    CHECK(SameLatents(limited->Run(settings, {}, {}), free));
  }
}

TEST_CASE("another operator as a perturbation is the network with that operator") {
  const auto backend = MakeCpuBackend();
  const auto pipeline = LoadModel(*backend);
  GenerateSettings settings = Small();
  settings.width = 96;
  settings.height = 128;
  for (const char* op : {"halo(block=2x2,halo=1x1)", "window(grid=2x2)", "agent(agents=2x2)"}) {
    CAPTURE(op);
    CheckOperator(*pipeline, settings, op);
  }
}

TEST_CASE("perturbed heads go with HiDiffusion") {
  // The tiny model has fewer levels than RAU-Net knows.
  const auto backend = MakeCpuBackend();
  const auto pipeline =
      TextToImage::Load(OpenModelFolder(SourceDir() / "assets/models/still-life-unet"), *backend);
  GenerateSettings settings = Small();
  settings.width = settings.height = 128;
  settings.steps = 2;
  settings.hires = "raunet";
  CheckOperator(*pipeline, settings, "window(grid=2x2)");
  settings.width = settings.height = 192;
  settings.hires = "hidiffusion";
  settings.perturb = "d1.1,m0@0.5";
  CheckCombines(*pipeline, settings);
}

TEST_CASE("perturbed heads go with LoRA files and overlays") {
  const auto backend = MakeCpuBackend();
  const TempDir files;
  const std::string layer = "mid_block.attentions.0.transformer_blocks.0.attn1.to_v.weight";
  NamedTensors overlay;
  overlay[layer] = HostTensor({32, 32}, DType::kF32);
  for (int64_t i = 0; i < 32 * 32; ++i) overlay[layer].Data<float>()[i] = i % 33 == 0 ? 1.5F : 0.0F;
  WriteSafetensors(files / "overlay.safetensors", overlay);
  ModelFolder folder = OpenModelFolder(Model());
  for (ComponentFolder& part : folder.components) {
    if (part.name == "unet") part.overlay = files / "overlay.safetensors";
  }
  GenerateSettings settings = Small();
  settings.overlay = "overlay";
  CheckCombines(*TextToImage::Load(folder, *backend), settings);

  NamedTensors lora;
  const std::string name = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_v";
  for (const auto& [end, shape] :
       {std::pair{".lora_down.weight", Shape{1, 32}}, std::pair{".lora_up.weight", Shape{32, 1}}}) {
    HostTensor& tensor = lora[name + end] = HostTensor(shape, DType::kF32);
    for (int64_t i = 0; i < 32; ++i) tensor.Data<float>()[i] = 0.3F;
  }
  WriteSafetensors(files / "lora.safetensors", lora);
  ModelFolder with_lora = OpenModelFolder(Model());
  AddLoras(with_lora, {{files / "lora.safetensors", 1}});
  settings.overlay.clear();
  CheckCombines(*TextToImage::Load(with_lora, *backend), settings);
}

TEST_CASE("settings of perturbed heads that a model cannot have are refused") {
  const auto backend = MakeCpuBackend();
  const auto pipeline = LoadModel(*backend);
  const auto code = [&](auto change) {
    GenerateSettings settings = Small();
    change(settings);
    return CodeOf([&] { pipeline->DryRun(settings); });
  };
  using S = GenerateSettings&;
  CHECK(code([](S s) { s.perturb = "13"; }) == ErrorCode::kUnsupported);
  CHECK(code([](S s) { s.perturb = "m0.2"; }) == ErrorCode::kUnsupported);
  CHECK(code([](S s) { s.perturb = "m0."; }) == ErrorCode::kUsage);
  CHECK(code([](S s) { s.perturb_kind = "none"; }) == ErrorCode::kUsage);
  CHECK(code([](S s) { s.perturb_kind = "op:nothing"; }) == ErrorCode::kUsage);
  CHECK(code([](S s) { s.perturb_scope = "text"; }) == ErrorCode::kUsage);
  CHECK(code([](S s) { s.perturb_scale = -2; }) == ErrorCode::kUsage);
  CHECK(code([](S s) { s.guidance = "none"; }) == ErrorCode::kUsage);
  CHECK(code([](S s) { s.guidance = "cfg-zero-star(zero-steps=1)"; }) == ErrorCode::kUnsupported);
  CHECK(code([](S s) {
          s.perturb_kind = "skip";
          s.perturb = "m0.1";
        }) == ErrorCode::kUsage);
}

TEST_CASE("a step that remembers others cannot be replayed alone") {
  const auto backend = MakeCpuBackend();
  const auto pipeline = LoadModel(*backend);
  GenerateSettings settings = Small();
  StepStore store;
  pipeline->Run(settings, {}, {.on_step = [&](const StepView& view) { store.Keep(view); }});
  CHECK(pipeline->Replay(settings, {}, *store.Find(1), {}));  // perturbed heads remember nothing
  settings.guidance = "apg(momentum=-0.5)";
  CHECK(CodeOf([&] { pipeline->Replay(settings, {}, *store.Find(1), {}); }) ==
        ErrorCode::kUnsupported);
}

}  // namespace fovea
