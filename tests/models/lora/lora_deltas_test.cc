#include "models/lora/lora_deltas.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <functional>
#include <list>

#include "models/component_weights.h"
#include "models/files/safetensors.h"
#include "models/lora/lora_file.h"
#include "tensor/error.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

HostTensor Ramp(const Shape& shape, float begin, float step) {
  HostTensor tensor(shape, DType::kF32);
  for (int64_t i = 0; i < tensor.NumElements(); ++i) {
    tensor.Data<float>()[i] = begin + step * static_cast<float>(i % 13);
  }
  return tensor;
}

const std::string kConv = "lora_unet_down_blocks_0_resnets_0_conv1";
const std::string kLinear = "lora_unet_mid_block_attentions_0_proj_in";

// Up (3,2), down (2,5), alpha 1; a 3x3 convolution (4,3) of rank 2.
NamedTensors Good() {
  NamedTensors t;
  t[kLinear + ".lora_up.weight"] = Ramp({3, 2}, -1, 0.3f);
  t[kLinear + ".lora_down.weight"] = Ramp({2, 5}, 1, -0.2f);
  t[kLinear + ".alpha"] = HostTensor(Shape{}, std::vector<float>{1});
  t[kConv + ".lora_up.weight"] = Ramp({4, 2, 1, 1}, -0.5f, 0.1f);
  t[kConv + ".lora_down.weight"] = Ramp({2, 3, 3, 3}, 0.7f, -0.1f);
  return t;
}

struct Fixture {
  TempDir temp;
  ComponentFolder component{.name = "unet", .class_name = "UNet2DConditionModel", .folder = {}};

  Fixture() {
    component.folder = temp.Path();
    std::ofstream(temp / "config.json") << R"({"_class_name":"UNet2DConditionModel"})";
  }
  std::filesystem::path Write(const NamedTensors& tensors,
                              const std::map<std::string, std::string>& metadata = {}) {
    WriteSafetensors(temp / "a.safetensors", tensors, metadata);
    return temp / "a.safetensors";
  }
  std::shared_ptr<const WeightDeltas> Open(double scale) {
    component.loras = {{temp / "a.safetensors", {scale}}};
    return OpenLoraDeltas(component, temp / "config.json");
  }
};

// What the layer's weight of this shape gains; the weight itself is zero.
std::shared_ptr<const WeightDelta> FindFor(const WeightDeltas& deltas, const char* path,
                                           const Shape& shape) {
  static std::list<HostTensor> weights;
  return deltas.Find(path, weights.emplace_back(shape, DType::kF32).View());
}

std::vector<float> Row(const WeightDelta& delta, int64_t row, int64_t columns) {
  std::vector<float> values(static_cast<size_t>(columns), 0.0f);
  delta.AddTo(row, 0, values);
  return values;
}

TEST_CASE("lora deltas: alpha / rank * scale * up * down") {
  Fixture fixture;
  const NamedTensors tensors = Good();
  fixture.Write(tensors);
  const auto deltas = fixture.Open(0.5);
  const auto delta = FindFor(*deltas, "mid_block.attentions.0.proj_in", {3, 5});
  REQUIRE(delta != nullptr);
  const float* up = tensors.at(kLinear + ".lora_up.weight").Data<float>();
  const float* down = tensors.at(kLinear + ".lora_down.weight").Data<float>();
  for (int64_t o = 0; o < 3; ++o) {
    const std::vector<float> row = Row(*delta, o, 5);
    for (int64_t i = 0; i < 5; ++i) {
      const double want =
          0.5 * 1 / 2 * (double{up[o * 2]} * down[i] + double{up[o * 2 + 1]} * down[5 + i]);
      CHECK(std::abs(row[static_cast<size_t>(i)] - want) < 1e-6);
    }
  }
  // A piece of a row is a piece of that row.
  std::vector<float> piece(2, 1.0f);
  delta->AddTo(1, 3, piece);
  CHECK(piece[1] == Approx(1 + Row(*delta, 1, 5)[4]));
  CHECK(FindFor(*deltas, "mid_block.attentions.0.proj_out", {3, 5}) == nullptr);
  CHECK(FindFor(*deltas, "down_blocks.0.resnets.0.conv1", {4, 3, 3, 3}) != nullptr);
  deltas->CheckAllUsed();
}

TEST_CASE("lora deltas: the middle of a decomposed convolution is folded in") {
  Fixture fixture;
  NamedTensors tensors = Good();
  tensors.erase(kLinear + ".lora_up.weight");
  tensors.erase(kLinear + ".lora_down.weight");
  tensors.erase(kLinear + ".alpha");
  tensors[kConv + ".lora_down.weight"] = Ramp({2, 3, 1, 1}, 0.7f, -0.1f);
  tensors[kConv + ".lora_mid.weight"] = Ramp({2, 2, 3, 3}, -0.2f, 0.15f);
  fixture.Write(tensors);
  const auto delta = FindFor(*fixture.Open(2), "down_blocks.0.resnets.0.conv1", {4, 3, 3, 3});
  REQUIRE(delta != nullptr);
  const float* up = tensors.at(kConv + ".lora_up.weight").Data<float>();
  const float* down = tensors.at(kConv + ".lora_down.weight").Data<float>();
  const float* mid = tensors.at(kConv + ".lora_mid.weight").Data<float>();
  for (int64_t o = 0; o < 4; ++o) {
    const std::vector<float> row = Row(*delta, o, 27);
    for (int64_t i = 0; i < 3; ++i) {
      for (int64_t k = 0; k < 9; ++k) {
        double want = 0;
        for (int p = 0; p < 2; ++p) {
          for (int q = 0; q < 2; ++q) {
            want += 2.0 * up[o * 2 + p] * mid[(p * 2 + q) * 9 + k] * down[q * 3 + i];
          }
        }
        CHECK(std::abs(row[static_cast<size_t>(i * 9 + k)] - want) < 1e-5);
      }
    }
  }
}

TEST_CASE("lora deltas: alpha may stand in diffusers' metadata") {
  Fixture fixture;
  NamedTensors t;
  t["unet.mid_block.attentions.0.proj_in.lora_B.weight"] = Ramp({3, 2}, -1, 0.3f);
  t["unet.mid_block.attentions.0.proj_in.lora_A.weight"] = Ramp({2, 5}, 1, -0.2f);
  const auto first = [&](const std::string& metadata) {
    fixture.Write(t, {{"lora_adapter_metadata", metadata}});
    return Row(*FindFor(*fixture.Open(1), "mid_block.attentions.0.proj_in", {3, 5}), 0, 5)[0];
  };
  const float plain = first("{}");  // alpha is the rank, 2
  CHECK(plain != 0.0f);
  CHECK(first(R"({"unet.lora_alpha":6,"unet.r":2})") == Approx(3 * plain));
  CHECK(first(R"({"unet.lora_alpha":6,"unet.alpha_pattern":{"attentions.0.proj_in":1}})") ==
        Approx(0.5f * plain));
  CHECK(first(R"({"text_encoder.lora_alpha":6})") == Approx(plain));
  CHECK(first(R"({"unet.lora_alpha":6,"unet.use_rslora":true})") ==
        Approx(6 / std::sqrt(2.0f) * plain));
  CHECK_THROWS_WITH(first(R"({"unet.use_dora":true})"), Catch::Contains("lacks its magnitude"));
  CHECK_THROWS_WITH(first(R"({"unet.lora_alpha":"six"})"), Catch::Contains("lora_alpha"));
  CHECK_THROWS_WITH(first("[]"), Catch::Contains("must be an object"));
}

TEST_CASE("lora deltas: each thing that is wrong has its line") {
  Fixture fixture;
  const auto complaint = [&](const std::function<void(NamedTensors&)>& change) -> std::string {
    NamedTensors tensors = Good();
    change(tensors);
    fixture.Write(tensors);
    try {
      const auto deltas = fixture.Open(1);
      FindFor(*deltas, "mid_block.attentions.0.proj_in", {3, 5});
      FindFor(*deltas, "down_blocks.0.resnets.0.conv1", {4, 3, 3, 3});
      deltas->CheckAllUsed();
    } catch (const Error& error) {
      const std::string what = error.what();
      CHECK(what.find('\n') == std::string::npos);
      CHECK_THAT(what, Catch::Contains("a.safetensors"));
      return what;
    }
    return "";
  };
  const auto set = [](const std::string& name, const Shape& shape, DType dtype = DType::kF32) {
    return [=](NamedTensors& t) { t[name] = HostTensor(shape, dtype); };
  };
  const std::string up = kLinear + ".lora_up.weight", down = kLinear + ".lora_down.weight";
  const std::string conv_down = kConv + ".lora_down.weight", alpha = kLinear + ".alpha";
  CHECK(complaint([](NamedTensors&) {}) == "");
  CHECK_THAT(complaint([](NamedTensors& t) { t.clear(); }), Catch::Contains("no tensors"));
  CHECK_THAT(complaint([&](NamedTensors& t) { t.erase(up); }), Catch::Contains("lacks its up"));
  CHECK_THAT(complaint([&](NamedTensors& t) { t.erase(down); }), Catch::Contains("lacks its down"));
  CHECK_THAT(complaint(set(kLinear + "x.alpha", {})), Catch::Contains("lacks its down"));
  CHECK_THAT(complaint(set(up, {4, 2})),
             Catch::Contains("does not fit") && Catch::Contains("[4, 2]"));
  CHECK_THAT(complaint(set(up, {3, 3})), Catch::Contains("does not fit"));
  CHECK_THAT(complaint(set(up, {3})), Catch::Contains("does not fit"));
  CHECK_THAT(complaint(set(up, {3, 0})), Catch::Contains("does not fit"));
  CHECK_THAT(complaint(set(up, {3, 2, 2})), Catch::Contains("does not fit"));
  CHECK_THAT(complaint(set(down, {2, 6})), Catch::Contains("does not fit"));
  CHECK_THAT(complaint(set(conv_down, {2, 3, 1, 1})), Catch::Contains("does not fit"));
  CHECK_THAT(complaint(set(conv_down, {2, 27})), Catch::Contains("does not fit"));
  CHECK_THAT(complaint(set(kConv + ".lora_mid.weight", {2, 2, 3, 3})),
             Catch::Contains("does not fit"));
  CHECK_THAT(complaint(set(kConv + ".lora_mid.weight", {2, 2})), Catch::Contains("does not fit"));
  CHECK_THAT(complaint(set(up, {3, 2}, DType::kI32)), Catch::Contains("dtype I32"));
  CHECK_THAT(complaint(set(alpha, {2})), Catch::Contains("one number"));
  CHECK_THAT(complaint(set(alpha, {}, DType::kBool)), Catch::Contains("one number"));
  CHECK_THAT(
      complaint([&](NamedTensors& t) { t[alpha] = HostTensor(Shape{}, std::vector<float>{NAN}); }),
      Catch::Contains("holds NaN"));
  CHECK_THAT(complaint(set("something.weight", {1})), Catch::Contains("are of no LoRA"));
  CHECK_THAT(complaint(set("unet.mid_block.attentions.0.proj_in.lora_A.weight", {2, 5})),
             Catch::Contains("are of one layer"));
  CHECK_THAT(complaint(set(kLinear + ".dora_scale", {1})), Catch::Contains("does not fit"));
  CHECK_THAT(complaint(set(kLinear + ".hada_w1_a", {1})), Catch::Contains("two methods"));
  CHECK_THAT(complaint(set(kLinear + ".lokr_w1", {1})), Catch::Contains("two methods"));
  CHECK_THAT(complaint(set(kLinear + "2.lokr_w1", {1})), Catch::Contains("lacks its lokr_w2"));
  CHECK_THAT(complaint(set(kLinear + "2.hada_w1_a", {1})), Catch::Contains("lacks its hada"));
  CHECK_THAT(complaint(set(kLinear + "2.weight", {1})), Catch::Contains("of no adapter"));
  CHECK_THAT(complaint(set(kLinear + ".diff_b", {3})), Catch::Contains("does not have"));
  CHECK_THAT(complaint(set(kLinear + "2.dora_scale", {3, 1})), Catch::Contains("lacks its down"));
  CHECK_THAT(complaint([](NamedTensors& t) {
               t["lora_unet_brain.lora_up.weight"] = HostTensor({3, 2}, DType::kF32);
               t["lora_unet_brain.lora_down.weight"] = HostTensor({2, 3}, DType::kF32);
             }),
             Catch::Contains("does not have: lora_unet_brain"));
}

TEST_CASE("lora deltas: a file for components that the model lacks is refused") {
  Fixture fixture;
  NamedTensors tensors;
  tensors["lora_te2_text_projection.lora_up.weight"] = HostTensor({3, 2}, DType::kF32);
  tensors["lora_te2_text_projection.lora_down.weight"] = HostTensor({2, 3}, DType::kF32);
  const std::vector<LoraChoice> loras{{fixture.Write(tensors), {}}};
  ModelFolder model;
  model.folder = "sd15";
  model.components = {fixture.component, {.name = "vae", .class_name = "", .folder = {}}};
  CHECK_THROWS_WITH(AddLoras(model, loras), Catch::Contains("text_encoder_2"));
  model.components.push_back({.name = "text_encoder_2", .class_name = "", .folder = {}});
  AddLoras(model, loras);
  CHECK(model.components[0].loras.size() == 1);
  CHECK(model.components[1].loras.empty());
  ModelFolder alone;
  alone.components = {{.name = "", .class_name = "UNet2DConditionModel", .folder = {}}};
  CHECK_THROWS_WITH(AddLoras(alone, loras), Catch::Contains("text_encoder_2"));
}

}  // namespace
}  // namespace fovea
