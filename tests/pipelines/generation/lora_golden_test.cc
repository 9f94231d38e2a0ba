// LoRA files on the components of tiny pipelines, against diffusers' load_lora_weights.
#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>

#include <nlohmann/json.hpp>

#include "models/files/safetensors.h"
#include "models/lora/lora_deltas.h"
#include "models/single_file/single_file.h"
#include "pipelines/forward/forward.h"
#include "tests/support/single_file_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

const fs::path& LoraFolder() {
  static const fs::path folder = GoldenFolder() / "lora";
  return folder;
}

std::map<std::string, NamedTensors> RunAll(const ModelFolder& model, const SingleFileCase& single,
                                           DType dtype = DType::kF32) {
  const auto backend = MakeCpuBackend();
  std::map<std::string, NamedTensors> out;
  for (const auto& [component, runs] : single.runs) {
    if (component == "vae") continue;
    ForwardOptions options;
    options.dtype = dtype;
    const auto loaded = Component::Load(model.Get(component), *backend);
    out[component] = loaded->Forward(runs.front().inputs, options).outputs;
  }
  return out;
}

TEST_CASE("LoRA files add what diffusers' load_lora_weights adds", "[golden]") {
  std::ifstream about(LoraFolder() / "lora.json");
  const auto cases = nlohmann::json::parse(about).at("cases");
  const NamedTensors golden = ReadSafetensors(LoraFolder() / "io.safetensors");
  REQUIRE(cases.size() >= 6);
  for (const auto& [name, described] : cases.items()) {
    const SingleFileCase single = SingleFileCase::Read(described.at("model"));
    const TempDir temp;
    single.WriteFile(temp / "model.safetensors");
    ModelFolder model =
        OpenSingleFile(temp / "model.safetensors", {{}, single.folder.string(), {}, {}});
    const auto before = RunAll(model, single);
    std::vector<LoraChoice> loras;
    for (const auto& [file, scale] : described.at("files").items()) {
      loras.push_back({LoraFolder() / (file + ".safetensors"), scale.get<double>()});
    }
    AddLoras(model, loras);
    const auto got = RunAll(model, single);
    const auto in_bf16 = RunAll(model, single, DType::kBF16);
    size_t compared = 0;
    for (const auto& [output, error] : described.at("reference_f32_error").items()) {
      INFO(name << " " << output);
      const size_t dot = output.find('.');
      const std::string component = output.substr(0, dot), tensor = output.substr(dot + 1);
      const HostTensor& want = golden.at(name + "." + output);
      const double limit = ForwardLimit(want, error.get<double>());
      CHECK(Difference(got.at(component).at(tensor), want, limit) == "");
      CHECK(RelativeL2(in_bf16.at(component).at(tensor), want) < 0.05);
      ++compared;
    }
    CHECK(compared >= 2);

    // Without them the weights are the file's own again, to the last bit.
    model.components =
        OpenSingleFile(temp / "model.safetensors", {{}, single.folder.string(), {}, {}}).components;
    const auto after = RunAll(model, single);
    for (const auto& [component, outputs] : before) {
      for (const auto& [tensor, values] : outputs) {
        CHECK(std::memcmp(values.data(), after.at(component).at(tensor).data(), values.Bytes()) ==
              0);
      }
    }
  }
}

// Matrices in f32 are used where they lie in the file, but for those that gain something.
TEST_CASE("LoRA files join weights in f32, too", "[golden]") {
  const SingleFileCase single = SingleFileCase::Read("sd15");
  const NamedTensors golden = ReadSafetensors(LoraFolder() / "io.safetensors");
  const TempDir temp;
  single.WriteFile(temp / "model.safetensors");
  NamedTensors weights = ReadSafetensors(temp / "model.safetensors");
  for (auto& [name, tensor] : weights) tensor = tensor.ToF32();
  WriteSafetensors(temp / "model.safetensors", weights);
  ModelFolder model =
      OpenSingleFile(temp / "model.safetensors", {{}, single.folder.string(), {}, {}});
  AddLoras(model, {{LoraFolder() / "kohya.safetensors", 1}});
  const auto got = RunAll(model, single);
  for (const auto& [component, outputs] : got) {
    for (const auto& [tensor, values] : outputs) {
      const auto want = golden.find("kohya." + component + "." + tensor);
      REQUIRE(want != golden.end());
      CHECK(Difference(values, want->second, ForwardLimit(want->second, 1e-5)) == "");
    }
  }
}

}  // namespace
}  // namespace fovea
