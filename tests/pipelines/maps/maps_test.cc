// Word maps, rollout, relevance and segments against naive definitions in double precision.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>
#include <set>

#include "attention/attention_runtime.h"
#include "pipelines/maps/grid_maps.h"
#include "pipelines/maps/prompt_words.h"
#include "pipelines/maps/self_maps.h"
#include "pipelines/maps/vit_maps.h"
#include "pipelines/maps/word_maps.h"
#include "tests/support/operator_case.h"
#include "tests/support/worst.h"

namespace fovea {
namespace {

using Matrix = std::vector<std::vector<double>>;

struct Site {
  SiteKind kind;
  int height, width, heads, keys;  // keys: of the text; 0: the image's own
};

constexpr int kDim = 8, kSteps = 3;

// A run of made-up queries, keys and values through some sites, in guided batches of two.
struct FakeRun {
  explicit FakeRun(std::vector<Site> shapes, int class_tokens = 0) : sites(std::move(shapes)) {
    for (size_t i = 0; i < sites.size(); ++i) {
      TokenLayout q = GridLayout(sites[i].height, sites[i].width);
      if (class_tokens > 0) {
        q = {{SegmentKind::kClass, 0, 1, {1, 1, 1}},
             {SegmentKind::kRegister, 1, class_tokens - 1, {1, 1, 1}},
             {SegmentKind::kGrid,
              class_tokens,
              sites[i].height * sites[i].width,
              {1, sites[i].height, sites[i].width}}};
      }
      layouts.push_back(q);
      model.push_back({"block." + std::to_string(i) + ".attn", static_cast<int>(i), sites[i].kind,
                       sites[i].heads, kDim, q});
    }
  }

  void Run(AttentionListener& listener) {
    AttentionRuntime runtime(AttentionPlan(), model, kSteps, {1});
    runtime.SetListeners({&listener});
    for (int step = 0; step < kSteps; ++step) {
      runtime.BeginStep(step, kSteps);
      for (size_t i = 0; i < sites.size(); ++i) {
        AttentionSpec spec;
        spec.batch = 2, spec.heads = sites[i].heads, spec.head_dim = kDim;
        spec.q = layouts[i];
        spec.kv = sites[i].keys > 0 ? TextLayout(sites[i].keys) : layouts[i];
        const HostTensor q = Q(i, step), k = K(i, step), v = V(i, step);
        HostTensor out(q.shape(), DType::kF32);
        runtime.Attend(ctx, model[i], spec, {q.View(), k.View(), v.View(), out.View()});
      }
    }
  }

  HostTensor Random(size_t site, int step, int64_t tokens, uint32_t what) const {
    return RandomNormal({2, tokens, sites[site].heads, kDim},
                        static_cast<uint32_t>(site * 100 + static_cast<size_t>(step) * 10) + what,
                        1.3f);
  }
  HostTensor Q(size_t i, int step) const { return Random(i, step, TokenCount(layouts[i]), 1); }
  HostTensor K(size_t i, int step) const { return Random(i, step, Keys(i), 2); }
  HostTensor V(size_t i, int step) const { return Random(i, step, Keys(i), 3); }
  int64_t Keys(size_t i) const {
    return sites[i].keys > 0 ? sites[i].keys : TokenCount(layouts[i]);
  }

  // softmax(q kT / sqrt d) of one head.
  Matrix Attention(size_t i, int step, int64_t sample, int64_t head) const {
    const HostTensor q = Q(i, step), k = K(i, step);
    Matrix rows;
    for (int64_t t = 0; t < q.shape()[1]; ++t) {
      std::vector<double> row;
      for (int64_t j = 0; j < Keys(i); ++j) {
        double score = 0;
        for (int64_t c = 0; c < kDim; ++c) {
          score += reference::At(q.View(), {sample, t, head, c}) *
                   reference::At(k.View(), {sample, j, head, c});
        }
        row.push_back(std::exp(score / std::sqrt(double{kDim})));
      }
      const double sum = std::accumulate(row.begin(), row.end(), 0.0);
      for (double& x : row) x /= sum;
      rows.push_back(row);
    }
    return rows;
  }

  std::vector<Site> sites;
  std::vector<TokenLayout> layouts;
  std::vector<AttentionSite> model;
  std::unique_ptr<Backend> backend = MakeCpuBackend();
  Arena arena{*backend, 16 << 20};
  Context ctx{*backend, arena};
};

// Keys' kernel, a = -0.75.
double Cubic(double x) {
  x = std::abs(x);
  constexpr double kA = -0.75;
  if (x <= 1) return (kA + 2) * x * x * x - (kA + 3) * x * x + 1;
  return x < 2 ? kA * x * x * x - 5 * kA * x * x + 8 * kA * x - 4 * kA : 0;
}

std::vector<double> Bicubic(const std::vector<double>& map, int h, int w, int to_h, int to_w) {
  std::vector<double> out;
  for (int y = 0; y < to_h; ++y) {
    for (int x = 0; x < to_w; ++x) {
      const double sy = (y + 0.5) * h / to_h - 0.5, sx = (x + 0.5) * w / to_w - 0.5;
      double sum = 0;
      for (int i = -1; i <= 2; ++i) {
        for (int j = -1; j <= 2; ++j) {
          const int iy = static_cast<int>(std::floor(sy)) + i;
          const int ix = static_cast<int>(std::floor(sx)) + j;
          const int cy = std::clamp(iy, 0, h - 1), cx = std::clamp(ix, 0, w - 1);
          sum += Cubic(sy - iy) * Cubic(sx - ix) * map[static_cast<size_t>(cy * w + cx)];
        }
      }
      out.push_back(sum);
    }
  }
  return out;
}

double WorstOf(const std::vector<float>& got, const std::vector<double>& want) {
  REQUIRE(got.size() == want.size());
  Worst worst;
  for (size_t i = 0; i < got.size(); ++i) worst.Add(got[i], want[i]);
  return worst.Value();
}

const std::vector<Site> kUNet = {{SiteKind::kSelf, 6, 10, 2, 0},
                                 {SiteKind::kCross, 6, 10, 2, 12},
                                 {SiteKind::kCross, 3, 5, 3, 12},
                                 {SiteKind::kCross, 2, 3, 1, 12}};

std::vector<double> NaiveWords(const FakeRun& run, const std::vector<int>& positions,
                               const std::vector<int>& among, int first_step, int last_step) {
  std::vector<double> sum(60);
  int maps = 0;
  for (size_t i = 1; i < run.sites.size(); ++i) {
    const Site& site = run.sites[i];
    for (int head = 0; head < site.heads; ++head) {
      for (const int position : positions) {
        std::vector<double> mean(static_cast<size_t>(site.height * site.width));
        for (int step = first_step; step <= last_step; ++step) {
          const Matrix a = run.Attention(i, step, 1, head);
          for (size_t t = 0; t < mean.size(); ++t) {
            double all = among.empty() ? 1 : 0;
            for (const int other : among) all += a[t][static_cast<size_t>(other)];
            mean[t] += a[t][static_cast<size_t>(position)] / all / (last_step - first_step + 1);
          }
        }
        const auto large = Bicubic(mean, site.height, site.width, 6, 10);
        for (size_t t = 0; t < sum.size(); ++t) sum[t] += std::max(0.0, large[t]);
        ++maps;
      }
    }
  }
  for (double& value : sum) value /= maps;
  return sum;
}

TEST_CASE("word maps are DAAM's, on grids that are not square") {
  FakeRun run(kUNet);
  const std::vector<PromptWord> words{{"cube", {2, 3, 7}}, {"red", {1}}};
  const std::vector<int> prompt{1, 2, 3, 4, 7};
  for (const bool among : {false, true}) {
    WordMaps maps(words, prompt, among, {});
    run.Run(maps);
    const std::vector<AttentionMap> got = maps.Finish();
    REQUIRE(got.size() == 2);
    CHECK(got[0].word == "cube");
    CHECK(got[0].map.height == 6);
    CHECK(got[0].map.width == 10);
    for (size_t w = 0; w < 2; ++w) {
      const auto want =
          NaiveWords(run, words[w].positions, among ? prompt : std::vector<int>{}, 0, kSteps - 1);
      CHECK(WorstOf(got[w].map.values, want) <= 2e-6);
    }
    const TextShares shares = maps.Shares();
    CHECK(shares.words + shares.specials == Approx(1).epsilon(1e-5));
    CHECK(shares.image == Approx(0).margin(1e-5));
  }
}

TEST_CASE("word maps by layer, head and step are parts of the whole") {
  FakeRun run(kUNet);
  const std::vector<PromptWord> words{{"red", {1}}};
  MapSelection selection;
  selection.layers = {"*.[1-2].attn"};
  selection.heads = {{0, 0}};
  selection.steps = {ParseStepRange("1-2")};
  selection.per_layer = selection.per_head = selection.per_step = true;
  WordMaps maps(words, {1}, false, selection);
  run.Run(maps);
  const std::vector<AttentionMap> got = maps.Finish();
  REQUIRE(got.size() == 1 + 2 * 3);  // all; two layers of one head: over steps, and two steps
  std::set<std::pair<std::string, int>> seen;
  for (const AttentionMap& map : got) {
    seen.insert({map.layer, map.step});
    if (map.layer != "block.2.attn" || map.step != 2) continue;
    CHECK(map.head == 0);
    const Matrix a = run.Attention(2, 2, 1, 0);
    std::vector<double> want;
    for (const auto& row : a) want.push_back(row[1]);
    CHECK(WorstOf(map.map.values, want) <= 1e-6);
  }
  CHECK(seen.size() == 7);
  CHECK(seen.contains({"", -1}));
  CHECK(seen.contains({"block.1.attn", 1}));
}

TEST_CASE("rows and entropies of self-attention") {
  FakeRun run({{SiteKind::kSelf, 6, 10, 2, 0}, {SiteKind::kSelf, 3, 5, 1, 0}});
  MapSelection selection;
  selection.per_layer = true;
  QueryRows rows({4, 7, 6, 10}, selection);
  run.Run(rows);
  const auto got = rows.Finish();
  REQUIRE(got.size() == 3);
  CHECK(got[2].layer == "block.1.attn");
  std::vector<double> want(15);
  for (int step = 0; step < kSteps; ++step) {
    const Matrix a = run.Attention(1, step, 1, 0);
    for (size_t j = 0; j < 15; ++j) want[j] += a[2 * 5 + 3][j] / kSteps;  // covers 4,7
  }
  CHECK(WorstOf(got[2].map.values, want) <= 1e-6);

  EntropyMaps entropy(selection);
  run.Run(entropy);
  const auto maps = entropy.Finish();
  std::vector<double> of_tokens(60);
  for (int step = 0; step < kSteps; ++step) {
    for (int head = 0; head < 2; ++head) {
      const Matrix a = run.Attention(0, step, 1, head);
      for (size_t t = 0; t < 60; ++t) {
        for (const double p : a[t]) of_tokens[t] -= p * std::log(p) / std::log(60.0) / (2 * kSteps);
      }
    }
  }
  CHECK(WorstOf(maps[1].map.values, of_tokens) <= 2e-6);
  CHECK(entropy.Rows().size() == 3 * kSteps);
}

// Of step 0 of `run`, whose sites are the layers of a ViT with 3 single tokens.
template <class Weigh>
std::vector<double> NaiveRollout(const FakeRun& run, const Weigh& weigh) {
  const size_t n = static_cast<size_t>(TokenCount(run.layouts[0]));
  Matrix product(n, std::vector<double>(n));
  for (size_t i = 0; i < n; ++i) product[i][i] = 1;
  for (size_t layer = 0; layer < run.sites.size(); ++layer) {
    Matrix a = weigh(layer);
    Matrix next(n, std::vector<double>(n));
    for (size_t i = 0; i < n; ++i) {
      const double sum = std::accumulate(a[i].begin(), a[i].end(), 0.0);
      for (size_t j = 0; j < n; ++j) {
        const double own = (a[i][j] + (i == j)) / (sum + 1);
        for (size_t m = 0; m < n; ++m) next[i][m] += own * product[j][m];
      }
    }
    product = next;
  }
  return {product[0].begin() + 3, product[0].end()};
}

TEST_CASE("rollout and relevance are products over all layers") {
  FakeRun run(
      {{SiteKind::kSelf, 3, 4, 2, 0}, {SiteKind::kSelf, 3, 4, 2, 0}, {SiteKind::kSelf, 3, 4, 2, 0}},
      3);
  struct FirstStep final : AttentionListener {
    void Attended(Context& ctx, const AttentionCall& call) override {
      if (call.step == 0) kept.Attended(ctx, call);
    }
    LayerKeeper kept;
  } first;
  run.Run(first);
  const auto mean = [&](size_t layer) {
    Matrix a = run.Attention(layer, 0, 0, 0);
    const Matrix b = run.Attention(layer, 0, 0, 1);
    for (size_t i = 0; i < a.size(); ++i) {
      for (size_t j = 0; j < a.size(); ++j) a[i][j] = (a[i][j] + b[i][j]) / 2;
    }
    return a;
  };
  const AttentionMap rollout = RolloutMap(run.ctx, first.kept, {}, {});
  CHECK(rollout.map.height == 3);
  CHECK(WorstOf(rollout.map.values, NaiveRollout(run, mean)) <= 1e-6);

  const auto extreme = [&](bool largest, double discard) {
    return [&run, largest, discard](size_t layer) {
      Matrix a = run.Attention(layer, 0, 0, 0);
      const Matrix b = run.Attention(layer, 0, 0, 1);
      std::vector<std::pair<double, size_t>> order;
      for (size_t i = 0; i < a.size() * a.size(); ++i) {
        double& x = a[i / a.size()][i % a.size()];
        const double y = b[i / a.size()][i % a.size()];
        x = largest ? std::max(x, y) : std::min(x, y);
        order.emplace_back(x, i);
      }
      std::sort(order.begin(), order.end());
      for (size_t i = 0; i < static_cast<size_t>(static_cast<double>(order.size()) * discard);
           ++i) {
        const size_t at = order[i].second;
        if (at != 0) a[at / a.size()][at % a.size()] = 0;
      }
      return a;
    };
  };
  CHECK(WorstOf(RolloutMap(run.ctx, first.kept, {}, ParseRollout("max,0.9")).map.values,
                NaiveRollout(run, extreme(true, 0.9))) <= 1e-6);
  CHECK(WorstOf(RolloutMap(run.ctx, first.kept, {}, ParseRollout("min")).map.values,
                NaiveRollout(run, extreme(false, 0))) <= 1e-6);

  const auto carried = [&](size_t layer) {
    const HostTensor v = run.V(layer, 0);
    Matrix sum(15, std::vector<double>(15));
    for (int64_t head = 0; head < 2; ++head) {
      const Matrix a = run.Attention(layer, 0, 0, head);
      for (size_t j = 0; j < 15; ++j) {
        double norm = 0;
        for (int64_t c = 0; c < kDim; ++c) {
          norm += std::pow(reference::At(v.View(), {0, static_cast<int64_t>(j), head, c}), 2);
        }
        for (size_t i = 0; i < 15; ++i) sum[i][j] += a[i][j] * std::sqrt(norm);
      }
    }
    for (auto& row : sum) {
      const double all = std::accumulate(row.begin(), row.end(), 0.0);
      for (double& x : row) x /= all;
    }
    return sum;
  };
  CHECK(WorstOf(RelevanceMap(run.ctx, first.kept, {}).map.values, NaiveRollout(run, carried)) <=
        1e-6);

  MapSelection heads;
  heads.per_head = true;
  const auto cls = ClassMaps(run.ctx, first.kept, heads);
  REQUIRE(cls.size() == 3);
  CHECK(cls[2].layer == "block.2.attn");
  const Matrix last = run.Attention(2, 0, 0, 1);
  CHECK(WorstOf(cls[2].map.values, {last[0].begin() + 3, last[0].end()}) <= 1e-6);
  CHECK_THROWS_WITH(ParseRollout("mid"), Catch::Contains("mid"));
  CHECK_THROWS_WITH(ParseRollout("max,1"), Catch::Contains("max,1"));
}

TEST_CASE("segments of attention that stays within regions are these regions") {
  SelfAttention self{8, 12, {}};
  const auto region = [](int token) { return (token / 12 < 3 ? 0 : 1) + (token % 12 < 5 ? 0 : 2); };
  for (int i = 0; i < 96; ++i) {
    double sum = 0;
    for (int j = 0; j < 96; ++j) {
      const double weight = region(i) == region(j) ? 1 + 0.1 * ((i * 7 + j * 3) % 5) : 0.01;
      self.rows.push_back(static_cast<float>(weight));
      sum += weight;
    }
    for (int j = 0; j < 96; ++j)
      self.rows[static_cast<size_t>(i * 96 + j)] /= static_cast<float>(sum);
  }
  const HeatMap map = Segments(self, {});
  const int sizes[] = {35, 25, 21, 15};  // by falling size: 5x7, 5x5, 3x7, 3x5
  const int regions[] = {3, 1, 2, 0};
  for (int i = 0; i < 96; ++i) {
    const int got = static_cast<int>(map.values[static_cast<size_t>(i)]);
    REQUIRE((got >= 0 && got < 4));
    CHECK(regions[got] == region(i));
  }
  for (int s = 0; s < 4; ++s) {
    CHECK(std::count(map.values.begin(), map.values.end(), static_cast<float>(s)) == sizes[s]);
  }
  // Everything is alike to a threshold that is large enough.
  CHECK(Segments(self, {.threshold = 100}).Max() == 0);

  const auto components = Components(self, 3);
  REQUIRE(components.size() == 3);
  for (size_t a = 0; a < 3; ++a) {
    for (size_t b = 0; b < 3; ++b) {
      const double dot =
          std::inner_product(components[a].values.begin(), components[a].values.end(),
                             components[b].values.begin(), 0.0);
      CHECK(dot == Approx(a == b ? 1 : 0).margin(1e-4));
    }
    // Constant within regions, up to the pattern inside.
    CHECK(std::abs(components[a].values[0] - components[a].values[1]) < 0.05);
  }
}

TEST_CASE("layers of several grids join in one matrix of self-attention") {
  FakeRun run({{SiteKind::kSelf, 4, 6, 2, 0},
               {SiteKind::kSelf, 2, 3, 1, 0},
               {SiteKind::kCross, 4, 6, 2, 5}});
  SelfCollector collector({});
  run.Run(collector);
  const SelfAttention self = collector.Finish();
  CHECK(self.height == 4);
  CHECK(self.width == 6);
  for (size_t i = 0; i < 24; ++i) {
    CHECK(std::accumulate(self.rows.begin() + static_cast<long>(i * 24),
                          self.rows.begin() + static_cast<long>(i * 24 + 24),
                          0.0) == Approx(1).epsilon(1e-5));
  }
  SelfCollector fine({}, 6);
  run.Run(fine);
  CHECK(fine.Finish().height == 2);
}

PromptReading Read(const std::vector<std::pair<std::string, bool>>& tokens) {
  PromptReading reading;
  for (const auto& [text, end] : tokens) {
    const int position = static_cast<int>(reading.tokens.size()) + 1;
    reading.tokens.push_back({text, 1, end, {position}});
  }
  return reading;
}

TEST_CASE("words are runs of tokens, however often they occur") {
  const PromptReading reading = Read({{"a", true},
                                      {"dach", false},
                                      {"shund", true},
                                      {",", true},
                                      {"a", true},
                                      {"red", true},
                                      {"dach", false},
                                      {"shund", true}});
  const auto words = WordsOf(reading);
  REQUIRE(words.size() == 3);
  CHECK(words[0].text == "a");
  CHECK(words[0].positions == std::vector<int>{1, 5});
  CHECK(words[1].text == "dachshund");
  CHECK(words[1].positions == std::vector<int>{2, 3, 7, 8});
  CHECK(FindWord(reading, "red dachshund", Read({{"red", true}, {"dach", false}, {"shund", true}}))
            .positions == std::vector<int>{6, 7, 8});
  // "dach" alone ends its word.
  CHECK_THROWS_WITH(FindWord(reading, "dach", Read({{"dach", true}})),
                    Catch::Contains("dach") && Catch::Contains("a, dachshund, red"));
  PromptReading windows = Read({{"a", true}, {"cube", true}});
  windows.windows = 2, windows.window_length = 6;
  windows.tokens.push_back({"ball", 1, true, {7}});
  CHECK(SpecialWord(windows, "<start>").positions == std::vector<int>{0, 6});
  CHECK(SpecialWord(windows, "<end>").positions == std::vector<int>{3, 8});
  CHECK(SpecialWord(windows, "<padding>").positions == std::vector<int>{4, 5, 9, 10, 11});
  CHECK(SpecialWord(windows, "<-1>").positions == std::vector<int>{11});
  CHECK_THROWS_WITH(SpecialWord(windows, "<12>"), Catch::Contains("<11>"));
  CHECK_THROWS_WITH(SpecialWord(windows, "<eos>"), Catch::Contains("<eos>"));
  CHECK_THROWS_WITH(FindWord(reading, "", Read({})), Catch::Contains("not in the prompt"));
}

}  // namespace
}  // namespace fovea
