// Rules of selectors in double precision, and the check that what ran kept the same tiles.
#pragma once

#include <functional>

#include "tests/attention/selectors/selected_case.h"

namespace fovea {

inline const TokenTile& TileAt(const Selected& s, size_t i) {
  return s.tiles.tiles[size_t(s.tiles.grid_begin) + i];
}
// Whether tile j lies within `ring` tiles of tile i on every axis.
inline bool Near(const Selected& s, size_t i, size_t j, int ring) {
  bool near = true;
  for (size_t a = 0; a < 3; ++a) {
    near = near && std::abs(TileAt(s, i).index[a] - TileAt(s, j).index[a]) <= ring;
  }
  return near;
}

inline double Dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

inline std::vector<double> Softmax(std::vector<double> x) {
  const double largest = *std::max_element(x.begin(), x.end());
  double sum = 0;
  for (double& each : x) sum += each = std::exp(each - largest);
  for (double& each : x) each /= sum;
  return x;
}

// The row's columns from the largest down, until `stop(kept so far, their sum)`.
inline void KeepUntil(const std::vector<double>& row,
                      const std::function<bool(size_t, double)>& stop, std::vector<bool>& bits) {
  std::vector<size_t> order(row.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return row[a] > row[b]; });
  double sum = 0;
  for (size_t n = 0; n < order.size() && !stop(n, sum); ++n) {
    bits[order[n]] = true;
    sum += row[order[n]];
  }
}

// Attention mass of these queries over grid keys, by tile.
inline std::vector<double> MassOf(const Selected& s, int64_t b, int64_t h, int32_t query) {
  const std::vector<double> asked = s.Row(s.q, b, query, h);
  const int64_t tokens = TokenCount(s.spec.q), heads = s.c.heads, d = s.c.head_dim;
  std::vector<double> scores;
  std::vector<size_t> tile;
  for (size_t j = 0; j < s.Count(); ++j) {
    for (const int32_t token : s.Tokens(j)) {
      const float* key = s.k.Data<float>() + ((b * tokens + token) * heads + h) * d;
      double sum = 0;
      for (int64_t c = 0; c < d; ++c) sum += asked[static_cast<size_t>(c)] * double(key[c]);
      scores.push_back(sum / std::sqrt(double(d)));
      tile.push_back(j);
    }
  }
  scores = Softmax(scores);
  std::vector<double> mass(s.Count());
  for (size_t x = 0; x < scores.size(); ++x) mass[tile[x]] += scores[x];
  return mass;
}

inline Rows Pooled(const Selected& s, int64_t b, int64_t h, bool by_count) {
  Rows rows;
  for (size_t i = 0; i < s.Count(); ++i) {
    rows.emplace_back();
    for (size_t j = 0; j < s.Count(); ++j) {
      rows.back().push_back(Dot(s.Mean(s.q, b, h, s.Tokens(i)), s.Mean(s.k, b, h, s.Tokens(j))) /
                                std::sqrt(double(s.c.head_dim)) +
                            (by_count ? std::log(double(s.Tokens(j).size())) : 0));
    }
    rows.back() = Softmax(rows.back());
  }
  return rows;
}

using Rule = std::function<Bits(const Selected&, int64_t, int64_t)>;

inline void CheckRule(const std::string& name, const OpParams& params, const Rule& rule) {
  OperatorCase cases[] = {{name, params, {1, 20, 27}, 5, true, 2, 3, 24},
                          {name, params, {1, 19, 16}, 0, true, 1, 1, 16},
                          {name, params, {3, 9, 10}, 70, false, 1, 2, 8}};
  for (OperatorCase& c : cases) {
    for (const bool mean : {false, true}) {
      OperatorCase with = c;
      if (mean) with.params.emplace_back("rest", "mean");
      Selected s(with);
      s.Run();
      CAPTURE(name, c.grid, mean);
      for (int64_t b = 0; b < c.batch; ++b) {
        for (int64_t h = 0; h < c.heads; ++h) CHECK(s.BitsOf(b, h) == rule(s, b, h));
      }
      s.CheckOutput(mean);
    }
  }
}

inline Bits Nothing(const Selected& s, bool own = true) {
  Bits bits(s.Count(), std::vector<bool>(s.Count()));
  for (size_t i = 0; i < s.Count() && own; ++i) bits[i][i] = true;
  return bits;
}

}  // namespace fovea
