// Which tiles each selector keeps, beside its rule in double precision.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "tests/attention/selectors/selector_rule.h"

namespace fovea {
namespace {

TEST_CASE("probe keeps the tiles that a few queries weigh most") {
  CheckRule("probe", {{"rows", "3"}, {"keep", "0.4"}}, [](const Selected& s, int64_t b, int64_t h) {
    Bits bits = Nothing(s);
    const auto m = std::max<size_t>(1, size_t(0.4 * double(s.Count())));
    for (size_t i = 0; i < s.Count(); ++i) {
      const auto tokens = s.Tokens(i);
      const size_t r = std::min<size_t>(3, tokens.size());
      std::vector<double> sum(s.Count());
      for (size_t u = 0; u < r; ++u) {
        const auto mass = MassOf(s, b, h, tokens[(2 * u + 1) * tokens.size() / (2 * r)]);
        for (size_t j = 0; j < sum.size(); ++j) sum[j] += mass[j];
      }
      KeepUntil(
          sum, [m](size_t n, double) { return n == m; }, bits[i]);
    }
    return bits;
  });
}

TEST_CASE("sparsed keeps the tiles of largest mass, own tile or not") {
  CheckRule("sparsed", {{"select", "0.3"}}, [](const Selected& s, int64_t b, int64_t h) {
    Bits bits = Nothing(s, false);
    const auto m = size_t(0.3 * double(s.Count())) + 1;
    for (size_t i = 0; i < s.Count(); ++i) {
      std::vector<double> sum(s.Count());
      for (const int32_t token : s.Tokens(i)) {
        const auto mass = MassOf(s, b, h, token);
        for (size_t j = 0; j < sum.size(); ++j) sum[j] += mass[j];
      }
      KeepUntil(
          sum, [m](size_t n, double) { return n == m; }, bits[i]);
    }
    return bits;
  });
}

TEST_CASE("xattn keeps tiles until the sum of antidiagonals reaches the threshold") {
  CheckRule("xattn", {{"threshold", "0.7"}, {"stride", "5"}},
            [](const Selected& s, int64_t b, int64_t h) {
              Bits bits = Nothing(s);
              struct Run {
                size_t tile;
                std::vector<int32_t> tokens;
              };
              std::vector<Run> runs;
              for (size_t i = 0; i < s.Count(); ++i) {
                const auto tokens = s.Tokens(i);
                for (size_t first = 0; first < tokens.size(); first += 5) {
                  const auto begin = tokens.begin() + int64_t(first);
                  runs.push_back(
                      {i, {begin, begin + int64_t(std::min<size_t>(5, tokens.size() - first))}});
                }
              }
              Rows sums(s.Count(), std::vector<double>(s.Count()));
              for (const Run& a : runs) {
                std::vector<double> scores;
                for (const Run& x : runs) {
                  double sum = 0;
                  for (size_t r = 0; r < 5; ++r) {
                    if (4 - r >= a.tokens.size() || r >= x.tokens.size()) continue;
                    sum += Dot(s.Row(s.q, b, a.tokens[4 - r], h), s.Row(s.k, b, x.tokens[r], h));
                  }
                  scores.push_back(sum / 5 / std::sqrt(double(s.c.head_dim)));
                }
                scores = Softmax(scores);
                for (size_t x = 0; x < runs.size(); ++x) sums[a.tile][runs[x].tile] += scores[x];
              }
              for (size_t i = 0; i < s.Count(); ++i) {
                const double total = std::accumulate(sums[i].begin(), sums[i].end(), 0.0);
                KeepUntil(
                    sums[i], [&](size_t n, double sum) { return n > 0 && sum >= 0.7 * total; },
                    bits[i]);
              }
              return bits;
            });
}

TEST_CASE("sparge keeps uneven tiles, and others by pooled attention") {
  const auto rule = [](bool cdf, double sim) {
    return [cdf, sim](const Selected& s, int64_t b, int64_t h) {
      Bits bits = Nothing(s);
      std::vector<int32_t> grid;
      for (size_t j = 0; j < s.Count(); ++j) {
        for (const int32_t token : s.Tokens(j)) grid.push_back(token);
      }
      const auto even = [&](const HostTensor& x, size_t tile, const std::vector<double>& less) {
        double sum = 0;
        const auto tokens = s.Tokens(tile);
        Rows rows;
        for (const int32_t token : tokens) {
          rows.push_back(s.Row(x, b, token, h));
          for (size_t i = 0; i < less.size(); ++i) rows.back()[i] -= less[i];
        }
        for (const auto& a : rows) {
          for (const auto& c : rows) sum += Dot(a, c) / std::sqrt(Dot(a, a) * Dot(c, c));
        }
        return sum / double(tokens.size()) / double(tokens.size());
      };
      const std::vector<double> none(size_t(s.c.head_dim)), mean = s.Mean(s.k, b, h, grid);
      std::vector<bool> uneven;
      for (size_t j = 0; j < s.Count(); ++j) uneven.push_back(even(s.k, j, mean) <= sim);
      for (size_t i = 0; i < s.Count(); ++i) {
        const bool whole = even(s.q, i, none) <= sim;
        std::vector<double> scores;
        for (size_t j = 0; j < s.Count(); ++j) {
          scores.push_back(
              uneven[j] ? -INFINITY
                        : Dot(s.Mean(s.q, b, h, s.Tokens(i)), s.Mean(s.k, b, h, s.Tokens(j))) /
                              std::sqrt(double(s.c.head_dim)));
          if (whole || uneven[j]) bits[i][j] = true;
        }
        if (std::count(uneven.begin(), uneven.end(), false) == 0) continue;
        const auto p = Softmax(scores);
        std::vector<double> sorted = p;
        std::sort(sorted.rbegin(), sorted.rend());
        size_t m = 0;
        double sum = 0;
        for (const double x : sorted) m += (sum += x) <= 0.8;
        if (!cdf) m = size_t(0.5 * double(s.Count()));
        KeepUntil(
            p, [m](size_t n, double) { return n == std::max<size_t>(1, m); }, bits[i]);
      }
      return bits;
    };
  };
  CheckRule("sparge", {{"keep", "0.5"}}, rule(false, -0.1));
  CheckRule("sparge", {{"keep", "0.5"}, {"sim", "0.02"}}, rule(false, 0.02));
  CheckRule("sparge", {{"cdf", "0.8"}, {"sim", "0.0166"}}, rule(true, 0.0166));
}

TEST_CASE("draft has one threshold a head, svg2 weighs tiles by their tokens") {
  CheckRule("draft", {{"keep", "0.3"}}, [](const Selected& s, int64_t b, int64_t h) {
    Bits bits = Nothing(s);
    const Rows rows = Pooled(s, b, h, false);
    std::vector<double> all;
    for (const auto& row : rows) all.insert(all.end(), row.begin(), row.end());
    std::sort(all.begin(), all.end());
    const double limit = all[size_t((1 - 0.3) * double(all.size())) - 1];
    for (size_t i = 0; i < rows.size(); ++i) {
      // The threshold itself is one of the numbers: half a unit of f32 decides nothing.
      for (size_t j = 0; j < rows.size(); ++j) bits[i][j] = bits[i][j] || rows[i][j] >= limit;
    }
    return bits;
  });
  CheckRule("svg2", {{"p", "0.6"}, {"floor", "0.2"}}, [](const Selected& s, int64_t b, int64_t h) {
    Bits bits = Nothing(s);
    const Rows rows = Pooled(s, b, h, true);
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto least = size_t(0.2 * double(s.Count()));
      KeepUntil(
          rows[i], [&](size_t n, double sum) { return n > 0 && n >= least && sum > 0.6; }, bits[i]);
    }
    return bits;
  });
}

}  // namespace
}  // namespace fovea
