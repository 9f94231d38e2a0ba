// Whole runs against diffusers' StableDiffusionPipeline (tests/golden/pipeline, made by
// tools/golden/pipeline.py): from given latents, or from a seed alone.
#include <cmath>
#include <map>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "models/files/safetensors.h"
#include "pipelines/generation/text_to_image.h"
#include "tests/support/golden_case.h"
#include "tests/support/pipeline_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

using Json = nlohmann::json;

// Relative distance in L2; NaN counts as infinite.
double Distance(std::span<const float> got, const HostTensor& want) {
  REQUIRE(static_cast<int64_t>(got.size()) == want.NumElements());
  double difference = 0, norm = 0;
  for (size_t k = 0; k < got.size(); ++k) {
    const double expected = want.Data<float>()[k];
    difference += (got[k] - expected) * (got[k] - expected);
    norm += expected * expected;
  }
  const double distance = std::sqrt(difference / norm);
  return std::isnan(distance) ? INFINITY : distance;
}

std::span<const float> ValuesOf(const HostTensor& tensor) {
  return {tensor.Data<float>(), static_cast<size_t>(tensor.NumElements())};
}

constexpr double kLimit = 1e-4;  // of the issue, for runs of 10 steps

}  // namespace

TEST_CASE("runs from a prompt end where diffusers' end") {
  const std::filesystem::path golden = GoldenFolder() / "pipeline";
  const Json list = Config::ReadFile(golden / "runs.json").Json();
  const NamedTensors tensors = ReadSafetensors(golden / "runs.safetensors");
  const auto backend = MakeCpuBackend();
  REQUIRE(list["runs"].size() > 20);
  for (const Json& run : list["runs"]) {
    const std::string name = run["name"];
    CAPTURE(name);
    const TempDir folder;
    WritePipeline(folder.Path(), run["scheduler"].dump());
    const auto pipeline = TextToImage::Load(OpenModelFolder(folder.Path()), *backend);

    const auto init = tensors.find(name + ".init");
    const bool in_full = tensors.contains(name + ".step.0.model_output");
    GenerateHooks hooks;
    int steps_seen = 0;
    hooks.on_step = [&](const StepView& view) {
      CHECK(view.step == steps_seen++);
      if (!in_full) return;
      const std::string step = name + ".step." + std::to_string(view.step);
      CAPTURE(step);
      CHECK(view.timestep == tensors.at(step + ".timestep").Data<float>()[0]);
      CHECK(Distance(view.model_output, tensors.at(step + ".model_output")) < kLimit);
      CHECK(Distance(view.latents_out, tensors.at(step + ".latents_out")) < kLimit);
    };
    hooks.on_text = [&](const NamedTensors& text) {
      if (!in_full) return;
      CHECK(Distance(ValuesOf(text.at("prompt_embeds")), tensors.at(name + ".positive")) < 1e-5);
      CHECK(Distance(ValuesOf(text.at("negative_prompt_embeds")), tensors.at(name + ".negative")) <
            1e-5);
    };
    const Generated generated = pipeline->Run(
        RunSettings(run["settings"]), {init == tensors.end() ? nullptr : &init->second}, hooks);

    CHECK_FALSE(generated.cancelled);
    const double distance = Distance(ValuesOf(generated.latents), tensors.at(name + ".latents"));
    CHECK(distance < kLimit);
    if (!in_full) continue;
    const HostTensor& pictures = tensors.at(name + ".picture");  // (n,H,W,3)
    REQUIRE(generated.images.size() == static_cast<size_t>(pictures.shape()[0]));
    const uint8_t* want = pictures.Data<uint8_t>();
    for (const Image& image : generated.images) {
      int worst = 0;
      for (const uint8_t value : image.rgb) worst = std::max(worst, std::abs(value - *want++));
      CHECK(worst <= 1);  // where rounding falls the other way
    }
  }
}

}  // namespace fovea
