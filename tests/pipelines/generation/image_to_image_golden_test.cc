// Runs that start from pictures against diffusers' StableDiffusionImg2ImgPipeline and
// StableDiffusionInpaintPipeline (tests/golden/image_pipeline, made by
// tools/golden/image_pipeline.py).
#include <fstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "models/files/safetensors.h"
#include "pipelines/generation/text_to_image.h"
#include "pipelines/pictures/picture_file.h"
#include "tests/support/golden_case.h"
#include "tests/support/pipeline_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

using Json = nlohmann::json;

constexpr double kLimit = 1e-4;  // as for runs from a prompt

std::filesystem::path Golden() {
  return GoldenFolder() / "image_pipeline";
}

// The tiny pipeline, its U-Net one of 9 channels where a run asks for it, its VAE's tile as asked.
void WriteModel(const std::filesystem::path& to, const Json& run) {
  WritePipeline(to, run["scheduler"].dump());
  const Json& settings = run["settings"];
  if (settings["kind"] == "inpaint9") {
    const std::filesystem::path from = Golden() / "unet_inpaint", unet = to / "unet";
    std::filesystem::copy_file(from / "config.json", unet / "config.json",
                               std::filesystem::copy_options::overwrite_existing);
    WriteFormulaWeights(ReadShapes(from / "tensors.json"), DType::kF32,
                        unet / "diffusion_pytorch_model.safetensors");
  }
  if (settings["tile"] != 0) {
    Json vae = Config::ReadFile(to / "vae" / "config.json").Json();
    vae["sample_size"] = settings["tile"];
    std::ofstream(to / "vae" / "config.json") << vae;
  }
}

GenerateSettings SettingsOf(const Json& json, const Image& image, const Image& mask) {
  GenerateSettings settings;
  settings.prompt = json["prompt"];
  settings.negative = json["negative"].get<std::string>();
  if (!json["size"].is_null()) {
    settings.width = json["size"][0];
    settings.height = json["size"][1];
  }
  settings.steps = json["steps"];
  settings.strength = json["strength"];
  settings.cfg = json["cfg"];
  settings.eta = json["eta"];
  settings.seed = json["seed"].get<uint64_t>();
  settings.batch = json["batch"];
  settings.clip_skip = json["clip_skip"];
  settings.image = PictureDigest(image);
  if (json["kind"] != "img2img") settings.mask = PictureDigest(mask);
  if (json["tile"] != 0) settings.vae_tiling = "on";
  settings.rng = "torch";
  settings.dtype = "f32";
  return settings;
}

}  // namespace

TEST_CASE("runs from pictures end where diffusers' end") {
  const Json list = Config::ReadFile(Golden() / "runs.json").Json();
  const NamedTensors tensors = ReadSafetensors(Golden() / "runs.safetensors");
  const Image image = ReadPicture(Golden() / "given.png");
  const Image mask = ReadPicture(Golden() / "mask.png");
  const auto backend = MakeCpuBackend();
  REQUIRE(list["runs"].size() > 45);
  for (const Json& run : list["runs"]) {
    const std::string name = run["name"];
    CAPTURE(name);
    const TempDir folder;
    WriteModel(folder.Path(), run);
    const auto pipeline = TextToImage::Load(OpenModelFolder(folder.Path()), *backend);
    const GenerateSettings settings = SettingsOf(run["settings"], image, mask);
    const GenerateInputs inputs = {.image = &image,
                                   .mask = settings.mask.empty() ? nullptr : &mask};
    const Prediction predicted = pipeline->DryRun(settings, inputs);
    const Generated generated = pipeline->Run(settings, inputs, {});
    CHECK_FALSE(generated.cancelled);
    CHECK(generated.arena_bytes == predicted.arena_bytes);
    CHECK(RelativeL2(generated.latents, tensors.at(name + ".latents")) < kLimit);
  }
}

TEST_CASE("models of nine channels want a picture and a mask") {
  const TempDir folder;
  const Json run = {{"scheduler", Json::parse(Sd15SchedulerJson())},
                    {"settings", {{"kind", "inpaint9"}, {"tile", 0}}}};
  WriteModel(folder.Path(), run);
  const auto backend = MakeCpuBackend();
  const auto pipeline = TextToImage::Load(OpenModelFolder(folder.Path()), *backend);
  const Image image = ReadPicture(Golden() / "given.png");
  GenerateSettings settings;
  settings.steps = 2;
  const auto refusal = [&](const GenerateInputs& inputs) {
    try {
      pipeline->DryRun(settings, inputs);
    } catch (const Error& error) {
      CHECK(error.code == ErrorCode::kUsage);
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(refusal({}).find("give --image and --mask") != std::string::npos);
  settings.image = PictureDigest(image);
  CHECK(refusal({.image = &image}).find("give --image and --mask") != std::string::npos);
  // Settings of a picture without the picture itself.
  CHECK(refusal({}).find("image: the settings say 85x61-") == 0);
  settings.mask = PictureDigest(image);
  CHECK(refusal({.image = &image, .mask = &image}).empty());
}

TEST_CASE("a run that is cancelled before its picture is encoded leaves nothing") {
  const TempDir folder;
  WritePipeline(folder.Path(), Sd15SchedulerJson());
  const auto backend = MakeCpuBackend();
  const auto pipeline = TextToImage::Load(OpenModelFolder(folder.Path()), *backend);
  const Image image = ReadPicture(Golden() / "given.png");
  std::stop_source stop;
  GenerateSettings settings;
  settings.steps = 3;
  settings.image = PictureDigest(image);
  GenerateHooks hooks;
  hooks.stop = stop.get_token();
  hooks.on_text = [&](const NamedTensors&) { stop.request_stop(); };
  hooks.on_step = [](const StepView&) { FAIL("no step may follow"); };
  const Generated generated = pipeline->Run(settings, {.image = &image}, hooks);
  CHECK(generated.cancelled);
  CHECK(generated.images.empty());
}

}  // namespace fovea
