// Whole runs of pipelines of several classes against diffusers' (tests/golden/pipeline_classes,
// made by tools/golden/pipeline_classes.py): SD2.1, LCM, SDXL with one and two encoders, distilled
// SDXL.
#include <fstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "models/files/safetensors.h"
#include "models/lora/lora_deltas.h"
#include "models/single_file/ldm_names.h"
#include "models/single_file/single_file.h"
#include "pipelines/generation/text_to_image.h"
#include "tests/support/error_code.h"
#include "tests/support/golden_case.h"
#include "tests/support/pipeline_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

using Json = nlohmann::json;

constexpr double kLimit = 1e-4;  // relative, of final latents

std::unique_ptr<TextToImage> LoadGolden(const TempDir& folder, const Json& run, Backend& backend) {
  WritePipeline(folder.Path(), run["scheduler"].dump(),
                "pipeline_classes/" + run["model"].get<std::string>());
  return TextToImage::Load(OpenModelFolder(folder.Path()), backend);
}

Json RunNamed(const std::string& name) {
  const Config list = Config::ReadFile(GoldenFolder() / "pipeline_classes" / "runs.json");
  for (const Json& run : list.Json()["runs"]) {
    if (run["name"] == name) return run;
  }
  FAIL("no run " + name);
  return {};
}

// The weights of an SDXL folder in one file, under the original names.
void WriteSingleFile(const std::filesystem::path& folder, const std::filesystem::path& file) {
  const LdmLayout layout{.layers_per_block = 2, .vae_levels = 4, .text_layers = 4};
  NamedTensors out;
  const auto add = [&](const std::string& part, const char* name, LdmModule module,
                       const std::string& prefix) {
    for (const auto& [tensor, values] : ReadSafetensors(folder / part / name)) {
      CAPTURE(tensor);
      const auto homes = LdmNames(module, tensor, layout);
      REQUIRE_FALSE(homes.empty());
      const StoredTensor& home = homes.front();
      Shape shape = values.shape();
      if (home.transposed) std::swap(shape[0], shape[1]);
      shape[0] *= home.parts;
      HostTensor& into = out[prefix + home.name];
      if (into.shape().rank == 0) into = HostTensor(shape, DType::kF32);
      const int64_t count = values.NumElements(), columns = values.shape()[values.shape().rank - 1];
      float* to = into.Data<float>() + home.part * count;
      for (int64_t k = 0; k < count; ++k) {
        const int64_t at = home.transposed ? k % columns * (count / columns) + k / columns : k;
        to[at] = values.Data<float>()[k];
      }
    }
  };
  add("unet", "diffusion_pytorch_model.safetensors", LdmModule::kUNet, "model.diffusion_model.");
  add("vae", "diffusion_pytorch_model.safetensors", LdmModule::kVae, "first_stage_model.");
  add("text_encoder", "model.safetensors", LdmModule::kClip,
      "conditioner.embedders.0.transformer.");
  add("text_encoder_2", "model.safetensors", LdmModule::kOpenClip,
      "conditioner.embedders.1.model.");
  WriteSafetensors(file, out);
}

}  // namespace

TEST_CASE("runs of every pipeline class end where diffusers' end") {
  const std::filesystem::path golden = GoldenFolder() / "pipeline_classes";
  const Json list = Config::ReadFile(golden / "runs.json").Json();
  const NamedTensors tensors = ReadSafetensors(golden / "runs.safetensors");
  const auto backend = MakeCpuBackend();
  REQUIRE(list["runs"].size() >= 20);
  int texts = 0;
  for (const Json& run : list["runs"]) {
    const std::string name = run["name"];
    CAPTURE(name);
    const TempDir folder;
    const auto pipeline = LoadGolden(folder, run, *backend);
    GenerateHooks hooks;
    hooks.on_text = TextChecker(tensors, name, &texts);
    const auto init = tensors.find(name + ".init");
    const GenerateSettings settings = RunSettings(run["settings"]);
    const Prediction prediction = pipeline->DryRun(settings);
    const Generated generated =
        pipeline->Run(settings, {init == tensors.end() ? nullptr : &init->second}, hooks);
    CHECK(RelativeL2(generated.latents, tensors.at(name + ".latents")) < kLimit);
    CHECK(generated.images.size() == static_cast<size_t>(settings.batch));
    CHECK(prediction.arena_bytes == generated.arena_bytes);
    CHECK(prediction.packed_bytes == generated.packed_bytes);
  }
  CHECK(texts == 16);  // four states of four runs
}

TEST_CASE("a second prompt needs a second encoder") {
  const auto backend = MakeCpuBackend();
  const TempDir one, two;
  const auto refiner = LoadGolden(one, RunNamed("sdxl_refiner"), *backend);
  const auto base = LoadGolden(two, RunNamed("sdxl"), *backend);
  GenerateSettings settings;
  settings.prompt_2 = "a blue cube";
  CHECK(CodeOf([&] { refiner->Resolve(settings); }) == ErrorCode::kUnsupported);
  CHECK(base->Resolve(settings).prompt_2 == "a blue cube");
  settings.prompt_2 = "";
  settings.negative_2 = "a sphere";
  CHECK(CodeOf([&] { refiner->Resolve(settings); }) == ErrorCode::kUnsupported);
  // SDXL counts from the layer before the last: of three layers two can be skipped.
  settings = {};
  settings.clip_skip = 2;
  CHECK(base->Resolve(settings).clip_skip == 2);
  settings.clip_skip = 3;
  CHECK(CodeOf([&] { base->Resolve(settings); }) == ErrorCode::kUsage);
  // diffusers' defaults of the classes.
  CHECK(base->Resolve({}).cfg == 5);
  CHECK_FALSE(base->Resolve({}).negative.has_value());  // zeros
  CHECK(refiner->Resolve({}).negative == "");
}

TEST_CASE("both encoders' windows are weighted, and padded to each other") {
  const auto backend = MakeCpuBackend();
  const TempDir folder;
  const auto pipeline = LoadGolden(folder, RunNamed("sdxl"), *backend);
  GenerateSettings settings = RunSettings(RunNamed("sdxl")["settings"]);
  settings.steps = 1;
  settings.batch = 1;
  const auto texts = [&](const std::string& mode, const std::string& prompt,
                         const std::string& second) {
    NamedTensors kept;
    settings.prompt_weights = mode;
    settings.prompt = prompt;
    settings.prompt_2 = second;
    pipeline->Run(settings, {}, {.on_text = [&](const NamedTensors& text) { kept = text; }});
    return kept;
  };
  // Columns of one encoder, as a tensor of its own.
  const auto part = [](const HostTensor& states, int64_t first, int64_t width) {
    const int64_t t = states.shape()[1];
    HostTensor out({t, width}, DType::kF32);
    for (int64_t i = 0; i < t; ++i) {
      const float* row = states.Data<float>() + i * states.shape()[2] + first;
      std::copy(row, row + width, out.Data<float>() + i * width);
    }
    return out;
  };
  const auto plain = texts("a1111", "a red cube", "");
  for (const std::string mode : {"a1111", "comfy"}) {
    CAPTURE(mode);
    // Weights move the states, each encoder's own; the pooled text has none.
    const auto first = texts(mode, "a (red:1.6) cube", "a red cube");
    const auto second = texts(mode, "a red cube", "a (red:1.6) cube");
    CHECK(RelativeL2(part(first.at("prompt_embeds"), 0, 24),
                     part(plain.at("prompt_embeds"), 0, 24)) > 1e-3);
    CHECK(RelativeL2(part(first.at("prompt_embeds"), 24, 32),
                     part(plain.at("prompt_embeds"), 24, 32)) < 1e-6);
    CHECK(RelativeL2(part(second.at("prompt_embeds"), 0, 24),
                     part(plain.at("prompt_embeds"), 0, 24)) < 1e-6);
    CHECK(RelativeL2(part(second.at("prompt_embeds"), 24, 32),
                     part(plain.at("prompt_embeds"), 24, 32)) > 1e-3);
    CHECK(RelativeL2(second.at("pooled_prompt_embeds"), plain.at("pooled_prompt_embeds")) < 1e-6);
    // A long prompt for one encoder only.
    std::string longer = "a red cube";
    for (int i = 0; i < 60; ++i) longer += " and the blue";
    const auto windows = texts(mode, longer, "a red cube");
    const int64_t tokens = windows.at("prompt_embeds").shape()[1];
    CHECK(tokens > 77);
    CHECK(tokens % 77 == 0);
    CHECK(windows.at("negative_prompt_embeds").shape()[1] == tokens);
    CHECK(RelativeL2(windows.at("pooled_prompt_embeds"), plain.at("pooled_prompt_embeds")) < 1e-6);
  }
}

TEST_CASE("an SDXL checkpoint in one file makes the pictures of its folder") {
  const auto backend = MakeCpuBackend();
  const TempDir folder, other;
  const Json run = RunNamed("sdxl_pairs");
  const GenerateSettings settings = RunSettings(run["settings"]);
  const Generated whole = LoadGolden(folder, run, *backend)->Run(settings, {}, {});
  WriteSingleFile(folder.Path(), other.Path() / "xl.safetensors");
  SingleFileOptions options;
  options.config = folder.Path().string();
  const ModelFolder single = OpenSingleFile(other.Path() / "xl.safetensors", options);
  CHECK(single.pipeline_class == "StableDiffusionXLPipeline");
  const auto pipeline = TextToImage::Load(single, *backend);
  CHECK_FALSE(pipeline->Resolve({}).negative.has_value());  // the config's force_zeros
  const Generated same = pipeline->Run(settings, {}, {});
  CHECK(RelativeL2(same.latents, whole.latents) == 0);
  CHECK(same.images[0].rgb == whole.images[0].rgb);
}

TEST_CASE("LoRA files reach both text encoders of SDXL") {
  const auto backend = MakeCpuBackend();
  const TempDir folder;
  const Json run = RunNamed("sdxl");
  WritePipeline(folder.Path(), run["scheduler"].dump(), "pipeline_classes/sdxl");
  // Rank 1, kohya's names.
  NamedTensors lora;
  const auto add = [&](const std::string& layer, int64_t width) {
    HostTensor down({1, width}, DType::kF32), up({width, 1}, DType::kF32);
    for (int64_t i = 0; i < width; ++i) down.Data<float>()[i] = up.Data<float>()[i] = 0.3F;
    lora[layer + ".lora_down.weight"] = down;
    lora[layer + ".lora_up.weight"] = up;
  };
  GenerateSettings settings = RunSettings(run["settings"]);
  settings.steps = 1;
  settings.batch = 1;
  const auto texts = [&] {
    WriteSafetensors(folder.Path() / "lora.safetensors", lora);
    ModelFolder model = OpenModelFolder(folder.Path());
    if (!lora.empty()) AddLoras(model, {{folder.Path() / "lora.safetensors", 1}});
    NamedTensors kept;
    TextToImage::Load(model, *backend)
        ->Run(settings, {}, {.on_text = [&](const NamedTensors& text) { kept = text; }});
    return kept;
  };
  const NamedTensors plain = texts();
  add("lora_te1_text_model_encoder_layers_0_self_attn_v_proj", 24);
  const NamedTensors first = texts();
  CHECK(RelativeL2(first.at("prompt_embeds"), plain.at("prompt_embeds")) > 1e-3);
  CHECK(RelativeL2(first.at("pooled_prompt_embeds"), plain.at("pooled_prompt_embeds")) == 0);
  lora.clear();
  add("lora_te2_text_model_encoder_layers_0_self_attn_v_proj", 32);
  const NamedTensors second = texts();
  CHECK(RelativeL2(second.at("prompt_embeds"), plain.at("prompt_embeds")) > 1e-3);
  CHECK(RelativeL2(second.at("pooled_prompt_embeds"), plain.at("pooled_prompt_embeds")) > 1e-3);
}

TEST_CASE("folders whose text encoders do not fit their U-Net are refused") {
  const auto backend = MakeCpuBackend();
  const TempDir folder;
  const Json run = RunNamed("sdxl");
  WritePipeline(folder.Path(), run["scheduler"].dump(), "pipeline_classes/sdxl");
  const auto load_with = [&](const std::function<void(Json&)>& change) {
    Json index = Config::ReadFile(GoldenFolder() / "pipeline_classes/sdxl/model_index.json").Json();
    change(index);
    std::ofstream(folder.Path() / "model_index.json") << index.dump();
    return CodeOf([&] { TextToImage::Load(OpenModelFolder(folder.Path()), *backend); });
  };
  using J = Json;
  CHECK(load_with([](J& index) { index["requires_aesthetics_score"] = true; }) ==
        ErrorCode::kBadFile);
  CHECK(load_with([](J& index) { index.erase("text_encoder"); }) == ErrorCode::kBadFile);
  CHECK(load_with([](J& index) { index["text_encoder_2"][1] = "CLIPTextModel"; }) ==
        ErrorCode::kUnsupported);
  CHECK(load_with([](J& index) { index["_class_name"] = "StableDiffusionPipeline"; }) !=
        ErrorCode::kInternal);
  CHECK(load_with([](J& index) { index["_class_name"] = "PixArtSigmaPipeline"; }) ==
        ErrorCode::kUnsupported);
}

}  // namespace fovea
