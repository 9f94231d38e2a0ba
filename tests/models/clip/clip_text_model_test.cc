// What holds for every CLIP text encoder: configs, memory, cancelling, causality. The numbers
// themselves are compared with transformers in tests/pipelines/forward/forward_golden_test.cc.
#include "models/clip/clip_text_model.h"

#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include "models/clip/clip_text_config.h"
#include "tensor/error.h"
#include "tests/support/golden_case.h"
#include "tests/support/model_run.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

using nlohmann::json;

struct LoadedClip {
  TempDir temp;
  std::unique_ptr<ClipTextModel> model;

  explicit LoadedClip(const std::string& name) {
    GoldenCase::Read(GoldenFolder() / "forward" / name).WriteModel(temp.Path());
    model =
        ClipTextModel::Load(Config::ReadFile(temp / "config.json"), WeightStore::Open(temp.Path()));
  }

  std::function<Tensor(Context&, AttentionRuntime&)> Pass(const HostTensor& ids,
                                                          bool pooled = false) const {
    return [&ids, pooled, this](Context& ctx, AttentionRuntime& attention) {
      const ClipTextTraits& traits = model->Traits();
      ClipTextOutput out;
      out.last_hidden_state =
          ctx.arena.New({ids.shape()[0], ids.shape()[1], traits.hidden}, DType::kF32);
      const int columns = traits.projection > 0 ? traits.projection : traits.hidden;
      out.pooled = ctx.arena.New({ids.shape()[0], columns}, DType::kF32);
      model->Forward(ctx, attention, ids.View(), out);
      return pooled ? out.pooled : out.last_hidden_state;
    };
  }
};

ErrorCode Refusal(const json& fields) {
  json config = fields;
  config["architectures"] = {"CLIPTextModelWithProjection"};
  try {
    ReadClipTextConfig(Config::Parse(config.dump(), "text_encoder/config.json"));
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("text_encoder/config.json") != std::string::npos);
    CHECK(std::string(error.what()).find(fields.begin().key()) != std::string::npos);
    return error.code;
  }
  return ErrorCode::kInternal;
}

TEST_CASE("CLIP text fields that we lack, or with wrong values, are refused by name") {
  CHECK(Refusal({{"hidden_act", "tanh"}}) == ErrorCode::kUnsupported);
  CHECK(Refusal({{"a_field_of_the_future", 1}}) == ErrorCode::kUnsupported);
  CHECK(Refusal({{"num_attention_heads", 7}}) == ErrorCode::kBadFile);
  CHECK(Refusal({{"num_attention_heads", 0}}) == ErrorCode::kBadFile);
  CHECK(Refusal({{"hidden_size", -512}}) == ErrorCode::kBadFile);
  CHECK(Refusal({{"vocab_size", 1e15}}) == ErrorCode::kBadFile);
  CHECK(Refusal({{"num_hidden_layers", "12"}}) == ErrorCode::kBadFile);
  CHECK(Refusal({{"layer_norm_eps", -1e-5}}) == ErrorCode::kBadFile);
  CHECK(Refusal({{"eos_token_id", {1, 2}}}) == ErrorCode::kBadFile);
  CHECK(Refusal({{"projection_dim", 0}}) == ErrorCode::kBadFile);
}

TEST_CASE("fields that transformers writes everywhere do not disturb") {
  const auto read = [](const char* architecture) {
    return ReadClipTextConfig(Config::Parse(json{{"architectures", {architecture}},
                                                 {"model_type", "clip_text_model"},
                                                 {"torch_dtype", "float16"},
                                                 {"dtype", "float32"},
                                                 {"dropout", 0.0},
                                                 {"attention_dropout", 0.0},
                                                 {"bos_token_id", 0},
                                                 {"pad_token_id", 1},
                                                 {"initializer_range", 0.02},
                                                 {"transformers_version", "4.22.0.dev0"},
                                                 {"id2label", {{"0", "LABEL_0"}}},
                                                 {"projection_dim", 768}}
                                                .dump(),
                                            "config.json"));
  };
  CHECK(read("CLIPTextModel").projection_dim == 0);
  CHECK(read("CLIPTextModelWithProjection").projection_dim == 768);
  CHECK(read("CLIPTextModel").hidden_size == 512);
  CHECK(read("CLIPTextModel").eos_token_id == 49407);
}

TEST_CASE("a CLIP text encoder's dry run foresees its memory exactly") {
  const std::string name = GENERATE("clip_sd15", "clip_projection_old_rule");
  const DType dtype = GENERATE(DType::kF32, DType::kBF16);
  const LoadedClip clip(name);
  const auto backend = MakeCpuBackend();
  const HostTensor ids({2, 5}, std::vector<int32_t>{0, 9, 8, 7, 49, 0, 1, 49, 2, 3});
  const ModelRun run = RunModel(*backend, dtype, clip.Pass(ids));
  CHECK(run.planned_bytes == run.peak_bytes);
  CHECK(run.cost.packed_bytes == run.packed_bytes);
  CHECK(run.allocations == 0);
}

TEST_CASE("a CLIP token does not see those after it") {
  const LoadedClip clip("clip_sd15");
  const auto backend = MakeCpuBackend();
  const HostTensor a({1, 6}, std::vector<int32_t>{0, 5, 6, 7, 8, 98});
  const HostTensor b({1, 6}, std::vector<int32_t>{0, 5, 6, 50, 51, 98});
  const HostTensor of_a = RunModel(*backend, DType::kF32, clip.Pass(a)).output;
  const HostTensor of_b = RunModel(*backend, DType::kF32, clip.Pass(b)).output;
  const int64_t hidden = clip.model->Traits().hidden;
  for (int64_t i = 0; i < 3 * hidden; ++i) {
    REQUIRE(of_a.Data<float>()[i] == of_b.Data<float>()[i]);
  }
  CHECK(of_a.Data<float>()[5 * hidden] != of_b.Data<float>()[5 * hidden]);
}

TEST_CASE("the state of the end of a text follows the rule of the config") {
  const auto backend = MakeCpuBackend();
  const auto end_of = [&](const std::string& name, const std::vector<int32_t>& tokens) {
    const LoadedClip clip(name);
    const HostTensor ids({1, static_cast<int64_t>(tokens.size())}, tokens);
    const HostTensor states = RunModel(*backend, DType::kF32, clip.Pass(ids)).output;
    const HostTensor pooled = RunModel(*backend, DType::kF32, clip.Pass(ids, true)).output;
    const int64_t hidden = clip.model->Traits().hidden;
    for (int64_t i = 0; i < states.shape()[1]; ++i) {
      if (std::equal(pooled.Data<float>(), pooled.Data<float>() + hidden,
                     states.Data<float>() + i * hidden)) {
        return i;
      }
    }
    return int64_t{-1};
  };
  // eos_token_id 2: the first of the largest ids.
  CHECK(end_of("clip_sd15", {2, 5, 90, 3, 90}) == 2);
  // eos_token_id 50: its first place, or the first token where there is none.
  CHECK(end_of("clip_gelu_bare", {1, 60, 4, 50, 50}) == 3);
  CHECK(end_of("clip_gelu_bare", {1, 60, 4}) == 0);
}

TEST_CASE("a cancelled CLIP text encoder stops within a layer") {
  const LoadedClip clip("clip_sd15");
  const auto backend = MakeCpuBackend();
  const HostTensor ids({1, 7}, std::vector<int32_t>{0, 9, 8, 7, 6, 5, 98});
  CHECK(MostOperationsAfterStop(*backend, clip.Pass(ids)) <= 9);
}

TEST_CASE("CLIP's attention sites carry the prefix whether the file does or not") {
  for (const std::string name : {"clip_sd15", "clip_gelu_bare"}) {
    const LoadedClip clip(name);
    const auto sites = clip.model->AttentionSites();
    REQUIRE(static_cast<int>(sites.size()) == clip.model->Traits().layers);
    CHECK(sites[1].path == "text_model.encoder.layers.1.self_attn");
    CHECK(sites[1].kind == SiteKind::kSelf);
    CHECK(sites[1].index == 1);
    CHECK(TokenCount(sites[1].tokens) == clip.model->Traits().positions);
  }
}

TEST_CASE("FinalNorm is what the last states went through") {
  const LoadedClip clip("clip_sd15");
  const auto backend = MakeCpuBackend();
  const HostTensor ids({1, 4}, std::vector<int32_t>{0, 9, 8, 98});
  Arena arena(*backend, 1 << 20);
  Context ctx{*backend, arena};
  AttentionRuntime attention;
  const ClipTextTraits& traits = clip.model->Traits();
  std::vector<Tensor> hidden;
  for (int i = 0; i <= traits.layers; ++i) hidden.push_back(ctx.New({1, 4, traits.hidden}));
  ClipTextOutput out;
  out.last_hidden_state = ctx.New({1, 4, traits.hidden});
  out.hidden_states = hidden;
  clip.model->Forward(ctx, attention, ids.View(), out);
  const Tensor normed = ctx.New({1, 4, traits.hidden});
  clip.model->FinalNorm(ctx, hidden.back(), normed);
  const float* a = normed.Data<float>();
  CHECK(std::equal(a, a + normed.NumElements(), out.last_hidden_state.Data<float>()));
}

}  // namespace
}  // namespace fovea
