// Relevance by gradients against autograd through transformers' and timm's own models.
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <map>

#include <nlohmann/json.hpp>

#include "models/files/safetensors.h"
#include "pipelines/maps/gradient_relevance.h"
#include "tests/support/error_code.h"
#include "tests/support/golden_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

using nlohmann::json;

struct Wanted {
  int height, width;
  std::vector<float> values;
};

// "case.run" -> "map", or "layer.head" -> what autograd makes.
std::map<std::string, std::map<std::string, Wanted>> ReadWanted() {
  const auto folder = GoldenFolder() / "vit_gradient";
  std::ifstream file(folder / "index.json");
  const json index = json::parse(file);
  const HostTensor values = ReadSafetensors(folder / "maps.safetensors").at("values");
  std::map<std::string, std::map<std::string, Wanted>> cases;
  const float* next = values.Data<float>();
  for (const json& entry : index) {
    const std::string name = entry[0];
    const size_t run = name.find('.') + 1, what = name.find('.', run) + 1;
    Wanted wanted{entry[1], entry[2], {}};
    const int64_t count = int64_t{wanted.height} * wanted.width;
    wanted.values.assign(next, next + count);
    next += count;
    cases[name.substr(0, what - 1)][name.substr(what)] = std::move(wanted);
  }
  REQUIRE(next == values.Data<float>() + values.NumElements());
  return cases;
}

std::vector<float> Cosines(int64_t count) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) {
    values.push_back(static_cast<float>(std::cos(static_cast<double>(i))));
  }
  return values;
}

// Of models that have no classes: of a sum of their pooled output.
std::vector<AttentionMap> OfPooled(Component& component, Backend& backend,
                                   const NamedTensors& inputs, const MapSelection& selection) {
  VitTape tape;
  ForwardOptions options;
  options.hidden_states = true;
  options.listeners = {&tape};
  const NamedTensors outputs = component.Forward(inputs, options).outputs;
  std::vector<Tensor> hidden;
  for (size_t i = 0; i <= tape.Layers().size(); ++i) {
    const Tensor all = outputs.at("hidden_states." + std::to_string(i)).View();
    hidden.push_back(all.Slice(0, 0, 1).Reshape({all.shape[1], all.shape[2]}));
  }
  Arena arena(backend, 16 << 20);
  Context ctx{backend, arena};
  return RelevanceOf(ctx, *component.Vit(), hidden, tape, Cosines(component.Vit()->Columns()),
                     selection);
}

TEST_CASE("relevance by gradients agrees with autograd", "[golden]") {
  const auto backend = MakeCpuBackend();
  const auto cases = ReadWanted();
  REQUIRE(cases.size() >= 30);
  double worst_of_all = 0;
  for (const auto& [name, maps] : cases) {
    INFO(name);
    const size_t dot = name.find('.');
    const int number = std::stoi(name.substr(dot + 1));
    const GoldenCase golden = GoldenCase::Read(GoldenFolder() / "forward" / name.substr(0, dot));
    const TempDir temp;
    golden.WriteModel(temp / "model");
    const auto component =
        Component::Load(OpenModelFolder(temp / "model").components.front(), *backend);
    const VitConfig& vit = component->Vit()->Traits();
    const GoldenRun& run = golden.runs.at(static_cast<size_t>(number));
    MapSelection selection;
    selection.per_head = true;
    std::vector<AttentionMap> got;
    if (vit.head == VitHead::kClassToken) {
      got = OfPooled(*component, *backend, run.inputs, selection);
    } else {
      RelevanceTarget target{"asked", number % vit.outputs, {}};
      if (vit.head == VitHead::kClipProjection) target.text = Cosines(vit.outputs);
      got = GradientMaps(*component, *backend, run.inputs, {&target, 1}, selection, {});
      CHECK(got.front().word == "asked");
    }
    REQUIRE(got.size() == maps.size());
    // Heads of one pass are of one scale: some have no more than a difference of close numbers.
    double of_heads = 0;
    for (const auto& [what, want] : maps) {
      for (const float value : want.values) {
        if (what != "map") of_heads = std::max(of_heads, std::abs(static_cast<double>(value)));
      }
    }
    for (const AttentionMap& map : got) {
      std::string what = "map";
      for (size_t i = 0; map.head >= 0 && i < component->AttentionSites().size(); ++i) {
        if (component->AttentionSites()[i].path == map.layer) {
          what = std::to_string(i) + "." + std::to_string(map.head);
        }
      }
      INFO(what);
      const Wanted& want = maps.at(what);
      REQUIRE(map.map.height == want.height);
      REQUIRE(map.map.width == want.width);
      double worst = 0, largest = map.head >= 0 ? of_heads : 0;
      for (size_t i = 0; i < want.values.size(); ++i) {
        const double error =
            std::abs(static_cast<double>(map.map.values[i]) - static_cast<double>(want.values[i]));
        if (!(error <= worst)) worst = error;
        largest = std::max(largest, std::abs(static_cast<double>(want.values[i])));
      }
      CHECK(worst <= 1e-5 * largest);
      if (largest > 0) worst_of_all = std::max(worst_of_all, worst / largest);
    }
  }
  UNSCOPED_INFO("worst " << worst_of_all);
  CHECK(worst_of_all > 0);
}

TEST_CASE("relevance by gradients refuses what it cannot be asked about") {
  VitConfig model;
  model.class_name = "Dinov2Model";
  model.head = VitHead::kClassToken;
  CHECK(CodeOf([&] { CheckTarget(model, {}); }) == ErrorCode::kUnsupported);
  model.head = VitHead::kClassifier;
  model.outputs = 3;
  CheckTarget(model, {"", 2, {}});
  for (const int64_t index : {-1, 3}) {
    CHECK(CodeOf([&] { CheckTarget(model, {"", index, {}}); }) == ErrorCode::kUsage);
  }
  model.head = VitHead::kClipProjection;
  CheckTarget(model, {"", 0, {1, 0, 0}});
  CHECK(CodeOf([&] { CheckTarget(model, {}); }) == ErrorCode::kUsage);
  CHECK(CodeOf([&] { CheckTarget(model, {"", 0, {1, 0}}); }) == ErrorCode::kUsage);
  const std::vector<float> picture{1, 2, 3};
  CHECK(CodeOf([&] {
          TargetGradient(model, {"", 0, {0, 0, 0}}, picture);
        }) == ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace fovea
