// Every class against diffusers and transformers: one pass from the same inputs and weights.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>

#include "models/files/safetensors.h"
#include "pipelines/forward/forward.h"
#include "tests/support/formula_weights.h"
#include "tests/support/golden_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

TEST_CASE("formula weights agree with tools/golden/formula.py bit by bit", "[golden]") {
  const NamedTensors golden = ReadSafetensors(GoldenFolder() / "formula.safetensors");
  CHECK(golden.size() >= 6);
  for (const auto& [name, want] : golden) {
    // The table of embeddings exists in several dtypes: the part before the colon is not its name.
    const std::string tensor = name.substr(name.find(':') + 1);
    const HostTensor got = FormulaWeight(tensor, want.shape(), want.dtype());
    INFO(name);
    CHECK(std::memcmp(got.data(), want.data(), want.Bytes()) == 0);
  }
}

void CheckRun(Component& component, const GoldenRun& run) {
  ForwardOptions options;
  options.hidden_states = run.outputs.contains("hidden_states.0");
  if (!run.attention.empty()) options.attention = AttentionPlan::Parse(run.attention);
  const ForwardResult result = component.Forward(run.inputs, options);
  CHECK(result.outputs.size() == run.outputs.size());
  for (const auto& [name, want] : run.outputs) {
    INFO("output " << name << " " << want.shape().ToString());
    const auto got = result.outputs.find(name);
    if (got == result.outputs.end()) {
      FAIL_CHECK("missing");
      continue;
    }
    CHECK(got->second.dtype() == DType::kF32);
    const double limit = ForwardLimit(want, run.reference_f32_error.at(name));
    CHECK(Difference(got->second, want, limit) == "");
  }
}

// 8 bits of mantissa through up to 300 layers: 0.036 is the most that was seen. An output that is
// one number may be a small difference of large ones (a logit of -0.026 was off by 0.0064): it is
// measured against 0.25, which logits of this size are on average.
void CheckRunInBf16(Component& component, const GoldenRun& run) {
  ForwardOptions options;
  options.dtype = DType::kBF16;
  options.hidden_states = run.outputs.contains("hidden_states.0");
  if (!run.attention.empty()) options.attention = AttentionPlan::Parse(run.attention);
  const ForwardResult result = component.Forward(run.inputs, options);
  for (const auto& [name, want] : run.outputs) {
    INFO("output " << name << " " << want.shape().ToString());
    const double size = RootMeanSquare(want);
    const double measure = want.NumElements() == 1 ? std::max(0.25, size) : size;
    CHECK(RelativeL2(result.outputs.at(name), want) * size < 0.05 * measure);
  }
}

template <class CheckOneRun>
void CheckCase(const std::string& name, const CheckOneRun& check_run) {
  const GoldenCase golden = GoldenCase::Read(GoldenFolder() / "forward" / name);
  const TempDir temp;
  golden.WriteModel(temp / "model");
  const auto backend = MakeCpuBackend();
  const ModelFolder model = OpenModelFolder(temp / "model");
  REQUIRE(model.components.size() == 1);
  const auto component = Component::Load(model.components.front(), *backend);
  CHECK(component->ClassName() == golden.class_name);
  REQUIRE(!golden.runs.empty());
  for (size_t r = 0; r < golden.runs.size(); ++r) {
    INFO(name << " run " << r);
    check_run(*component, golden.runs[r]);
  }
}

void CheckCases(const std::string& prefix, size_t at_least) {
  size_t count = 0;
  for (const auto& folder : GoldenCases("forward")) {
    const std::string name = folder.filename().string();
    if (!name.starts_with(prefix)) continue;
    ++count;
    DYNAMIC_SECTION(name) {
      CheckCase(name, CheckRun);
    }
  }
  CHECK(count >= at_least);
}

TEST_CASE("UNet2DConditionModel agrees with diffusers", "[golden]") {
  CheckCases("unet_", 10);
}
TEST_CASE("AutoencoderKL agrees with diffusers", "[golden]") {
  CheckCases("vae_", 6);
}
TEST_CASE("CLIP text models agree with transformers", "[golden]") {
  CheckCases("clip_", 6);
}

TEST_CASE("transformer denoisers agree with diffusers", "[golden]") {
  CheckCases("sd3", 4);
  CheckCases("flux_", 3);
  CheckCases("dit", 3);
}

TEST_CASE("T5's encoder agrees with transformers", "[golden]") {
  CheckCases("t5_", 3);
}

TEST_CASE("ViTs agree with transformers and timm and the official Agent-DeiT", "[golden]") {
  CheckCases("vit_", 21);
}

TEST_CASE("every class stays near its reference in bf16", "[golden]") {
  for (const auto& folder : GoldenCases("forward")) {
    CheckCase(folder.filename().string(), CheckRunInBf16);
  }
}

}  // namespace
}  // namespace fovea
