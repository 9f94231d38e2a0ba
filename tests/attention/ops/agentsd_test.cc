// Agent attention for U-Nets against its merging and its softmaxes in double precision.
#include "attention/ops/agentsd.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "attention/random_bits.h"
#include "tests/support/operator_case.h"
#include "tests/support/worst.h"

namespace fovea {
namespace {

struct Recipe {
  double ratio = 0.4, agents = 0.95, k = 0.075, scale2 = 0.3;
  int sx = 4, sy = 4;
  bool random = true;

  OpParams Params() const {
    return {{"ratio", std::to_string(ratio)}, {"agents", std::to_string(agents)},
            {"k", std::to_string(k)},         {"scale2", std::to_string(scale2)},
            {"sx", std::to_string(sx)},       {"sy", std::to_string(sy)},
            {"random", random ? "on" : "off"}};
  }
};

using Matrix = std::vector<std::vector<double>>;  // tokens x values

// One sample of x (b,t,heads,d) as tokens x heads * d.
Matrix Tokens(const Tensor& x, int64_t b) {
  Matrix rows(static_cast<size_t>(x.shape[1]));
  for (int64_t t = 0; t < x.shape[1]; ++t) {
    for (int64_t h = 0; h < x.shape[2]; ++h) {
      for (int64_t c = 0; c < x.shape[3]; ++c) {
        rows[static_cast<size_t>(t)].push_back(reference::At(x, {b, t, h, c}));
      }
    }
  }
  return rows;
}

double Cosine(const std::vector<double>& a, const std::vector<double>& b) {
  const double ab = std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
  const double aa = std::inner_product(a.begin(), a.end(), a.begin(), 0.0);
  const double bb = std::inner_product(b.begin(), b.end(), b.begin(), 0.0);
  return ab / std::sqrt(aa * bb);
}

// Which tokens are merged: for each group, its tokens. `share` of all tokens are merged away.
std::vector<std::vector<size_t>> Merge(const Matrix& x, const std::vector<size_t>& destinations,
                                       double share) {
  std::vector<std::pair<double, std::vector<size_t>>> sources;  // -score, {token, destination}
  for (size_t token = 0; token < x.size(); ++token) {
    if (std::count(destinations.begin(), destinations.end(), token) > 0) continue;
    double best = -2;
    size_t target = 0;
    for (size_t i = 0; i < destinations.size(); ++i) {
      const double cosine = Cosine(x[token], x[destinations[i]]);
      if (cosine > best) best = cosine, target = i;
    }
    sources.push_back({-best, {token, target}});
  }
  std::sort(sources.begin(), sources.end());
  const size_t merged =
      std::min(sources.size(), static_cast<size_t>(static_cast<double>(x.size()) * share));
  std::vector<std::vector<size_t>> groups;
  for (size_t token : destinations) groups.push_back({token});
  for (size_t i = 0; i < sources.size(); ++i) {
    const size_t token = sources[i].second[0];
    if (i < merged)
      groups[sources[i].second[1]].push_back(token);
    else
      groups.push_back({token});
  }
  return groups;
}

Matrix Means(const Matrix& x, const std::vector<std::vector<size_t>>& groups) {
  Matrix means;
  for (const auto& group : groups) {
    means.emplace_back(x[0].size(), 0.0);
    for (size_t token : group) {
      for (size_t c = 0; c < x[0].size(); ++c) {
        means.back()[c] += x[token][c] / static_cast<double>(group.size());
      }
    }
  }
  return means;
}

// softmax(scale q kᵀ) v for the columns of one head.
Matrix Softmax(const Matrix& q, const Matrix& k, const Matrix& v, double scale, size_t first,
               size_t d) {
  Matrix out;
  for (const auto& row : q) {
    std::vector<double> weights;
    for (const auto& key : k) {
      double score = 0;
      for (size_t c = first; c < first + d; ++c) score += row[c] * key[c];
      weights.push_back(score * scale);
    }
    const double top = *std::max_element(weights.begin(), weights.end());
    double sum = 0;
    for (double& w : weights) sum += w = std::exp(w - top);
    out.emplace_back(row.size(), 0.0);
    for (size_t j = 0; j < k.size(); ++j) {
      for (size_t c = first; c < first + d; ++c) out.back()[c] += weights[j] / sum * v[j][c];
    }
  }
  return out;
}

void Check(OperatorCase c, const Recipe& recipe, bool expect_agents,
           const RunPoint& at = {.step = 3, .steps = 9, .seed = 5, .layer = 2}) {
  c.op = "agentsd";
  c.params = recipe.Params();
  CAPTURE(c.grid, recipe.ratio, recipe.agents, recipe.sx, recipe.sy);
  const OperatorRun run = RunOperator(c, at);
  CHECK_FALSE(run.has_lse);
  std::vector<size_t> destinations;
  RandomBits random(at.seed, at.step, at.layer);
  for (int y = 0; y + recipe.sy <= c.grid[1]; y += recipe.sy) {
    for (int x = 0; x + recipe.sx <= c.grid[2]; x += recipe.sx) {
      const int pick =
          recipe.random
              ? static_cast<int>(random.Below(static_cast<uint64_t>(recipe.sx * recipe.sy)))
              : 0;
      destinations.push_back(
          static_cast<size_t>((y + pick / recipe.sx) * c.grid[2] + x + pick % recipe.sx));
    }
  }
  std::vector<double> want;
  const double scale = 1 / std::sqrt(double(c.head_dim));
  for (int b = 0; b < c.batch; ++b) {
    const Matrix keys = Tokens(run.k.View(), b), queries = Tokens(run.q.View(), b);
    const auto groups = Merge(keys, destinations, recipe.ratio);
    const auto agent_groups = Merge(keys, destinations, recipe.agents);
    const Matrix q = Means(queries, groups), k = Means(keys, groups);
    const Matrix v = Means(Tokens(run.v.View(), b), groups), a = Means(queries, agent_groups);
    const bool with_agents = 2 * a.size() < q.size();
    CHECK(with_agents == expect_agents);
    const auto counts =
        CountAgentSd(static_cast<int64_t>(keys.size()), static_cast<int64_t>(destinations.size()),
                     recipe.ratio, recipe.agents);
    CHECK(counts.tokens == static_cast<int64_t>(q.size()));
    CHECK(counts.agents == static_cast<int64_t>(a.size()));
    CHECK(counts.with_agents == with_agents);
    Matrix all(keys.size(), std::vector<double>(keys[0].size()));
    for (int h = 0; h < c.heads; ++h) {
      const size_t d = static_cast<size_t>(c.head_dim), first = static_cast<size_t>(h) * d;
      Matrix out;
      if (with_agents) {
        const Matrix values = Softmax(a, k, v, scale, first, d);
        out = Softmax(q, a, values, std::pow(scale, recipe.scale2), first, d);
      } else {
        out = Softmax(q, k, v, scale, first, d);
      }
      for (size_t g = 0; g < groups.size(); ++g) {
        for (size_t token : groups[g]) {
          for (size_t x = first; x < first + d; ++x) {
            all[token][x] = out[g][x] + (with_agents ? recipe.k * v[g][x] : 0);
          }
        }
      }
    }
    for (const auto& row : all) want.insert(want.end(), row.begin(), row.end());
  }
  CHECK(MaxDifference(run.out, want) <= 2e-6);
}

TEST_CASE("agentsd equals its definition") {
  Check({"", {}, {1, 8, 8}}, {}, true);
  Check({"", {}, {1, 16, 12}, 0, true, 2}, {}, true);
  Check({"", {}, {1, 10, 14}, 0, true, 2, 3, 24}, {}, true);  // cells do not cover it
  Check({"", {}, {1, 10, 14}}, {.random = false}, true);
  Check({"", {}, {1, 16, 16}}, {.agents = 0.5, .sx = 2, .sy = 2}, false);  // the later phase
  Check({"", {}, {1, 9, 11}}, {.ratio = 0.25, .agents = 0.7, .sx = 3, .sy = 2}, true);
  Check({"", {}, {1, 9, 11}}, {.ratio = 0, .k = -0.5, .scale2 = 1}, true);  // agents alone
  Check({"", {}, {1, 9, 11}}, {.ratio = 0, .agents = 0.1}, false);          // dense
  Check({"", {}, {1, 5, 64}}, {.ratio = 1, .sx = 5, .sy = 5}, false);
  Check({"", {}, {1, 1, 1}}, {.sx = 1, .sy = 1}, false);
}

TEST_CASE("agentsd keeps the counts of the paper's recipe") {
  const auto first = [](int side) {
    return CountAgentSd(int64_t{side} * side, int64_t{side / 4} * (side / 4), 0.4, 0.95);
  };
  CHECK((first(64).tokens == 2458 && first(64).agents == 256 && first(64).with_agents));
  CHECK((first(96).tokens == 5530 && first(96).agents == 576));
  CHECK((first(128).tokens == 9831 && first(128).agents == 1024));
  const AgentSdCounts later = CountAgentSd(4096, 1024, 0.4, 0.5);
  CHECK((later.tokens == 2458 && !later.with_agents));
}

TEST_CASE("agentsd draws by seed, step and layer") {
  const OperatorCase c{"agentsd", {}, {1, 16, 16}};
  const RunPoint at{.step = 1, .steps = 4, .seed = 9, .layer = 3};
  const auto differ = [](const OperatorRun& a, const OperatorRun& b) {
    return !std::equal(a.out.Data<float>(), a.out.Data<float>() + a.out.NumElements(),
                       b.out.Data<float>());
  };
  const OperatorRun one = RunOperator(c, at);
  CHECK_FALSE(differ(one, RunOperator(c, at)));
  CHECK(differ(one, RunOperator(c, {.step = 2, .steps = 4, .seed = 9, .layer = 3})));
  CHECK(differ(one, RunOperator(c, {.step = 1, .steps = 4, .seed = 8, .layer = 3})));
  CHECK(differ(one, RunOperator(c, {.step = 1, .steps = 4, .seed = 9, .layer = 4})));
}

TEST_CASE("agentsd compares what the block was given, where it is known") {
  // Tokens of hidden come in pairs of equal direction: those merge, whatever the keys are.
  const int tokens = 8, d = 8;
  HostTensor hidden({1, tokens, 3}, DType::kF32), zero({1, tokens, 1, d}, DType::kF32);
  for (int t = 0; t < tokens; ++t) {
    const float angle = static_cast<float>(t / 2), length = t % 2 == 0 ? 1.0f : 3.0f;
    hidden.Data<float>()[t * 3] = length * std::cos(angle);
    hidden.Data<float>()[t * 3 + 1] = length * std::sin(angle);
  }
  const HostTensor v = RandomNormal({1, tokens, 1, d}, 3), k = RandomNormal(v.shape(), 4);
  HostTensor out(v.shape(), DType::kF32);
  AttentionSpec spec;
  spec.head_dim = d;
  spec.q = spec.kv = GridLayout(1, tokens);
  const OpParams params{
      {"sx", "2"}, {"sy", "1"}, {"ratio", "1"}, {"agents", "1"}, {"random", "off"}};
  const auto prepared = AgentSdAttention().Bind(params)->Prepare(spec);
  const auto backend = MakeCpuBackend();
  Arena arena(*backend, 1 << 20);
  Context ctx{*backend, arena};
  OperatorIo io{{zero.View(), k.View(), v.View(), out.View()}};
  io.hidden = hidden.View();
  prepared->Run(ctx, io);
  // Zero queries weigh the four merged tokens alike, so every row is the mean of all values.
  for (int c = 0; c < d; ++c) {
    double mean = 0;
    for (int t = 0; t < tokens; ++t) mean += v.Data<float>()[t * d + c] / 8.0;
    for (int t = 0; t < tokens; ++t)
      CHECK(out.Data<float>()[t * d + c] == Approx(mean).margin(1e-6));
  }
  io.hidden = {};
  prepared->Run(ctx, io);
  Worst worst;
  for (int c = 0; c < d; ++c) {
    double mean = 0;
    for (int t = 0; t < tokens; ++t) mean += v.Data<float>()[t * d + c] / 8.0;
    worst.Add(out.Data<float>()[c], mean);
  }
  CHECK(worst.Value() > 1e-3);
}

TEST_CASE("agentsd survives tokens that have no direction") {
  const int tokens = 70, d = 8;
  HostTensor x({1, tokens, 1, d}, DType::kF32), out(x.shape(), DType::kF32);
  for (int t = 0; t < tokens; t += 3) x.Data<float>()[t * d] = 1;
  AttentionSpec spec;
  spec.head_dim = d;
  spec.q = spec.kv = GridLayout(7, 10);
  const auto backend = MakeCpuBackend();
  Arena arena(*backend, 1 << 20);
  Context ctx{*backend, arena};
  const auto run = [&] {
    AgentSdAttention().Bind({})->Prepare(spec)->Run(ctx,
                                                    {{x.View(), x.View(), x.View(), out.View()}});
  };
  run();
  for (int64_t i = 0; i < out.NumElements(); ++i) CHECK(std::isfinite(out.Data<float>()[i]));
  std::fill_n(x.Data<float>(), x.NumElements(), NAN);
  run();  // no crash; what comes out is not a number either
  CHECK(std::isnan(out.Data<float>()[0]));
}

TEST_CASE("agentsd refuses what it is not made for") {
  AttentionSpec spec;
  spec.q = spec.kv = GridLayout(3, 64);
  const auto reason = [&](const OpParams& params) {
    return AgentSdAttention().Bind(params)->Supports(spec).reason;
  };
  CHECK(reason({}).find("cell") != std::string::npos);
  CHECK(reason({{"sy", "3"}}) == "");
  CHECK_THROWS_WITH(reason({{"ratio", "1.5"}}), Catch::Contains("ratio"));
  CHECK_THROWS_WITH(reason({{"k", "nan"}}), Catch::Contains("k must be"));
  CHECK_THROWS_WITH(reason({{"random", "maybe"}}), Catch::Contains("random"));
  CHECK_THROWS_WITH(reason({{"sx", "0"}}), Catch::Contains("sx"));
  OperatorCase c{"agentsd", {}, {1, 8, 8}, 5};
  spec.q = spec.kv = LayoutOf(c);
  CHECK(reason({}).find("text") != std::string::npos);
  c = {"agentsd", {}, {2, 8, 8}};
  spec.q = spec.kv = LayoutOf(c);
  CHECK(reason({}).find("frame") != std::string::npos);
  spec.kv = TextLayout(77);
  CHECK(reason({}).find("cross-attention") != std::string::npos);
}

}  // namespace
}  // namespace fovea
