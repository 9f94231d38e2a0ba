// What holds for every U-Net, whatever its numbers: memory, cancelling, sizes, sites. The numbers
// themselves are compared with diffusers in tests/pipelines/forward/forward_golden_test.cc.
#include "models/unet/unet.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "tests/support/golden_case.h"
#include "tests/support/model_run.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

struct LoadedUNet {
  TempDir temp;
  std::unique_ptr<UNet2DConditionModel> model;

  explicit LoadedUNet(const std::string& name) {
    GoldenCase::Read(GoldenFolder() / "forward" / name).WriteModel(temp.Path());
    model = UNet2DConditionModel::Load(Config::ReadFile(temp / "config.json"),
                                       WeightStore::Open(temp.Path()));
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
      std::vector<float> timesteps;
      for (int64_t i = 0; i < n; ++i) timesteps.push_back(900.0f - 300.0f * (first_sample + i));
      DenoiserInput input;
      input.latent = Upload(ctx, fill(HostTensor({n, traits.in_channels, h, w}, DType::kF32)));
      input.context = Upload(ctx, fill(HostTensor({n, 5, traits.context_dim}, DType::kF32)));
      input.timestep = timesteps;
      const Tensor out = ctx.arena.New({n, h, w, traits.out_channels}, DType::kF32);
      model->Forward(ctx, attention, input, out);
      return out;
    };
  }
};

TEST_CASE("a U-Net's dry run foresees its memory exactly") {
  const std::string name = GENERATE("unet_sd15", "unet_smallest", "unet_scale_shift", "unet_gelu");
  const DType dtype = GENERATE(DType::kF32, DType::kBF16);
  INFO(name << " " << Name(dtype));
  const LoadedUNet unet(name);
  const auto backend = MakeCpuBackend();
  const ModelRun run = RunModel(*backend, dtype, unet.Pass(2, 11, 6));
  CHECK(run.planned_bytes == run.peak_bytes);
  CHECK(run.cost.packed_bytes == run.packed_bytes);
  CHECK(run.allocations == 0);
  CHECK(run.cost.flops > 0);
  CHECK(RootMeanSquare(run.output) > 0.01);
}

TEST_CASE("a U-Net gives the same bytes twice") {
  const LoadedUNet unet("unet_sd15");
  const auto backend = MakeCpuBackend();
  const ModelRun first = RunModel(*backend, DType::kF32, unet.Pass(2, 8, 8));
  const ModelRun second = RunModel(*backend, DType::kF32, unet.Pass(2, 8, 8));
  CHECK(second.packed_bytes == 0);
  CHECK(std::memcmp(first.output.data(), second.output.data(), first.output.Bytes()) == 0);
}

TEST_CASE("samples of a U-Net's batch do not see each other") {
  const LoadedUNet unet("unet_sd15");
  const auto backend = MakeCpuBackend();
  const ModelRun both = RunModel(*backend, DType::kF32, unet.Pass(2, 9, 8));
  for (int64_t i = 0; i < 2; ++i) {
    const ModelRun alone = RunModel(*backend, DType::kF32, unet.Pass(1, 9, 8, i));
    HostTensor slice(alone.output.shape(), DType::kF32);
    std::memcpy(slice.data(), both.output.Data<float>() + i * slice.NumElements(), slice.Bytes());
    // Another batch may sum in another order.
    CHECK(Difference(slice, alone.output, 2e-6 * RootMeanSquare(alone.output)) == "");
  }
}

TEST_CASE("bf16 activations stay near f32 in a U-Net") {
  const LoadedUNet unet("unet_sd15");
  const auto backend = MakeCpuBackend();
  const ModelRun f32 = RunModel(*backend, DType::kF32, unet.Pass(1, 8, 8));
  const ModelRun bf16 = RunModel(*backend, DType::kBF16, unet.Pass(1, 8, 8));
  // 8 bits of mantissa through about 40 layers.
  CHECK(Difference(bf16.output, f32.output, 0.1 * RootMeanSquare(f32.output)) == "");
}

TEST_CASE("a cancelled U-Net stops within a few operations") {
  const LoadedUNet unet("unet_sd15");
  const auto backend = MakeCpuBackend();
  CHECK(MostOperationsAfterStop(*backend, unet.Pass(1, 8, 8)) <= 13);
}

TEST_CASE("a U-Net lists its attention sites in order of execution") {
  const LoadedUNet unet("unet_sd15");
  const auto sites = unet.model->AttentionSites();
  REQUIRE(sites.size() == 32);
  CHECK(sites[0].path == "down_blocks.0.attentions.0.transformer_blocks.0.attn1");
  CHECK(sites[1].path == "down_blocks.0.attentions.0.transformer_blocks.0.attn2");
  CHECK(sites[12].path == "mid_block.attentions.0.transformer_blocks.0.attn1");
  CHECK(sites[14].path == "up_blocks.1.attentions.0.transformer_blocks.0.attn1");
  CHECK(sites[31].path == "up_blocks.3.attentions.2.transformer_blocks.0.attn2");
  for (size_t i = 0; i < sites.size(); ++i) {
    CHECK(sites[i].index == static_cast<int>(i));
    CHECK(sites[i].kind == (i % 2 == 0 ? SiteKind::kSelf : SiteKind::kCross));
    CHECK(sites[i].heads == 2);
  }
  CHECK(sites[0].head_dim == 8);
  CHECK(TokenCount(sites[0].tokens) == 16 * 16);
  CHECK(TokenCount(sites[12].tokens) == 2 * 2);
  CHECK(sites[12].head_dim == 32);
  CHECK(TokenCount(sites[31].tokens) == 16 * 16);
}

TEST_CASE("attention sites follow a sample size that is not square") {
  const LoadedUNet unet("unet_sines_first");
  const Segment segment = unet.model->AttentionSites().front().tokens.front();
  CHECK(segment.grid == std::array<int, 3>{1, 8, 6});
}

TEST_CASE("only_cross_attention makes cross sites of both attentions, except in the middle") {
  const LoadedUNet unet("unet_depths");
  const auto sites = unet.model->AttentionSites();
  CHECK(sites.front().kind == SiteKind::kCross);
  for (const AttentionSite& site : sites) {
    if (site.path.starts_with("mid_block") && site.path.ends_with("attn1")) {
      CHECK(site.kind == SiteKind::kSelf);
    }
  }
}

TEST_CASE("a latent that is too small for the levels is a usage error") {
  const LoadedUNet unet("unet_scale_shift");  // downsample_padding 0: 2 -> 1 -> 0
  const auto backend = MakeCpuBackend();
  CHECK_NOTHROW(RunModel(*backend, DType::kF32, unet.Pass(1, 4, 5)));
  try {
    RunModel(*backend, DType::kF32, unet.Pass(1, 2, 8));
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.code == ErrorCode::kUsage);
    CHECK(std::string(error.what()).find("2x8") != std::string::npos);
  }
}

TEST_CASE("missing, surplus and misshapen tensors of a U-Net are named") {
  GoldenCase golden = GoldenCase::Read(GoldenFolder() / "forward" / "unet_smallest");
  const auto refusal = [&]() -> std::string {
    const TempDir temp;
    golden.WriteModel(temp.Path());
    try {
      UNet2DConditionModel::Load(Config::ReadFile(temp / "config.json"),
                                 WeightStore::Open(temp.Path()));
    } catch (const Error& error) {
      CHECK(error.code == ErrorCode::kBadFile);
      return error.what();
    }
    return "";
  };
  CHECK(refusal() == "");
  SECTION("missing") {
    golden.tensors.erase("mid_block.resnets.1.norm2.bias");
    CHECK(refusal().find("mid_block.resnets.1.norm2.bias") != std::string::npos);
  }
  SECTION("surplus") {
    golden.tensors["down_blocks.7.weight"] = Shape{3};
    CHECK(refusal().find("down_blocks.7.weight") != std::string::npos);
  }
  SECTION("misshapen") {
    golden.tensors["conv_in.weight"] = Shape{4, 4, 3, 1};
    CHECK(refusal().find("conv_in.weight") != std::string::npos);
  }
}

}  // namespace
}  // namespace fovea
