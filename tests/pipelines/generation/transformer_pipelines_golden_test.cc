// Whole runs of SD3, FLUX and DiT pipelines against diffusers' (tests/golden/transformer_pipelines,
// made by tools/golden/transformer_pipelines.py), from noise and from a picture.
#include <fstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "models/files/safetensors.h"
#include "pipelines/generation/text_to_image.h"
#include "pipelines/pictures/picture_file.h"
#include "tests/support/golden_case.h"
#include "tests/support/pipeline_case.h"
#include "tests/support/source_dir.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

using Json = nlohmann::json;

constexpr double kLimit = 1e-4;  // relative, of final latents

// The text encoders of these suffixes, as a pipeline that was saved without them.
void LeaveOut(const std::vector<std::string>& suffixes, const std::filesystem::path& folder) {
  Json index = Config::ReadFile(folder / "model_index.json").Json();
  for (const std::string& suffix : suffixes) {
    for (const std::string part : {"text_encoder", "tokenizer"}) {
      index[part + suffix] = {nullptr, nullptr};
      std::filesystem::remove_all(folder / (part + suffix));
    }
  }
  std::ofstream(folder / "model_index.json") << index.dump(1);
}

}  // namespace

TEST_CASE("runs of SD3, FLUX and DiT end where diffusers' end", "[golden]") {
  const std::filesystem::path golden = GoldenFolder() / "transformer_pipelines";
  const Json list = Config::ReadFile(golden / "runs.json").Json();
  const NamedTensors tensors = ReadSafetensors(golden / "runs.safetensors");
  const Image picture = ReadPicture(GoldenFolder() / "image_pipeline/given.png");
  const auto backend = MakeCpuBackend();
  REQUIRE(list["runs"].size() >= 31);
  int texts = 0;
  for (const Json& run : list["runs"]) {
    const std::string name = run["name"];
    CAPTURE(name);
    const TempDir folder;
    WritePipeline(folder.Path(), run["scheduler"].dump(),
                  "transformer_pipelines/" + run["model"].get<std::string>());
    LeaveOut(run["settings"].value("without", std::vector<std::string>()), folder.Path());
    const auto pipeline = TextToImage::Load(OpenModelFolder(folder.Path()), *backend);
    GenerateHooks hooks;
    hooks.on_text = TextChecker(tensors, name, &texts);
    GenerateSettings settings = RunSettings(run["settings"]);
    GenerateInputs inputs;
    if (run["settings"]["strength"] != 0) {
      settings.strength = run["settings"]["strength"];
      settings.image = PictureDigest(picture);
      inputs.image = &picture;
    }
    const auto init = tensors.find(name + ".init");
    if (init != tensors.end()) inputs.init_latents = &init->second;
    const Prediction prediction = pipeline->DryRun(settings, inputs);
    const Generated generated = pipeline->Run(settings, inputs, hooks);
    CHECK(RelativeL2(generated.latents, tensors.at(name + ".latents")) < kLimit);
    CHECK(generated.images.size() == static_cast<size_t>(settings.batch));
    CHECK(prediction.arena_bytes == generated.arena_bytes);
    CHECK(prediction.packed_bytes == generated.packed_bytes);
  }
  CHECK(texts == 9 * 4 + 2 * 2);
}

TEST_CASE("the sites of a pipeline have as many tokens of text as its encoders give", "[golden]") {
  const auto backend = MakeCpuBackend();
  const auto built_in =
      TextToImage::Load(OpenModelFolder(SourceDir() / "assets/models/still-life-dit"), *backend);
  const auto sites = built_in->Facts().sites;
  REQUIRE(sites.size() == 9);
  CHECK(SameLayout(sites[0].tokens, {{SegmentKind::kGrid, 0, 64, {1, 8, 8}},
                                     {SegmentKind::kText, 64, 32, {1, 1, 1}}}));

  const TempDir folder;  // FLUX has its text first
  WritePipeline(folder.Path(), "{\"_class_name\":\"FlowMatchEulerDiscreteScheduler\"}",
                "transformer_pipelines/flux_dev");
  const auto flux = TextToImage::Load(OpenModelFolder(folder.Path()), *backend);
  const TokenLayout tokens = flux->Facts().sites.at(0).tokens;
  REQUIRE(tokens.size() == 2);
  CHECK(tokens[0].length == 512);
  CHECK(tokens[1].begin == 512);
}

}  // namespace fovea
