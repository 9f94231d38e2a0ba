// Maps against those made of transformers' and diffusers' own probabilities.
#include <catch2/catch.hpp>
#include <map>
#include <sstream>

#include "models/files/safetensors.h"
#include "pipelines/forward/forward.h"
#include "pipelines/maps/vit_maps.h"
#include "pipelines/maps/word_maps.h"
#include "tests/support/golden_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

HostTensor ToTensor(const HeatMap& map) {
  return HostTensor({map.height, map.width}, map.values);
}

TEST_CASE("maps agree with transformers' and diffusers' probabilities", "[golden]") {
  const NamedTensors all = ReadSafetensors(GoldenFolder() / "attention_maps" / "maps.safetensors");
  std::map<std::string, std::map<std::string, HostTensor>> cases;  // "case.run" -> map -> values
  for (const auto& [name, tensor] : all) {
    const size_t first = name.find('.'), second = name.find('.', first + 1);
    cases[name.substr(0, second)][name.substr(second + 1)] = tensor;
  }
  REQUIRE(cases.size() >= 10);
  const auto backend = MakeCpuBackend();
  Arena arena(*backend, 16 << 20);
  Context ctx{*backend, arena};
  for (const auto& [name, maps] : cases) {
    INFO(name);
    const GoldenCase golden =
        GoldenCase::Read(GoldenFolder() / "forward" / name.substr(0, name.find('.')));
    const TempDir temp;
    golden.WriteModel(temp / "model");
    const auto component =
        Component::Load(OpenModelFolder(temp / "model").components.front(), *backend);
    const GoldenRun& run =
        golden.runs.at(static_cast<size_t>(std::stoi(name.substr(name.find('.') + 1))));
    const int text = run.inputs.contains("encoder_hidden_states")
                         ? static_cast<int>(run.inputs.at("encoder_hidden_states").shape()[1])
                         : 0;
    LayerKeeper kept;
    std::vector<PromptWord> words{{"0", {1}}, {"1", {0, 2}}};
    for (PromptWord& word : words) {
      std::erase_if(word.positions, [&](int position) { return position >= text; });
    }
    std::erase_if(words, [](const PromptWord& word) { return word.positions.empty(); });
    WordMaps daam(words, {0}, false, {});
    ForwardOptions options;
    options.listeners = {text > 0 ? static_cast<AttentionListener*>(&daam) : &kept};
    component->Forward(run.inputs, options);
    std::map<std::string, HostTensor> got;
    if (text > 0) {
      for (const AttentionMap& map : daam.Finish()) got["words." + map.word] = ToTensor(map.map);
    } else {
      MapSelection heads;
      heads.per_head = true;
      for (const AttentionMap& map : ClassMaps(ctx, kept, heads)) {
        if (map.head >= 0) got["cls." + std::to_string(map.head)] = ToTensor(map.map);
      }
      for (const char* how : {"mean", "max,0.9"}) {
        got[std::string("rollout.") + how] =
            ToTensor(RolloutMap(ctx, kept, {}, ParseRollout(how)).map);
      }
    }
    for (const auto& [kind, want] : maps) {
      INFO(kind);
      REQUIRE(got.contains(kind));
      CHECK(RelativeL2(got.at(kind), want) < 1e-5);
    }
  }
}

}  // namespace
}  // namespace fovea
