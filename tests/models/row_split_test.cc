// A perturbed branch that is computed from its first perturbed layer on gives what the whole batch
// gives, at every layer of every kind of denoiser, and costs less.
#include "models/row_split.h"

#include <array>
#include <cmath>

#include <catch2/catch.hpp>

#include "models/load_denoiser.h"
#include "tests/support/golden_case.h"
#include "tests/support/model_run.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

constexpr std::array kBranches = {BranchKind::kUnconditional, BranchKind::kConditional,
                                  BranchKind::kPerturbed};

struct LoadedDenoiser {
  TempDir temp;
  std::unique_ptr<Denoiser> model;

  explicit LoadedDenoiser(const std::string& name) {
    GoldenCase::Read(GoldenFolder() / "forward" / name).WriteModel(temp.Path());
    const Config config = Config::ReadFile(temp / "config.json");
    model = LoadDenoiser(config.ClassName(), config, WeightStore::Open(temp.Path()));
  }

  // Two pictures in three branches, of which the third is given what the second is given.
  ModelRun Run(const Perturbation& perturbation, const RowSplit& split) const {
    const auto backend = MakeCpuBackend();
    return RunModel(*backend, DType::kF32, [&](Context& ctx, AttentionRuntime&) {
      const DenoiserTraits& traits = model->Traits();
      constexpr int64_t n = 6, h = 16, w = 8;
      const auto fill = [](HostTensor tensor) {
        const int64_t each = tensor.NumElements() / n;
        for (int64_t i = 0; i < tensor.NumElements(); ++i) {
          const int64_t at = i < 4 * each ? i : i - 2 * each;
          tensor.Data<float>()[i] = static_cast<float>((at * 7919 + 13) % 401) / 200.0f - 1;
        }
        return tensor;
      };
      const float time = traits.packed ? 0.6f : 600;
      const std::vector<int64_t> labels = {3, 3, 1, 2, 1, 2};
      const float scale = 3;
      std::vector<float> ids(static_cast<size_t>(n) * 6, 48);
      DenoiserInput input;
      input.latent = Upload(ctx, fill(HostTensor({n, traits.in_channels, h, w}, DType::kF32)));
      input.timestep = std::span(&time, 1);
      if (traits.context_dim > 0) {
        input.context = Upload(ctx, fill(HostTensor({n, 5, traits.context_dim}, DType::kF32)));
      }
      int64_t pooled = traits.pooled_dim;
      if (traits.addition_dim > 0) {
        pooled = traits.addition_dim - 6 * traits.addition_time_dim;
        input.time_ids = ids;
      }
      if (pooled > 0) input.text_embeds = Upload(ctx, fill(HostTensor({n, pooled}, DType::kF32)));
      if (traits.num_classes > 0) input.class_labels = labels;
      if (traits.has_guidance) input.guidance = std::span(&scale, 1);
      input.split = split;
      const Tensor out = ctx.arena.New({n, h, w, traits.out_channels}, DType::kF32);
      AttentionRuntime attention({}, model->AttentionSites(), 1, {0});
      attention.SetPerturbation(BranchKind::kPerturbed, perturbation);
      attention.BeginStep(0, 1, BranchLayout(kBranches, 2));
      model->Forward(ctx, attention, input, out);
      return out;
    });
  }
};

double Distance(const HostTensor& a, const HostTensor& b, int64_t first, int64_t rows) {
  const int64_t each = a.NumElements() / a.shape()[0];
  double sum = 0, norm = 0;
  for (int64_t i = first * each; i < (first + rows) * each; ++i) {
    const double x = a.Data<float>()[i], y = b.Data<float>()[i];
    sum += (x - y) * (x - y);
    norm += y * y;
  }
  return std::sqrt(sum / norm);
}

RowSplit From(int site) {
  return {.base_rows = 4, .from = 2, .count = 2, .site = site};
}

}  // namespace

TEST_CASE("shared rows give what the whole batch gives, wherever they part") {
  const std::string name =
      GENERATE("unet_sd15", "unet_sdxl", "unet_sdxl_no_mid", "sd3_dual", "flux_dev", "dit");
  CAPTURE(name);
  const LoadedDenoiser loaded(name);
  double least = 1e300;
  for (const AttentionSite& site : loaded.model->AttentionSites()) {
    if (site.kind == SiteKind::kCross) continue;
    CAPTURE(site.path);
    Perturbation worse;
    worse.heads.push_back({site.index, {0}, 0.7F});
    const ModelRun whole = loaded.Run(worse, {});
    const ModelRun shared = loaded.Run(worse, From(site.index));
    CHECK(Distance(shared.output, whole.output, 0, 6) < 1e-5);
    CHECK(Distance(whole.output, whole.output, 0, 6) == 0);
    // The third branch is perturbed, and only it.
    const ModelRun plain = loaded.Run({}, {});
    CHECK(Distance(shared.output, plain.output, 0, 4) < 1e-5);
    CHECK(Distance(shared.output, plain.output, 4, 2) > 1e-5);
    CHECK(shared.planned_bytes == shared.peak_bytes);
    CHECK(shared.cost.flops <= whole.cost.flops);
    CHECK(shared.cost.flops <= least);  // the later, the cheaper
    least = shared.cost.flops;
  }
}

TEST_CASE("a block that is skipped leaves the perturbed rows as they are") {
  const std::string name = GENERATE("unet_sd15", "sd3_dual", "flux_dev", "dit");
  CAPTURE(name);
  const LoadedDenoiser loaded(name);
  const auto sites = loaded.model->AttentionSites();
  const ModelRun plain = loaded.Run({}, {});
  for (const AttentionSite& site : sites) {
    if (site.kind == SiteKind::kCross || site.path.ends_with("attn2")) continue;
    CAPTURE(site.path);
    std::vector<unsigned char> skipped(sites.size(), 0);
    skipped[static_cast<size_t>(site.index)] = 1;
    RowSplit split = From(site.index), whole = From(0);
    split.skipped = whole.skipped = skipped;
    const ModelRun shared = loaded.Run({}, split);
    CHECK(Distance(shared.output, loaded.Run({}, whole).output, 0, 6) < 1e-5);
    CHECK(Distance(shared.output, plain.output, 0, 4) < 1e-5);
    CHECK(Distance(shared.output, plain.output, 4, 2) > 1e-3);
    CHECK(shared.planned_bytes == shared.peak_bytes);
    CHECK(shared.cost.flops < plain.cost.flops);
  }
}

TEST_CASE("rows of several branches repeat those of one") {
  const auto backend = MakeCpuBackend();
  Arena arena(*backend, 1 << 12);
  Context ctx{*backend, arena};
  HostTensor x({7, 2}, DType::kF32);
  for (int64_t i = 0; i < 14; ++i) x.Data<float>()[i] = static_cast<float>(i < 6 ? i : -1);
  LiveRows live({.base_rows = 3, .from = 1, .count = 2, .site = 5}, 7);
  CHECK(live.Count() == 3);
  CHECK_FALSE(live.PartsBefore(4));
  live.PartAt(ctx, 4, {x.View()});
  CHECK(live.Count() == 3);
  live.PartAt(ctx, 5, {x.View()});
  CHECK(live.Count() == 7);
  const std::vector<float> wanted = {0, 1, 2, 3, 4, 5, 2, 3, 4, 5, 2, 3, 4, 5};
  CHECK(std::vector<float>(x.Data<float>(), x.Data<float>() + 14) == wanted);
  CHECK(LiveRows({}, 7).Count() == 7);
}

}  // namespace fovea
