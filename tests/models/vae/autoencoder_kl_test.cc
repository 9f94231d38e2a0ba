// What holds for every VAE: configs, memory, cancelling, sizes, tiles. The numbers themselves are
// compared with diffusers in tests/pipelines/forward/forward_golden_test.cc.
#include "models/vae/autoencoder_kl.h"

#include <catch2/catch.hpp>
#include <cmath>

#include <nlohmann/json.hpp>

#include "models/vae/pixelwise.h"
#include "models/vae/vae_config.h"
#include "tensor/error.h"
#include "tests/support/golden_case.h"
#include "tests/support/model_run.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

using nlohmann::json;

struct LoadedVae {
  TempDir temp;
  std::unique_ptr<AutoencoderKL> model;

  explicit LoadedVae(const std::string& name) {
    GoldenCase::Read(GoldenFolder() / "forward" / name).WriteModel(temp.Path());
    model =
        AutoencoderKL::Load(Config::ReadFile(temp / "config.json"), WeightStore::Open(temp.Path()));
  }

  using Body = std::function<Tensor(Context&, AttentionRuntime&)>;

  Body DecodePass(int64_t n, int64_t h, int64_t w, int tile = 0) const {
    return [=, this](Context& ctx, AttentionRuntime& attention) {
      const VaeTraits& traits = model->Traits();
      const Tensor z = Upload(ctx, Waves({n, traits.latent_channels, h, w}));
      const Tensor out = ctx.arena.New(
          {n, h * traits.factor, w * traits.factor, traits.out_channels}, DType::kF32);
      if (tile == 0) {
        model->Decode(ctx, attention, z, out);
      } else {
        DecodeTiled(ctx, attention, *model, {tile}, z, out);
      }
      return out;
    };
  }

  Body EncodePass(int64_t n, int64_t h, int64_t w) const {
    return [=, this](Context& ctx, AttentionRuntime& attention) {
      const Tensor x = Upload(ctx, Waves({n, model->Traits().image_channels, h, w}));
      const Shape latent{n, model->LatentSide(h), model->LatentSide(w),
                         model->Traits().latent_channels};
      const Tensor mean = ctx.arena.New(latent, DType::kF32);
      const Tensor logvar = ctx.arena.New(latent, DType::kF32);
      model->Encode(ctx, attention, x, mean, logvar);
      return mean;
    };
  }

  // Smooth, and different in every sample.
  static HostTensor Waves(const Shape& nchw) {
    HostTensor tensor(nchw, DType::kF32);
    float* value = tensor.Data<float>();
    for (int64_t i = 0; i < nchw[0] * nchw[1]; ++i) {
      for (int64_t y = 0; y < nchw[2]; ++y) {
        for (int64_t x = 0; x < nchw[3]; ++x) {
          *value++ = std::sin(0.3f * static_cast<float>(y) + static_cast<float>(i)) *
                     std::cos(0.2f * static_cast<float>(x));
        }
      }
    }
    return tensor;
  }
};

ErrorCode Refusal(const json& fields) {
  try {
    ReadVaeConfig(Config::Parse(fields.dump(), "vae/config.json"));
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("vae/config.json") != std::string::npos);
    CHECK(std::string(error.what()).find(fields.begin().key()) != std::string::npos);
    return error.code;
  }
  return ErrorCode::kInternal;
}

TEST_CASE("a VAE config without fields is diffusers' default") {
  const VaeConfig vae = ReadVaeConfig(Config::Parse("{}", "config.json"));
  CHECK(vae.block_out_channels == std::vector<int64_t>{64});
  CHECK(vae.layers_per_block == 1);
  CHECK(vae.scaling_factor == 0.18215);
  CHECK(vae.use_quant_conv);
  CHECK(vae.mid_block_add_attention);
}

TEST_CASE("VAE fields that we lack, or with wrong values, are refused by name") {
  CHECK(Refusal({{"latents_mean", {0.0}}}) == ErrorCode::kUnsupported);
  CHECK(Refusal({{"latents_std", {1.0}}}) == ErrorCode::kUnsupported);
  CHECK(Refusal({{"act_fn", "mish"}}) == ErrorCode::kUnsupported);
  CHECK(Refusal({{"down_block_types", {"AttnDownEncoderBlock2D"}}}) == ErrorCode::kUnsupported);
  CHECK(Refusal({{"up_block_types", {"AttnUpDecoderBlock2D"}}}) == ErrorCode::kUnsupported);
  CHECK(Refusal({{"a_field_of_the_future", 1}}) == ErrorCode::kUnsupported);
  CHECK(Refusal({{"up_block_types", {"UpDecoderBlock2D", "UpDecoderBlock2D"}}}) ==
        ErrorCode::kBadFile);
  CHECK(Refusal({{"block_out_channels", json::array()}}) == ErrorCode::kBadFile);
  CHECK(Refusal({{"latent_channels", 0}}) == ErrorCode::kBadFile);
  CHECK(Refusal({{"layers_per_block", -1}}) == ErrorCode::kBadFile);
  CHECK(Refusal({{"norm_num_groups", 1e12}}) == ErrorCode::kBadFile);
  CHECK(Refusal({{"use_quant_conv", "no"}}) == ErrorCode::kBadFile);
  CHECK(Refusal({{"scaling_factor", 0}}) == ErrorCode::kBadFile);
}

TEST_CASE("a VAE's dry run foresees its memory exactly") {
  const std::string name = GENERATE("vae_sd15", "vae_no_attention", "vae_factor_1");
  const DType dtype = GENERATE(DType::kF32, DType::kBF16);
  INFO(name << " " << Name(dtype));
  const LoadedVae vae(name);
  const auto backend = MakeCpuBackend();
  for (const auto& pass :
       {vae.DecodePass(2, 5, 3), vae.EncodePass(2, 19, 26), vae.DecodePass(1, 9, 6, 4)}) {
    const ModelRun run = RunModel(*backend, dtype, pass);
    CHECK(run.planned_bytes == run.peak_bytes);
    CHECK(run.cost.packed_bytes == run.packed_bytes);
    CHECK(run.allocations == 0);
    CHECK(RootMeanSquare(run.output) > 0.01);
  }
}

TEST_CASE("a VAE's memory does not grow with the batch, but for its results") {
  const LoadedVae vae("vae_sd15");
  const auto backend = MakeCpuBackend();
  const size_t one = RunModel(*backend, DType::kF32, vae.DecodePass(1, 4, 4)).peak_bytes;
  const size_t four = RunModel(*backend, DType::kF32, vae.DecodePass(4, 4, 4)).peak_bytes;
  CHECK(four - one == 3 * (32 * 32 * 3 + 4 * 4 * 4) * sizeof(float));
}

TEST_CASE("a cancelled VAE stops within a few operations") {
  const LoadedVae vae("vae_sd15");
  const auto backend = MakeCpuBackend();
  CHECK(MostOperationsAfterStop(*backend, vae.DecodePass(2, 4, 4)) <= 8);
  CHECK(MostOperationsAfterStop(*backend, vae.EncodePass(2, 32, 32)) <= 8);
  // Tiles and strips of a large map finish the one that they are at.
  CHECK(MostOperationsAfterStop(*backend, vae.DecodePass(1, 9, 9, 4)) <= 12);
}

TEST_CASE("a VAE lists the attention of its encoder, then of its decoder") {
  const LoadedVae vae("vae_sd15");
  const auto sites = vae.model->AttentionSites();
  REQUIRE(sites.size() == 2);
  CHECK(sites[0].path == "encoder.mid_block.attentions.0");
  CHECK(sites[1].path == "decoder.mid_block.attentions.0");
  CHECK(sites[1].heads == 1);
  CHECK(sites[1].head_dim == 32);
  CHECK(TokenCount(sites[1].tokens) == 4 * 4);  // sample_size 32, factor 8
}

TEST_CASE("encoded sides round down at every halving") {
  const LoadedVae vae("vae_sd15");
  CHECK(vae.model->LatentSide(64) == 8);
  CHECK(vae.model->LatentSide(63) == 7);
  CHECK(vae.model->LatentSide(9) == 1);
  CHECK(vae.model->LatentSide(7) == 0);
  const auto backend = MakeCpuBackend();
  CHECK_THROWS_AS(RunModel(*backend, DType::kF32, vae.EncodePass(1, 7, 64)), Error);
}

TEST_CASE("BlendInto fades the old into the new") {
  const auto backend = MakeCpuBackend();
  Arena arena(*backend, 1 << 12);
  Context ctx{*backend, arena};
  const HostTensor before({1, 2, 3, 1}, std::vector<float>(6, 8.0f));
  HostTensor x({1, 3, 3, 1}, std::vector<float>(9, 4.0f));
  BlendInto(ctx, before.View(), 1, x.View());
  const float* got = x.Data<float>();
  CHECK(std::vector<float>(got, got + 9) == std::vector<float>{8, 8, 8, 6, 6, 6, 4, 4, 4});
  const HostTensor left({1, 3, 1, 1}, std::vector<float>{1, 2, 3});
  BlendInto(ctx, left.View(), 2, x.View());
  CHECK(std::vector<float>(got, got + 9) == std::vector<float>{1, 8, 8, 2, 6, 6, 3, 4, 4});
}

// Without attention and with groups of single pixels apart, a convolutional decoder's tile agrees
// with the whole away from its border; here the group norms see the tile only, so that the tiles
// agree with decodes of their own slices. The first tile's kept part is untouched by blending.
TEST_CASE("the first tile of a tiled decode is its own decode") {
  const LoadedVae vae("vae_no_attention");  // factor 2
  const auto backend = MakeCpuBackend();
  const HostTensor whole = RunModel(*backend, DType::kF32, vae.DecodePass(1, 11, 9, 4)).output;
  REQUIRE(whole.shape() == Shape{1, 22, 18, 3});
  const auto first = [&](Context& ctx, AttentionRuntime& attention) {
    const Tensor z = Upload(ctx, LoadedVae::Waves({1, 3, 11, 9}));
    const Tensor out = ctx.arena.New({1, 8, 8, 3}, DType::kF32);
    vae.model->Decode(ctx, attention, z.Slice(1, 0, 4).Slice(2, 0, 4), out);
    return out;
  };
  const HostTensor tile = RunModel(*backend, DType::kF32, first).output;
  const int64_t kept = 6;  // three quarters of the tile
  for (int64_t y = 0; y < kept; ++y) {
    for (int64_t i = 0; i < kept * 3; ++i) {
      REQUIRE(whole.Data<float>()[y * 18 * 3 + i] == tile.Data<float>()[y * 8 * 3 + i]);
    }
  }
}

TEST_CASE("a latent no larger than the tile is decoded whole") {
  const LoadedVae vae("vae_sd15");
  const auto backend = MakeCpuBackend();
  const HostTensor whole = RunModel(*backend, DType::kF32, vae.DecodePass(1, 8, 5)).output;
  const HostTensor tiled = RunModel(*backend, DType::kF32, vae.DecodePass(1, 8, 5, 8)).output;
  CHECK(Difference(tiled, whole, 0) == "");
  CHECK(DefaultTiling(vae.model->Traits()).tile == 4);
  CHECK_THROWS_AS(RunModel(*backend, DType::kF32, vae.DecodePass(1, 8, 5, 6)), Error);
}

}  // namespace
}  // namespace fovea
