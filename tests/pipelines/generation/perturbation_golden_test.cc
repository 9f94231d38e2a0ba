// Whole runs that are led away from perturbed attention, against diffusers' PAG pipelines and
// against maps of single heads (tests/golden/perturbation, made by tools/golden/perturbation.py).
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

constexpr double kLimit = 1e-4;  // relative, of final latents

GenerateSettings PerturbedSettings(const Json& json) {
  GenerateSettings settings = RunSettings(json);
  settings.perturb = json["perturb"];
  settings.perturb_kind = json["perturb_kind"];
  settings.perturb_scope = json["perturb_scope"];
  settings.perturb_scale = json["perturb_scale"];
  settings.perturb_steps = json["perturb_steps"];
  return settings;
}

}  // namespace

TEST_CASE("runs away from perturbed heads and blocks end where the reference's end") {
  const std::filesystem::path golden = GoldenFolder() / "perturbation";
  const Json list = Config::ReadFile(golden / "runs.json").Json();
  const NamedTensors tensors = ReadSafetensors(golden / "runs.safetensors");
  const auto backend = MakeCpuBackend();
  REQUIRE(list["runs"].size() >= 19);
  for (const Json& run : list["runs"]) {
    const std::string name = run["name"];
    CAPTURE(name);
    const TempDir folder;
    WritePipeline(folder.Path(), run["scheduler"].dump(), run["model"].get<std::string>());
    const auto pipeline = TextToImage::Load(OpenModelFolder(folder.Path()), *backend);
    GenerateSettings settings = PerturbedSettings(run["settings"]);
    const GenerateInputs inputs{&tensors.at(name + ".init")};
    const Prediction prediction = pipeline->DryRun(settings, inputs);
    const Generated generated = pipeline->Run(settings, inputs, {});
    CHECK(RelativeL2(generated.latents, tensors.at(name + ".latents")) < kLimit);
    CHECK(prediction.arena_bytes == generated.arena_bytes);
    CHECK(prediction.packed_bytes == generated.packed_bytes);
    CHECK(prediction.unshared_flops >= prediction.flops);
    // Were nothing perturbed, the end would be another.
    settings.perturb.clear();
    const Generated plain = pipeline->Run(settings, inputs, {});
    CHECK(RelativeL2(plain.latents, tensors.at(name + ".latents")) > 20 * kLimit);
  }
}

}  // namespace fovea
