// What holds for every transformer denoiser, whatever its numbers: memory, cancelling, batches,
// sites, refusals. The numbers are compared with diffusers in
// tests/pipelines/forward/forward_golden_test.cc.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include <nlohmann/json.hpp>

#include "models/files/text_file.h"
#include "models/load_denoiser.h"
#include "tests/support/golden_case.h"
#include "tests/support/model_run.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

struct LoadedDenoiser {
  TempDir temp;
  std::unique_ptr<Denoiser> model;

  explicit LoadedDenoiser(const std::string& name) {
    GoldenCase::Read(GoldenFolder() / "forward" / name).WriteModel(temp.Path());
    const Config config = Config::ReadFile(temp / "config.json");
    model = LoadDenoiser(config.ClassName(), config, WeightStore::Open(temp.Path()));
  }

  // A pass with inputs that differ in every element and sample.
  std::function<Tensor(Context&, AttentionRuntime&)> Pass(int64_t n, int64_t h, int64_t w,
                                                          int64_t first_sample = 0) const {
    return [=, this](Context& ctx, AttentionRuntime& attention) {
      const DenoiserTraits& traits = model->Traits();
      const auto fill = [first_sample](HostTensor tensor) {
        const int64_t each = tensor.NumElements() / tensor.shape()[0];
        for (int64_t i = 0; i < tensor.NumElements(); ++i) {
          tensor.Data<float>()[i] =
              static_cast<float>(((i + first_sample * each) * 7919 + 13) % 401) / 200.0f - 1;
        }
        return tensor;
      };
      std::vector<float> timesteps, guidance;
      std::vector<int64_t> labels;
      for (int64_t i = first_sample; i < first_sample + n; ++i) {
        const float time = 0.9f - 0.3f * static_cast<float>(i);
        timesteps.push_back(traits.packed ? time : std::round(1000 * time));
        guidance.push_back(3.5f - static_cast<float>(i));
        labels.push_back(i + 1);
      }
      DenoiserInput input;
      input.latent = Upload(ctx, fill(HostTensor({n, traits.in_channels, h, w}, DType::kF32)));
      input.timestep = timesteps;
      if (traits.context_dim > 0) {
        input.context = Upload(ctx, fill(HostTensor({n, 5, traits.context_dim}, DType::kF32)));
        input.text_embeds = Upload(ctx, fill(HostTensor({n, traits.pooled_dim}, DType::kF32)));
      }
      if (traits.num_classes > 0) input.class_labels = labels;
      if (traits.has_guidance) input.guidance = guidance;
      const Tensor out = ctx.arena.New({n, h, w, traits.out_channels}, DType::kF32);
      model->Forward(ctx, attention, input, out);
      return out;
    };
  }
};

TEST_CASE("a transformer's dry run foresees its memory exactly") {
  const std::string name =
      GENERATE("sd3", "sd3_qk_norm", "flux_dev", "flux_schnell", "dit", "dit_geglu");
  const DType dtype = GENERATE(DType::kF32, DType::kBF16);
  const int64_t n = GENERATE(1, 2);
  INFO(name << " " << Name(dtype) << " " << n);
  const LoadedDenoiser loaded(name);
  const auto backend = MakeCpuBackend();
  const ModelRun run = RunModel(*backend, dtype, loaded.Pass(n, 6, 4));
  CHECK(run.planned_bytes == run.peak_bytes);
  CHECK(run.cost.packed_bytes == run.packed_bytes);
  CHECK(run.allocations == 0);
  CHECK(run.cost.flops > 0);
  CHECK(RootMeanSquare(run.output) > 0.01);
}

TEST_CASE("samples of a transformer's batch do not see each other, and a pass repeats its bytes") {
  const std::string name = GENERATE("sd3_dual", "sd3_qk_norm", "flux_dev", "dit");
  INFO(name);
  const LoadedDenoiser loaded(name);
  const auto backend = MakeCpuBackend();
  const ModelRun both = RunModel(*backend, DType::kF32, loaded.Pass(2, 4, 4));
  const ModelRun again = RunModel(*backend, DType::kF32, loaded.Pass(2, 4, 4));
  CHECK(std::memcmp(both.output.data(), again.output.data(), both.output.Bytes()) == 0);
  for (int64_t i = 0; i < 2; ++i) {
    const ModelRun alone = RunModel(*backend, DType::kF32, loaded.Pass(1, 4, 4, i));
    HostTensor slice(alone.output.shape(), DType::kF32);
    std::memcpy(slice.data(), both.output.Data<float>() + i * slice.NumElements(), slice.Bytes());
    // Another batch may sum in another order.
    CHECK(Difference(slice, alone.output, 5e-6 * RootMeanSquare(alone.output)) == "");
  }
}

TEST_CASE("a cancelled transformer stops within one half of a block") {
  const std::string name = GENERATE("sd3_dual", "flux_dev", "dit");
  const LoadedDenoiser loaded(name);
  const auto backend = MakeCpuBackend();
  CHECK(MostOperationsAfterStop(*backend, loaded.Pass(1, 4, 4)) <= 26);
}

TEST_CASE("SD3 lists joint sites with the image first, and the second attentions as its own") {
  const LoadedDenoiser loaded("sd3_dual");
  const auto sites = loaded.model->AttentionSites();
  REQUIRE(sites.size() == 5);
  CHECK(sites[0].path == "transformer_blocks.0.attn");
  CHECK(sites[1].path == "transformer_blocks.0.attn2");
  CHECK(sites[2].path == "transformer_blocks.1.attn");
  CHECK(sites[4].path == "transformer_blocks.2.attn2");
  CHECK(sites[0].kind == SiteKind::kJoint);
  CHECK(sites[1].kind == SiteKind::kSelf);
  REQUIRE(sites[0].tokens.size() == 2);
  CHECK(sites[0].tokens[0].grid == std::array<int, 3>{1, 4, 4});
  CHECK(sites[0].tokens[1].kind == SegmentKind::kText);
  CHECK(TokenCount(sites[0].tokens) == 16 + 333);
  CHECK(TokenCount(sites[1].tokens) == 16);
  for (size_t i = 0; i < sites.size(); ++i) CHECK(sites[i].index == static_cast<int>(i));
}

TEST_CASE("FLUX lists joint sites with the text first, single blocks included") {
  const LoadedDenoiser loaded("flux_dev");
  const auto sites = loaded.model->AttentionSites();
  REQUIRE(sites.size() == 5);
  CHECK(sites[1].path == "transformer_blocks.1.attn");
  CHECK(sites[2].path == "single_transformer_blocks.0.attn");
  for (const AttentionSite& site : sites) {
    CHECK(site.kind == SiteKind::kJoint);
    CHECK(site.tokens.front().kind == SegmentKind::kText);
    CHECK(site.tokens.front().length == 512);
    CHECK(site.tokens.back().grid == std::array<int, 3>{1, 64, 64});
  }
}

TEST_CASE("DiT lists self sites of its trained grid") {
  const LoadedDenoiser loaded("dit");
  const auto sites = loaded.model->AttentionSites();
  REQUIRE(sites.size() == 3);
  CHECK(sites[2].path == "transformer_blocks.2.attn1");
  CHECK(sites[2].kind == SiteKind::kSelf);
  CHECK(sites[2].tokens.front().grid == std::array<int, 3>{1, 6, 6});
}

TEST_CASE("what a transformer cannot take is a usage error that says why") {
  const auto backend = MakeCpuBackend();
  const auto message = [&](const std::string& name, int64_t n, int64_t h, int64_t w) {
    const LoadedDenoiser loaded(name);
    try {
      RunModel(*backend, DType::kF32, loaded.Pass(n, h, w));
    } catch (const Error& error) {
      CHECK(error.code == ErrorCode::kUsage);
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  CHECK(message("sd3", 1, 20, 4).find("18 a side") != std::string::npos);
  CHECK(message("sd3", 1, 1, 4).find("smaller") != std::string::npos);
  CHECK(message("dit", 8, 4, 4).find("class 8") != std::string::npos);
  CHECK(message("dit", 7, 4, 4) == "accepted");  // the last means "none"
}

// The config of a golden case with one field changed; null takes the field out.
std::string LoadError(const std::string& name, const nlohmann::json& patch) {
  const TempDir temp;
  GoldenCase::Read(GoldenFolder() / "forward" / name).WriteModel(temp.Path());
  nlohmann::json json = nlohmann::json::parse(ReadTextFile(temp / "config.json", 1 << 16));
  json.merge_patch(patch);
  const Config config = Config::Parse(json.dump(), "config.json");
  try {
    LoadDenoiser(config.ClassName(), config, WeightStore::Open(temp.Path()));
  } catch (const Error& error) {
    CHECK((error.code == ErrorCode::kUnsupported || error.code == ErrorCode::kBadFile));
    return error.what();
  }
  return "accepted";
}

TEST_CASE("config values that we lack are refused by name") {
  using Json = nlohmann::json;
  const std::vector<std::tuple<std::string, std::string, Json>> cases = {
      {"sd3", "qk_norm", "layer_norm"},
      {"sd3", "caption_projection_dim", 32},
      {"sd3", "new_field", 1},
      {"sd3", "patch_size", 0},
      {"sd3", "num_layers", "three"},
      {"flux_dev", "axes_dims_rope", {4, 6, 8}},
      {"flux_dev", "axes_dims_rope", {4, 12}},
      {"flux_dev", "axes_dims_rope", {5, 5, 6}},
      {"flux_dev", "guidance_embeds", 1},
      {"dit", "norm_type", "ada_norm_single"},
      {"dit", "activation_fn", "relu"},
      {"dit_published", "norm_type", nullptr},
      {"dit_published", "patch_size", nullptr},
      {"dit_published", "cross_attention_dim", 8},
      {"dit_published", "double_self_attention", true}};
  for (const auto& [name, field, value] : cases) {
    INFO(name << " " << field << " " << value);
    CHECK(LoadError(name, Json{{field, value}}).find(field) != std::string::npos);
  }
}

TEST_CASE("a checkpoint of another shape names the tensor") {
  CHECK(LoadError("sd3", {{"num_layers", 2}}).find("transformer_blocks.") != std::string::npos);
  CHECK(LoadError("sd3", {{"qk_norm", "rms_norm"}}).find("norm_q.weight") != std::string::npos);
  CHECK(LoadError("flux_dev", {{"guidance_embeds", false}}).find("guidance_embedder") !=
        std::string::npos);
  CHECK(LoadError("dit", {{"num_embeds_ada_norm", 6}}).find("embedding_table") !=
        std::string::npos);
}

}  // namespace
}  // namespace fovea
