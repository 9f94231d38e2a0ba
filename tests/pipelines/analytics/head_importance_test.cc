#include "pipelines/analytics/head_importance.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "attention/attention_runtime.h"
#include "attention/kernels/element.h"
#include "pipelines/analytics/head_statistics.h"
#include "tensor/memory/arena.h"
#include "tensor/memory/host_tensor.h"

namespace fovea {
namespace {

constexpr int kRows = 3, kColumns = 4, kHeads = 2, kDim = 8, kTokens = 1 + kRows * kColumns;

AttentionSite Site(int index) {
  AttentionSite site;
  site.path = "layer." + std::to_string(index);
  site.index = index;
  site.heads = kHeads;
  site.head_dim = kDim;
  site.tokens = {{SegmentKind::kClass, 0, 1, {1, 1, 1}},
                 {SegmentKind::kGrid, 1, kRows * kColumns, {1, kRows, kColumns}}};
  return site;
}

// Two layers of attention and nothing else; returns what the last one puts out. A layer is given,
// as far as listeners are told, what the one before put out.
struct Model {
  std::unique_ptr<Backend> backend = MakeCpuBackend();
  Arena arena{*backend, size_t{1} << 22};
  std::vector<AttentionSite> sites{Site(0), Site(1)};
  float peak = 0;  // of every query's scores at its own token
  DType dtype = DType::kF32;

  std::vector<float> Run(size_t picture, const std::vector<AttentionListener*>& listeners) {
    ArenaScope scope(arena);
    Context ctx{*backend, arena, {}, dtype};
    const bool bf16 = dtype == DType::kBF16;
    AttentionRuntime runtime(AttentionPlan(), sites, 1, {1});
    runtime.SetListeners(listeners);
    const Shape shape{1, kTokens, kHeads, kDim};
    const Tensor q = arena.New(shape, dtype), k = arena.New(shape, dtype);
    const Tensor v = arena.New(shape, dtype), out = arena.New(shape, dtype);
    const Tensor hidden = arena.New({1, kTokens, kHeads * kDim}, dtype);
    for (int64_t i = 0; i < out.NumElements(); ++i) StoreElement(out.data, i, bf16, 1);
    for (const AttentionSite& site : sites) {
      for (int t = 0; t < kTokens; ++t) {
        for (int h = 0; h < kHeads; ++h) {
          for (int d = 0; d < kDim; ++d) {
            const int64_t at = (t * kHeads + h) * kDim + d;
            const float sign = (t >> d & 1) != 0 ? 1.0f : -1.0f;
            StoreElement(q.data, at, bf16, d < 4 ? peak * sign : 0);
            StoreElement(k.data, at, bf16, d < 4 ? sign : 0);
            const int phase = static_cast<int>(picture) * 31 + t * 7 + h * 3 + d + site.index;
            StoreElement(v.data, at, bf16, std::sin(static_cast<float>(phase)));
          }
        }
      }
      AttentionSpec spec;
      spec.heads = kHeads;
      spec.head_dim = kDim;
      spec.dtype = dtype;
      spec.q = spec.kv = site.tokens;
      AttentionIo io;
      io.q = q, io.k = k, io.v = v, io.out = out, io.hidden = hidden;
      std::memcpy(hidden.data, out.data, out.Bytes());
      runtime.Attend(ctx, site, spec, io);
    }
    std::vector<float> values;
    for (int64_t i = 0; i < out.NumElements(); ++i) {
      values.push_back(LoadElement(out.data, i, bf16));
    }
    return values;
  }
};

}  // namespace

TEST_CASE("ablations replace what a head put out and nothing else, in f32 and bf16") {
  Model model;
  model.dtype = GENERATE(DType::kF32, DType::kBF16);
  CAPTURE(Name(model.dtype));
  HeadOutputs outputs;
  const auto first = model.Run(0, {&outputs}), second = model.Run(1, {&outputs});
  REQUIRE(outputs.Heads().size() == 4);
  CHECK(outputs.Sites().at(1).passes[1] == second);
  const auto values = [&](Ablation ablation, size_t other) {
    HeadAblator ablator(outputs, ablation, {{1, 1}});
    ablator.SetOther(other);
    return model.Run(0, {&ablator});
  };
  const auto zero = values(Ablation::kZero, 0), mean = values(Ablation::kMean, 0);
  const auto shuffled = values(Ablation::kShuffle, 1), own = values(Ablation::kShuffle, 0);
  CHECK(own == first);
  for (size_t i = 0; i < first.size(); ++i) {
    const bool ablated = i / kDim % kHeads == 1;
    CHECK(zero[i] == (ablated ? 0 : first[i]));
    CHECK(shuffled[i] == (ablated ? second[i] : first[i]));
    // What is written to a bf16 tensor has 8 bits.
    const float half = (first[i] + second[i]) / 2;
    CHECK(mean[i] == Approx(ablated ? half : first[i])
                         .margin(model.dtype == DType::kBF16 ? 4e-3 * std::abs(half) : 1e-6));
  }
}

TEST_CASE("effects of an ablation are those of two distributions") {
  const std::vector<PictureReading> before{{{0.5, 0.5}, {1, 0}}, {{0.9, 0.1}, {1, 0}}};
  const std::vector<PictureReading> after{{{0.25, 0.75}, {0, 2}}, {{0.9, 0.1}, {3, 0}}};
  const std::vector<size_t> right{0, 0};
  const AblationEffect effect = EffectOf(before, after, right);
  CHECK(effect.loss == Approx(std::log(2) / 2));
  CHECK(effect.loss_error == Approx(1.96 * std::log(2) / 2));
  CHECK(effect.probability == Approx(0.125));
  CHECK(effect.drift == Approx(0.5));
  CHECK(effect.flips == Approx(0.5));
  CHECK(effect.accuracy == Approx(0.5));
  const double js = 0.5 * (0.5 * std::log(0.5 / 0.375) + 0.5 * std::log(0.5 / 0.625)) +
                    0.5 * (0.25 * std::log(0.25 / 0.375) + 0.75 * std::log(0.75 / 0.625));
  CHECK(effect.js == Approx(js / 2));
  CHECK(EffectOf(before, before, right).js == 0);
  // An impossible answer is a large loss, not an infinite one.
  const std::vector<PictureReading> never{{{0, 1}, {1, 0}}, {{0, 1}, {1, 0}}};
  CHECK(std::isfinite(EffectOf(before, never, right).loss));
}

TEST_CASE("the head that the answer is read from is the important one") {
  Model model;
  const auto read = [&](size_t picture, const std::vector<AttentionListener*>& listeners) {
    const std::vector<float> out = model.Run(picture, listeners);
    PictureReading reading;
    double sum = 0;
    for (int d = 0; d < kDim; ++d) reading.vector.push_back(out[static_cast<size_t>(kDim + d)]);
    for (const float each : reading.vector) {
      sum += reading.p.emplace_back(std::exp(40 * static_cast<double>(each)));
    }
    for (double& each : reading.p) each /= sum;
    return reading;
  };
  std::vector<size_t> right;
  for (size_t i = 0; i < 6; ++i) {
    const auto p = read(i, {}).p;
    right.push_back(static_cast<size_t>(std::max_element(p.begin(), p.end()) - p.begin()));
  }
  const HeadStudy study(right, read);
  const std::vector<size_t> all{0, 1, 2, 3, 4, 5};
  for (const HeadId& each : study.Heads()) {
    const AblationEffect effect = study.Ablate(Ablation::kZero, {each}, all);
    if (each == HeadId{1, 1}) {
      CHECK(effect.loss > 0.01);
      CHECK(effect.js > 0.001);
    } else {
      CHECK(effect.loss == 0);
      CHECK(effect.drift == Approx(0).margin(1e-9));
    }
  }
  const auto curve =
      RemovalCurve(study, Ablation::kZero, {{1, 1}, {0, 0}, {0, 1}, {1, 0}}, all, 4, 7);
  REQUIRE(curve.size() == 3);
  CHECK(curve[0].removed == 1);
  CHECK(curve[0].top.loss > 0.01);
  CHECK(curve[0].bottom.loss == 0);
  CHECK(curve[0].random_lowest <= curve[0].random_loss);
  CHECK(curve[2].removed == 3);
  CHECK(curve[2].bottom.loss == 0);
}

TEST_CASE("patterns of even and of identical attention have the numbers they must") {
  Model model;
  HeadStatistics even;
  model.Run(0, {&even});
  const auto heads = even.Finish(3);
  REQUIRE(heads.size() == 4);
  CHECK(heads[0].entropy == Approx(1));
  CHECK(heads[0].effective_keys == Approx(kTokens));
  CHECK(heads[0].single == Approx(1.0 / kTokens));
  CHECK(heads[0].sink == Approx(1));
  CHECK(heads[0].looks == "even");
  CHECK(heads[3].group == heads[0].group);
  CHECK(PatternSimilarity(heads[0], heads[3]) == Approx(1));
  double sum = 0;
  for (const double each : heads[0].rings) sum += each;
  CHECK(sum == Approx(1));
  CHECK(heads[0].rings[0] == Approx(1.0 / (kRows * kColumns)));

  model.peak = 60;  // every query sees its own token alone
  HeadStatistics sharp;
  model.Run(0, {&sharp});
  model.Run(1, {&sharp});
  const auto own = sharp.Finish(3);
  CHECK(own[0].distance == Approx(0).margin(1e-6));
  CHECK(own[0].effective_keys == Approx(1));
  CHECK(own[0].rings[0] == Approx(1));
  CHECK(own[0].looks == "local");
  CHECK(own[0].entropy == Approx(0).margin(1e-6));
}

TEST_CASE("local drift compares what leaves the head's own block, token by token") {
  Model model;
  const HeadStudy study({0, 0}, [&](size_t i, const std::vector<AttentionListener*>& listeners) {
    const std::vector<float> out = model.Run(i, listeners);
    return PictureReading{{1}, {out[0]}, out};
  });
  const size_t pictures[] = {0, 1};
  for (const HeadId head : {HeadId{0, 0}, HeadId{0, 1}, HeadId{1, 0}}) {
    const AblationEffect effect = study.Ablate(Ablation::kZero, {head}, pictures);
    double drift[2] = {0, 0};  // of the class token, of the patches
    for (const std::vector<float>& out : study.Outputs().Sites().at(head.site).passes) {
      for (int t = 0; t < kTokens; ++t) {
        double all = 0, kept = 0;
        for (int i = 0; i < kHeads * kDim; ++i) {
          const double square = std::pow(out[static_cast<size_t>(t * kHeads * kDim + i)], 2);
          all += square;
          kept += i / kDim == head.head ? 0 : square;
        }
        drift[t > 0] += (1 - std::sqrt(kept / all)) / 2 / (t > 0 ? kTokens - 1 : 1);
      }
    }
    CHECK(effect.class_drift == Approx(drift[0]).epsilon(1e-4));
    CHECK(effect.patch_drift == Approx(drift[1]).epsilon(1e-4));
  }
  CHECK(std::isnan(study.Ablate(Ablation::kZero, {{0, 0}, {1, 0}}, pictures).class_drift));
}

}  // namespace fovea
