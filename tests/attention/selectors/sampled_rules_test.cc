// Selectors that look at samples of the scores (a middle tile, few bits, summaries, a tree), and
// stripes, beside their rules in double precision.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <map>

#include "attention/selectors/tile_scores.h"
#include "tests/attention/selectors/selector_rule.h"

namespace fovea {
namespace {

using Place = std::array<int, 3>;

double ScaleOf(const Selected& s) {
  return 1 / std::sqrt(double(s.c.head_dim));
}

// Softmax over all keys of the grid, in the order of `grid`.
std::vector<double> RowOver(const Selected& s, int64_t b, int64_t h, int32_t query,
                            const std::vector<int32_t>& grid) {
  std::vector<double> scores;
  const auto asked = s.Row(s.q, b, query, h);
  for (const int32_t key : grid) scores.push_back(ScaleOf(s) * Dot(asked, s.Row(s.k, b, key, h)));
  return Softmax(scores);
}

int FloorDiv(int a, int b) {
  return int(std::floor(double(a) / b));
}

size_t Cover(std::vector<double> values, double gamma) {
  std::sort(values.rbegin(), values.rend());
  double sum = 0;
  size_t count = 1;
  for (const double value : values) count += (sum += value) <= gamma;
  return count;
}

Bits FlexRule(const Selected& s, int64_t b, int64_t h, double gamma, double tau, size_t least) {
  const size_t n = s.Count();
  Bits bits = Nothing(s);
  const auto& tiles = s.tiles;
  // Places of the grid's tokens by counting rows and columns of the layout.
  std::vector<int32_t> grid;
  std::vector<size_t> tile_of;
  for (size_t j = 0; j < n; ++j) {
    for (const int32_t token : s.Tokens(j)) grid.push_back(token), tile_of.push_back(j);
  }
  const int32_t first = *std::min_element(grid.begin(), grid.end());
  const auto place = [&](int32_t token) {
    const int at = token - first, width = s.c.grid[2], area = s.c.grid[1] * width;
    return Place{at / area, at / width % s.c.grid[1], at % width};
  };
  size_t middle = n;
  for (size_t j = 0; j < n; ++j) {
    bool is = true;
    for (size_t a = 0; a < 3; ++a) is = is && TileAt(s, j).index[a] == tiles.boxes[a] / 2;
    if (is) middle = j;
  }
  const auto asked = s.Tokens(middle);
  std::vector<double> column(n), keys(grid.size());
  std::map<Place, double> offsets, boxes;
  for (const int32_t query : asked) {
    const auto row = RowOver(s, b, h, query, grid);
    for (size_t x = 0; x < grid.size(); ++x) {
      const double share = row[x] / double(asked.size());
      keys[x] += share, column[tile_of[x]] += share;
      Place moved, box;
      for (size_t a = 0; a < 3; ++a) {
        moved[a] = place(grid[x])[a] - place(query)[a];
        box[a] = FloorDiv(moved[a] + tiles.box[a] / 2, tiles.box[a]);
      }
      offsets[moved] += share, boxes[box] += share;
    }
  }
  const Rows pooled = Pooled(s, b, h, false);
  double divergence = 0;
  for (size_t j = 0; j < n; ++j) {
    const double p = pooled[middle][j], v = column[j], m = (p + v) / 2;
    divergence += (p * std::log(p / m) + v * std::log(v / m)) / 2;
  }
  size_t m_v = least, m_s = least;
  if (std::sqrt(divergence) < tau) {
    std::vector<std::pair<double, std::pair<size_t, size_t>>> all;
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) all.push_back({-pooled[i][j], {i, j}});
    }
    std::sort(all.begin(), all.end());
    double sum = 0;
    for (const auto& [value, pair] : all) {
      if ((sum -= value) > gamma * double(n)) break;
      bits[pair.first][pair.second] = true;
    }
  } else {
    const auto whole = size_t(tiles.box[0] * tiles.box[1] * tiles.box[2]);
    std::vector<double> w;
    for (const auto& [at, value] : offsets) w.push_back(value);
    m_v = std::clamp(Cover(keys, gamma) / whole + 1, least, n);
    m_s = std::clamp(Cover(w, gamma) / whole + 1, least, n);
  }
  std::vector<bool> kept(n);
  KeepUntil(
      column, [m_v](size_t count, double) { return count == m_v; }, kept);
  std::vector<std::pair<double, Place>> sorted;
  for (const auto& [at, value] : boxes) sorted.push_back({-value, at});
  std::sort(sorted.begin(), sorted.end());
  sorted.resize(std::min(sorted.size(), m_s));
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      Place moved;
      for (size_t a = 0; a < 3; ++a) moved[a] = TileAt(s, j).index[a] - TileAt(s, i).index[a];
      bool is = kept[j];
      for (const auto& [value, at] : sorted) is = is || at == moved;
      bits[i][j] = bits[i][j] || is;
    }
  }
  return bits;
}

TEST_CASE("flexprefill trusts the pooled map or takes columns and offsets") {
  for (const double tau : {0.0, 1.0}) {
    for (const double gamma : {0.3, 0.6}) {
      CheckRule("flexprefill",
                {{"gamma", std::to_string(gamma)}, {"tau", std::to_string(tau)}, {"min", "2"}},
                [&](const Selected& s, int64_t b, int64_t h) {
                  return FlexRule(s, b, h, gamma, tau, 2);
                });
    }
  }
}

TEST_CASE("longheads asks with the mean output of a tile's own attention") {
  CheckRule("longheads", {{"keep", "0.4"}}, [](const Selected& s, int64_t b, int64_t h) {
    Bits bits = Nothing(s);
    const size_t n = s.Count(), d = size_t(s.c.head_dim);
    Rows summary;
    for (size_t j = 0; j < n; ++j) {
      const auto tokens = s.Tokens(j);
      std::vector<double> mean(d);
      for (const int32_t query : tokens) {
        const auto row = RowOver(s, b, h, query, tokens);
        for (size_t x = 0; x < tokens.size(); ++x) {
          const auto value = s.Row(s.v, b, tokens[x], h);
          for (size_t c = 0; c < d; ++c) mean[c] += row[x] * value[c] / double(tokens.size());
        }
      }
      std::vector<double> scores;
      for (const int32_t key : tokens) {
        scores.push_back(ScaleOf(s) * Dot(mean, s.Row(s.k, b, key, h)));
      }
      scores = Softmax(scores);
      summary.emplace_back(d);
      for (size_t x = 0; x < tokens.size(); ++x) {
        const auto key = s.Row(s.k, b, tokens[x], h);
        for (size_t c = 0; c < d; ++c) summary[j][c] += scores[x] * key[c];
      }
    }
    const auto m = std::max<size_t>(1, size_t(0.4 * double(n)));
    for (size_t i = 0; i < n; ++i) {
      std::vector<double> row;
      for (size_t j = 0; j < n; ++j) row.push_back(Dot(s.Mean(s.q, b, h, s.Tokens(i)), summary[j]));
      KeepUntil(
          row, [m](size_t count, double) { return count == m; }, bits[i]);
    }
    return bits;
  });
}

std::vector<double> Rounded(const std::vector<double>& x, double levels, double* unit) {
  const auto [least, most] = std::minmax_element(x.begin(), x.end());
  *unit = std::max(-*least, *most) / levels;
  std::vector<double> out;
  for (const double value : x) out.push_back(std::nearbyint(value / *unit));
  return out;
}

TEST_CASE("sale keeps a tile for one pair above tau of text and near tiles") {
  double unit = 0;  // the documented example of the rounding that the rule below uses
  CHECK(Rounded({0.9, -2.1, 0.14, 1.0}, 7, &unit) == std::vector<double>{3, -7, 0, 3});
  CHECK(unit == Approx(0.3));
  for (const int bits_of : {4, 8}) {
    const double levels = bits_of == 4 ? 7 : 127;
    CheckRule("sale", {{"tau", "0.06"}, {"ring", "0"}, {"bits", std::to_string(bits_of)}},
              [&](const Selected& s, int64_t b, int64_t h) {
                Bits bits = Nothing(s);
                std::vector<int32_t> grid, text;
                for (size_t j = 0; j < s.Count(); ++j) {
                  for (const int32_t token : s.Tokens(j)) grid.push_back(token);
                }
                const int64_t tokens = TokenCount(s.spec.q);
                for (int32_t t = 0; t < tokens; ++t) {
                  if (std::count(grid.begin(), grid.end(), t) == 0) text.push_back(t);
                }
                const auto qm = s.Mean(s.q, b, h, grid), km = s.Mean(s.k, b, h, grid);
                const auto less = [](std::vector<double> x, const std::vector<double>& mean) {
                  for (size_t c = 0; c < x.size(); ++c) x[c] -= mean[c];
                  return x;
                };
                std::map<int32_t, std::vector<double>> key, small;
                std::map<int32_t, double> key_unit;
                for (int32_t t = 0; t < tokens; ++t) {
                  key[t] = less(s.Row(s.k, b, t, h), km);
                  small[t] = Rounded(key[t], levels, &key_unit[t]);
                }
                for (size_t i = 0; i < s.Count(); ++i) {
                  for (const int32_t query : s.Tokens(i)) {
                    const auto asked = s.Row(s.q, b, query, h);
                    double near = 0, query_unit = 0;
                    std::vector<int32_t> close = text;
                    for (const int32_t t : s.Tokens(i)) close.push_back(t);
                    for (const int32_t t : close) near += std::exp(ScaleOf(s) * Dot(asked, key[t]));
                    const auto coarse = Rounded(less(asked, qm), levels, &query_unit);
                    for (size_t j = 0; j < s.Count(); ++j) {
                      for (const int32_t t : s.Tokens(j)) {
                        const double estimate =
                            ScaleOf(s) *
                            (query_unit * key_unit[t] * Dot(coarse, small[t]) + Dot(qm, key[t]));
                        if (estimate > std::log(0.06 * near)) bits[i][j] = true;
                      }
                    }
                  }
                }
                return bits;
              });
  }
}

Bits HipRule(const std::function<double(size_t, size_t)>& score, size_t n, size_t m) {
  Bits bits(n, std::vector<bool>(n));
  const double share = double(n) / double(m);
  for (size_t i = 0; i < n; ++i) {
    std::vector<std::pair<int, int>> nodes;
    for (size_t t = 0; t < m; ++t) {
      const int start = int(share * double(t));
      nodes.emplace_back(start, int(share * double(t + 1)) - start);
    }
    for (double g = share; g > 1; g /= 2) {
      std::vector<std::pair<int, int>> halves;
      for (const auto& [start, size] : nodes) {
        const int mid = int(start + size / 2.0);
        if (mid > start) halves.emplace_back(start, mid - start);
        if (start + size > mid) halves.emplace_back(mid, start + size - mid);
      }
      std::stable_sort(halves.begin(), halves.end(), [&](const auto& a, const auto& b) {
        return score(i, size_t(a.first)) > score(i, size_t(b.first));
      });
      halves.resize(std::min(halves.size(), m));
      std::sort(halves.begin(), halves.end());
      nodes = halves;
    }
    for (const auto& [start, size] : nodes) bits[i][size_t(start)] = true;
  }
  return bits;
}

TEST_CASE("hip searches a tree, and misses what its first tiles hide") {
  const std::vector<double> scores{5, 1, 3, 9, 2, 8, 4, 0};
  const Bits golden = HipRule([&](size_t, size_t tile) { return scores[tile]; }, 8, 2);
  CHECK(golden[0] == std::vector<bool>{true, false, false, false, false, false, true, false});
  Selected line({"hip", {{"tile", "1x2"}, {"keep", "0.25"}}, {1, 1, 16}, 0, true, 1, 1, 8},
                {1, 1, 2});
  std::fill_n(line.q.Data<float>(), 128, 1.0f);
  for (size_t i = 0; i < 128; ++i) line.k.Data<float>()[i] = float(scores[i / 16]);
  line.Run();
  Bits want = golden;
  for (size_t i = 0; i < 8; ++i) want[i][i] = true;
  CHECK(line.BitsOf(0, 0) == want);
  CheckRule("hip", {{"keep", "0.3"}}, [](const Selected& s, int64_t b, int64_t h) {
    const auto score = [&](size_t i, size_t j) {
      const auto tokens = s.Tokens(i);
      double largest = -INFINITY;
      for (size_t a = tokens.size() == 1 ? 0 : 1; a < tokens.size(); a += 2) {
        for (const int32_t key : s.Tokens(j)) {
          largest = std::max(largest, Dot(s.Row(s.q, b, tokens[a], h), s.Row(s.k, b, key, h)));
        }
      }
      return largest;
    };
    Bits bits = HipRule(score, s.Count(), std::max<size_t>(1, size_t(0.3 * double(s.Count()))));
    for (size_t i = 0; i < s.Count(); ++i) bits[i][i] = true;
    return bits;
  });
}

TEST_CASE("s2 has near tiles, and stripes that shift with the layer's head") {
  // 10 tiles on a line, stride 4: heads 0, 1, 2 have stripes 0 4 8, 3 7, 2 6.
  Selected s({"s2", {{"tile", "1x2"}, {"ring", "0"}}, {1, 1, 20}, 0, true, 1, 3, 8}, {1, 1, 2});
  s.Run();
  const std::vector<std::vector<size_t>> stripes{{0, 4, 8}, {3, 7}, {2, 6}};
  for (int64_t h = 0; h < 3; ++h) {
    Bits want = Nothing(s);
    for (auto& row : want) {
      for (const size_t j : stripes[size_t(h)]) row[j] = true;
    }
    CHECK(s.BitsOf(0, h) == want);
  }
  // A subset of the layer's heads keeps its own stripes, and eight heads shift by less.
  s.io.first_head = 2, s.io.layer_heads = 3;
  s.Run();
  CHECK(s.BitsOf(0, 0)[9][2]);
  CHECK_FALSE(s.BitsOf(0, 0)[9][0]);
  CheckRule("s2", {{"ring", "1"}, {"stride", "5"}, {"offset", "2"}},
            [](const Selected& x, int64_t, int64_t h) {
              Bits bits = Nothing(x);
              for (size_t i = 0; i < x.Count(); ++i) {
                for (size_t j = 0; j < x.Count(); ++j) {
                  const int64_t step = std::max(1, 5 / x.c.heads);
                  bits[i][j] = Near(x, i, j, 1) || (int64_t(j) + h * step + 2) % 5 == 0;
                }
              }
              return bits;
            });
}

TEST_CASE("random keeps as many tiles as asked for, others at every step and in every head") {
  OperatorCase c{"random", {{"keep", "0.25"}}, {1, 32, 32}, 3, true, 1, 2, 8};
  Selected a(c), again(c), later(c);
  later.io.at = {1, 2, 0, 0, 0};
  for (Selected* each : {&a, &again, &later}) each->Run();
  CHECK(a.BitsOf(0, 0) == again.BitsOf(0, 0));
  CHECK(a.BitsOf(0, 0) != a.BitsOf(0, 1));
  CHECK(a.BitsOf(0, 0) != later.BitsOf(0, 0));
  for (size_t i = 0; i < a.Count(); ++i) {
    const Bits bits = a.BitsOf(0, 0);
    const auto kept = std::count(bits[i].begin(), bits[i].end(), true);
    CHECK((kept == 4 || kept == 5));  // of 16, the own one perhaps besides
  }
  a.CheckOutput(false);
}

}  // namespace
}  // namespace fovea
