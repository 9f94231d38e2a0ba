// Adapter files for transformers and T5 under every naming, against diffusers.
#include <catch2/catch.hpp>
#include <fstream>

#include <nlohmann/json.hpp>

#include "models/files/safetensors.h"
#include "models/lora/lora_deltas.h"
#include "pipelines/forward/forward.h"
#include "tests/support/golden_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

HostTensor RunFirst(const ModelFolder& model, const GoldenCase& golden, const std::string& output) {
  const auto backend = MakeCpuBackend();
  const auto component = Component::Load(model.components.front(), *backend);
  return component->Forward(golden.runs.front().inputs, {}).outputs.at(output);
}

TEST_CASE("adapters: transformers and T5 read every naming as diffusers does", "[golden]") {
  const auto folder = GoldenFolder() / "adapters";
  std::ifstream about(folder / "networks.json");
  const auto cases = nlohmann::json::parse(about);
  const NamedTensors io = ReadSafetensors(folder / "io.safetensors");
  REQUIRE(cases.size() >= 14);
  for (const auto& [name, described] : cases.items()) {
    INFO(name);
    const GoldenCase golden =
        GoldenCase::Read(GoldenFolder() / "forward" / described.at("network").get<std::string>());
    const TempDir temp;
    golden.WriteModel(temp / "model");
    ModelFolder model = OpenModelFolder(temp / "model");
    const bool t5 = golden.class_name == "T5EncoderModel";
    const std::string output = t5 ? "last_hidden_state" : "sample";
    const HostTensor before = RunFirst(model, golden, output);
    AddLoras(model, {{folder / (name + ".safetensors"), {}}});
    const HostTensor got = RunFirst(model, golden, output);
    const HostTensor& want = io.at(name);
    const double error = described.at("reference_f32_error").get<double>();
    // These additions are as large as the weights, and the networks amplify what they get: 2.2
    // times the limit of one pass is the most that was seen.
    CHECK(Difference(got, want, 3 * ForwardLimit(want, error)) == "");
    CHECK(RelativeL2(before, want) > 0.01);
    // Taken away again, nothing of it is left.
    model.components.front().loras.clear();
    CHECK(Difference(RunFirst(model, golden, output), before, 0) == "");
  }
}

}  // namespace
}  // namespace fovea
