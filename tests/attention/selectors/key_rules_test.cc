// Selectors of single keys beside their rules in double precision.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/attention/selectors/selector_rule.h"

namespace fovea {
namespace {

// Which tokens each query tile sees, text left out.
using Seen = std::vector<std::vector<bool>>;

Seen NearAlone(const Selected& s, int ring) {
  Seen seen(s.Count(), std::vector<bool>(size_t(TokenCount(s.spec.q))));
  for (size_t i = 0; i < s.Count(); ++i) {
    for (size_t j = 0; j < s.Count(); ++j) {
      for (const int32_t t : s.Tokens(j)) seen[i][size_t(t)] = Near(s, i, j, ring);
    }
  }
  return seen;
}

Seen SeenOf(const Selected& s, int64_t b, int64_t h) {
  const TileMap& map = s.MapOf(b, h);
  const auto grid = size_t(s.tiles.grid_begin);
  Seen seen(s.Count(), std::vector<bool>(size_t(TokenCount(s.spec.q))));
  for (size_t i = 0; i < s.Count(); ++i) {
    for (int64_t n = map.rows[grid + i].begin; n < map.rows[grid + i].end; ++n) {
      const TileMap::Visit& visit = map.visits[size_t(n)];
      const TokenTile& tile = map.kv.tiles[size_t(visit.tile)];
      for (int t = 0; t < tile.count && tile.grid; ++t) {
        const auto token = size_t(map.kv.tokens[size_t(tile.begin + t)]);
        seen[i][token] = visit.mask < 0 || map.masks[size_t(visit.mask)][size_t(t)] != 0;
      }
    }
  }
  return seen;
}

// Outputs and lse of the keys that are seen.
void CheckOutput(const Selected& s, int64_t b, int64_t h, const Seen& seen) {
  Worst worst, worst_lse;
  int64_t pairs = 0;
  const int64_t tokens = TokenCount(s.spec.q);
  std::vector<size_t> tile(size_t(tokens), s.Count());
  for (size_t j = 0; j < s.Count(); ++j) {
    for (const int32_t t : s.Tokens(j)) tile[size_t(t)] = j;
  }
  for (int64_t query = 0; query < tokens; ++query) {
    const auto asked = s.Row(s.q, b, query, h);
    const size_t own = tile[size_t(query)];
    std::vector<double> out(size_t(s.c.head_dim));
    double sum = 0;
    for (int32_t t = 0; t < tokens; ++t) {
      const bool text = own == s.Count() || tile[size_t(t)] == s.Count();
      if (!text && !seen[own][size_t(t)]) continue;
      ++pairs;
      if (query % 7 != 0) continue;
      const double weight =
          std::exp(Dot(asked, s.Row(s.k, b, t, h)) / std::sqrt(double(s.c.head_dim)));
      const auto value = s.Row(s.v, b, t, h);
      for (size_t c = 0; c < out.size(); ++c) out[c] += weight * value[c];
      sum += weight;
    }
    if (query % 7 != 0) continue;
    for (size_t c = 0; c < out.size(); ++c) {
      worst.Add(reference::At(s.out.View(), {b, query, h, int64_t(c)}), out[c] / sum);
    }
    worst_lse.Add(reference::At(s.lse.View(), {b, h, query}), std::log(sum));
  }
  CHECK(worst.Value() <= 4e-6);
  CHECK(worst_lse.Value() <= 1e-5);
  CHECK(s.MapOf(b, h).pairs == pairs);
}

void CheckKeys(const std::string& name, const OpParams& params,
               const std::function<Seen(const Selected&, int64_t, int64_t)>& rule) {
  for (const OperatorCase& c : {OperatorCase{name, params, {1, 20, 27}, 5, true, 2, 3, 24},
                                OperatorCase{name, params, {1, 19, 16}, 0, true, 1, 1, 16},
                                OperatorCase{name, params, {1, 30, 31}, 70, false, 1, 2, 8}}) {
    Selected s(c);
    s.Run();
    CAPTURE(name, c.grid);
    for (int64_t b = 0; b < c.batch; ++b) {
      for (int64_t h = 0; h < c.heads; ++h) {
        const Seen want = rule(s, b, h);
        CHECK(SeenOf(s, b, h) == want);
        CheckOutput(s, b, h, want);
      }
    }
  }
}

TEST_CASE("anchor chooses keys within theta of the largest near score, for groups of tiles") {
  for (const int ring : {0, 1}) {
    CheckKeys("anchor", {{"theta", "-0.5"}, {"step", "2x1"}, {"ring", std::to_string(ring)}},
              [ring](const Selected& s, int64_t b, int64_t h) {
                Seen seen = NearAlone(s, ring);
                const double scale = 1 / std::sqrt(double(s.c.head_dim));
                std::vector<bool> grid(size_t(TokenCount(s.spec.q)));
                for (size_t j = 0; j < s.Count(); ++j) {
                  for (const int32_t t : s.Tokens(j)) grid[size_t(t)] = true;
                }
                for (size_t i = 0; i < s.Count(); ++i) {
                  double mean = 0;
                  const auto own = s.Tokens(i);
                  for (const int32_t query : own) {
                    double largest = -INFINITY;
                    for (size_t t = 0; t < grid.size(); ++t) {
                      bool near = !grid[t];
                      for (size_t j = 0; j < s.Count() && !near; ++j) {
                        const auto tokens = s.Tokens(j);
                        near = Near(s, i, j, ring) &&
                               std::count(tokens.begin(), tokens.end(), int32_t(t)) > 0;
                      }
                      if (!near) continue;
                      largest = std::max(largest, scale * Dot(s.Row(s.q, b, query, h),
                                                              s.Row(s.k, b, int64_t(t), h)));
                    }
                    mean += largest / double(own.size());
                  }
                  const auto asked = s.Mean(s.q, b, h, own);
                  for (size_t t = 0; t < grid.size(); ++t) {
                    if (!grid[t]) continue;
                    if (scale * Dot(asked, s.Row(s.k, b, int64_t(t), h)) - 0.5 < mean) continue;
                    for (size_t other = 0; other < s.Count(); ++other) {
                      const auto &x = TileAt(s, i).index, &y = TileAt(s, other).index;
                      if (x[1] / 2 == y[1] / 2 && x[2] == y[2]) seen[other][t] = true;
                    }
                  }
                }
                return seen;
              });
  }
}

TEST_CASE("tokenselect sees near tiles and the keys that the heads vote for") {
  for (const int ring : {0, 1}) {
    CheckKeys(
        "tokenselect", {{"keep", "0.07"}, {"ring", std::to_string(ring)}},
        [ring](const Selected& s, int64_t b, int64_t) {
          Seen seen = NearAlone(s, ring);
          std::vector<int32_t> grid;
          for (size_t j = 0; j < s.Count(); ++j) {
            for (const int32_t t : s.Tokens(j)) grid.push_back(t);
          }
          const auto budget = std::max<size_t>(1, size_t(0.07 * double(grid.size())));
          for (size_t i = 0; i < s.Count(); ++i) {
            std::vector<int32_t> far;
            for (const int32_t t : grid) {
              if (!seen[i][size_t(t)]) far.push_back(t);
            }
            if (far.empty()) continue;
            std::vector<double> votes(far.size());
            for (int64_t h = 0; h < s.c.heads; ++h) {
              const auto asked = s.Mean(s.q, b, h, s.Tokens(i));
              std::vector<double> scores;
              for (const int32_t t : far) {
                scores.push_back(Dot(asked, s.Row(s.k, b, t, h)) / std::sqrt(double(s.c.head_dim)));
              }
              scores = Softmax(scores);
              for (size_t x = 0; x < far.size(); ++x) votes[x] += scores[x];
            }
            std::vector<bool> kept(far.size());
            KeepUntil(
                votes, [budget](size_t count, double) { return count == budget; }, kept);
            for (size_t x = 0; x < far.size(); ++x) {
              if (kept[x]) seen[i][size_t(far[x])] = true;
            }
          }
          return seen;
        });
  }
}

TEST_CASE("selectors of keys are dense where there is nothing to choose by") {
  for (const std::string name : {"anchor", "tokenselect"}) {
    Selected s({name, {}, {1, 24, 24}, 3, true, 1, 1, 16});
    s.k.Data<float>()[100 * 16] = NAN;
    s.Run();
    CHECK(s.MapOf(0, 0).pairs == 579 * 579);
  }
}

}  // namespace
}  // namespace fovea
