// What holds for every T5 encoder: configs, names of its table. The numbers themselves are compared
// with transformers in tests/pipelines/forward/forward_golden_test.cc.
#include "models/t5/t5_encoder.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "models/files/safetensors.h"
#include "tensor/error.h"
#include "tests/support/golden_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// The golden model as files, with other fields and tensors.
struct Model {
  TempDir temp;
  NamedTensors tensors;
  fs::path file;

  explicit Model(const std::string& name = "t5_relu") {
    GoldenCase::Read(GoldenFolder() / "forward" / name).WriteModel(temp.Path());
    for (const auto& entry : fs::directory_iterator(temp.Path())) {
      if (entry.path().extension() == ".safetensors") file = entry.path();
    }
    tensors = ReadSafetensors(file);
  }
  // What Load says, or nothing.
  std::string Load(const json& fields = json::object()) {
    WriteSafetensors(file, tensors);
    const Config read = Config::ReadFile(temp / "config.json");
    json config = read.Json();
    config.update(fields);
    try {
      T5EncoderModel::Load(Config::Parse(config.dump(), "t5/config.json"),
                           WeightStore::Open(temp.Path()));
    } catch (const Error& error) {
      CHECK((error.code == ErrorCode::kBadFile || error.code == ErrorCode::kUnsupported));
      return error.what();
    }
    return "";
  }
};

TEST_CASE("T5's fields that we lack, or with wrong values, are refused by name") {
  Model model;
  const auto names = [&](const json& fields, const std::string& field) {
    const std::string said = model.Load(fields);
    INFO(said);
    CHECK(said.find(field) != std::string::npos);
  };
  CHECK(model.Load() == "");
  CHECK(model.Load({{"n_positions", 512}, {"dropout_rate", 0.2}, {"dense_act_fn", "relu"}}) == "");
  names({{"feed_forward_proj", "tanh"}}, "feed_forward_proj");
  names({{"dense_act_fn", "gelu_new"}}, "feed_forward_proj");
  names({{"is_gated_act", true}}, "feed_forward_proj");
  names({{"is_decoder", true}}, "is_decoder");
  names({{"d_model", 0}}, "d_model");
  names({{"relative_attention_max_distance", 3}}, "relative_attention_max_distance");
  names({{"layer_norm_epsilon", -1.0}}, "layer_norm_epsilon");
  names({{"a_field_of_the_future", 1}}, "a_field_of_the_future");
  names({{"d_kv", 17}}, "SelfAttention.q.weight");
}

TEST_CASE("T5's table of embeddings has one name, or the other, or both") {
  Model model;
  const std::string own = "encoder.embed_tokens.weight", other = "shared.weight";
  REQUIRE(model.tensors.contains(own));
  model.tensors.emplace(other, model.tensors.at(own));
  CHECK(model.Load() == "");
  model.tensors.erase(own);
  CHECK(model.Load() == "");
  model.tensors.erase(other);
  CHECK(model.Load().find("shared.weight is missing") != std::string::npos);
}

}  // namespace
}  // namespace fovea
