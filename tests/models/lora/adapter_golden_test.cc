// One layer under every method of adapters, against LyCORIS' and PEFT's own forward passes.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <fstream>

#include <nlohmann/json.hpp>

#include "models/files/safetensors.h"
#include "models/lora/lora_deltas.h"
#include "tests/support/golden_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

struct LayerCase {
  std::string path;
  double scale;
  HostTensor base, base_bias, want, want_bias;
  std::filesystem::path file;
};

LayerCase ReadCase(const std::string& name, const nlohmann::json& about, const NamedTensors& golden,
                   const TempDir& temp) {
  LayerCase out{about.at("path"),
                about.at("scale"),
                golden.at(name + "/base"),
                golden.at(name + "/base_bias"),
                golden.at(name + "/want"),
                golden.at(name + "/want_bias"),
                temp / "adapter.safetensors"};
  if (about.contains("folder")) {
    out.file = GoldenFolder() / "adapters" / about.at("folder").get<std::string>() /
               "adapter_model.safetensors";
    return out;
  }
  NamedTensors file;
  const std::string prefix = name + "/file/";
  for (const auto& [key, tensor] : golden) {
    if (key.starts_with(prefix)) file[key.substr(prefix.size())] = tensor;
  }
  WriteSafetensors(out.file, file);
  return out;
}

double WorstDifference(const HostTensor& got, const HostTensor& want) {
  REQUIRE(got.shape() == want.shape());
  double worst = 0;
  for (int64_t i = 0; i < got.NumElements(); ++i) {
    const double difference = std::abs(double{got.Data<float>()[i]} - want.Data<float>()[i]);
    worst = std::isfinite(difference) ? std::max(worst, difference) : INFINITY;
  }
  return worst;
}

TEST_CASE("adapters: every method adds what its own code adds", "[golden]") {
  std::ifstream about(GoldenFolder() / "adapters" / "layers.json");
  const auto cases = nlohmann::json::parse(about).at("cases");
  const NamedTensors golden = ReadSafetensors(GoldenFolder() / "adapters" / "layers.safetensors");
  REQUIRE(cases.size() >= 29);
  for (const auto& [name, described] : cases.items()) {
    INFO(name);
    const TempDir temp;
    const LayerCase layer = ReadCase(name, described, golden, temp);
    std::ofstream(temp / "config.json") << R"({"_class_name":"UNet2DConditionModel"})";
    const ComponentFolder component{.name = "unet",
                                    .class_name = "UNet2DConditionModel",
                                    .folder = temp.Path(),
                                    .loras = {{layer.file, {layer.scale}}}};
    const auto deltas = OpenLoraDeltas(component, temp / "config.json");
    const auto delta = deltas->Find(layer.path, layer.base.View());
    REQUIRE(delta != nullptr);
    HostTensor got = layer.base, bias = layer.base_bias;
    const int64_t rows = got.shape()[0], columns = got.NumElements() / rows;
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t first = 0; first < columns; first += 7) {
        const auto count = static_cast<size_t>(std::min<int64_t>(7, columns - first));
        delta->AddTo(row, first, {got.Data<float>() + row * columns + first, count});
      }
    }
    const bool adds = deltas->HasVector(layer.path + ".bias");
    CHECK(deltas->AddToVector(layer.path + ".bias", bias) == adds);
    CHECK(WorstDifference(got, layer.want) < 1e-5);
    CHECK(WorstDifference(bias, layer.want_bias) < 1e-5);
    CHECK(WorstDifference(got, layer.base) > 0.05);
    deltas->CheckAllUsed();
  }
}

}  // namespace
}  // namespace fovea
