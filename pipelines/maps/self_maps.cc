#include "pipelines/maps/self_maps.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "attention/probe/call_matrix.h"
#include "attention/probe/matrix_passes.h"
#include "tensor/error.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

constexpr float kSmall = 1e-12f;

// A distribution over tokens and its logarithm.
struct Row {
  std::vector<float> p, log_p;
};

Row MakeRow(std::vector<float> p) {
  Row row{std::move(p), {}};
  for (const float value : row.p) row.log_p.push_back(std::log(std::max(value, kSmall)));
  return row;
}

double Divergence(const Row& a, const Row& b) {
  double sum = 0;
  for (size_t i = 0; i < a.p.size(); ++i) {
    sum += static_cast<double>((a.p[i] - b.p[i]) * (a.log_p[i] - b.log_p[i]));
  }
  return sum / 2;
}

std::vector<float> MeanRow(const std::vector<Row>& rows, const std::vector<size_t>& members) {
  std::vector<float> mean(rows[0].p.size());
  for (const size_t member : members) {
    for (size_t i = 0; i < mean.size(); ++i) mean[i] += rows[member].p[i];
  }
  for (float& value : mean) value /= static_cast<float>(members.size());
  return mean;
}

// The rows closer to `from` than the threshold, of those that are `open`.
std::vector<size_t> Alike(const std::vector<Row>& rows, const Row& from, double threshold,
                          const std::vector<char>& open) {
  std::vector<char> alike(rows.size());
  ParallelFor(static_cast<int64_t>(rows.size()), 8, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      alike[i] = open[i] != 0 && Divergence(from, rows[i]) < threshold;
    }
  });
  std::vector<size_t> members;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (alike[i] != 0) members.push_back(i);
  }
  return members;
}

}  // namespace

void SelfCollector::Attended(Context& ctx, const AttentionCall& call) {
  const Segment* grid = GridOfLayout(call.spec.q);
  if (call.site.kind == SiteKind::kCross || grid == nullptr || !selection_.Has(call)) return;
  if (grid->length > most_tokens_) return;
  const std::vector<int> heads = selection_.HeadsOf(call);
  if (heads.empty()) return;
  const auto matrix = MatrixOf(ctx, call);
  const auto n = static_cast<size_t>(grid->length);
  Sum& sum = sums_[{grid->grid[1], grid->grid[2]}];
  sum.rows.resize(n * n);
  std::vector<int32_t> queries(n);
  std::iota(queries.begin(), queries.end(), grid->begin);
  for (const int head : heads) {
    ForEachRow(*matrix, PromptRow(call), head, queries,
               [&](int, int32_t query, std::span<const float> row) {
                 float* to = sum.rows.data() + static_cast<size_t>(query - grid->begin) * n;
                 const float* from = row.data() + grid->begin;
                 for (size_t j = 0; j < n; ++j) to[j] += from[j];
               });
    ++sum.count;
  }
}

SelfAttention SelfCollector::Finish() const {
  ENSURE(!sums_.empty());
  SelfAttention self;
  for (const auto& [grid, sum] : sums_) {
    if (int64_t{grid[0]} * grid[1] > self.Tokens()) self.height = grid[0], self.width = grid[1];
  }
  const auto n = static_cast<size_t>(self.Tokens());
  self.rows.resize(n * n);
  double all = 0;
  for (const auto& [grid, sum] : sums_) all += grid[0];
  for (const auto& [grid, sum] : sums_) {
    const size_t own = static_cast<size_t>(grid[0]) * static_cast<size_t>(grid[1]);
    const auto share = static_cast<float>(grid[0] / all);
    const std::array<int, 2> size = grid;
    const Sum& from = sum;
    ParallelFor(static_cast<int64_t>(own), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        HeatMap row{size[0], size[1], {}};
        row.values.assign(from.rows.begin() + i * static_cast<int64_t>(own),
                          from.rows.begin() + (i + 1) * static_cast<int64_t>(own));
        row = ResizeBilinear(row, self.height, self.width);
        double total = 0;
        for (const float value : row.values) total += static_cast<double>(std::max(0.0f, value));
        const auto scale = total > 0 ? static_cast<float>(share / total) : 0.0f;
        // To every fine token that this coarse one covers.
        for (int y = 0; y < self.height; ++y) {
          if (y * size[0] / self.height != i / size[1]) continue;
          for (int x = 0; x < self.width; ++x) {
            if (x * size[1] / self.width != i % size[1]) continue;
            float* to = self.rows.data() + static_cast<size_t>(y * self.width + x) * n;
            for (size_t j = 0; j < n; ++j) to[j] += scale * std::max(0.0f, row.values[j]);
          }
        }
      }
    });
  }
  return self;
}

HeatMap Segments(const SelfAttention& self, const SegmentOptions& options) {
  const auto n = static_cast<size_t>(self.Tokens());
  std::vector<Row> rows(n);
  ParallelFor(static_cast<int64_t>(n), 8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      rows[static_cast<size_t>(i)] =
          MakeRow({self.rows.begin() + i * static_cast<int64_t>(n),
                   self.rows.begin() + (i + 1) * static_cast<int64_t>(n)});
    }
  });
  const int down = std::min(options.anchors, self.height),
            across = std::min(options.anchors, self.width);
  const std::vector<char> all(n, 1);
  std::vector<Row> merged;
  for (int a = 0; a < down * across; ++a) {
    const int y = (2 * (a / across) + 1) * self.height / (2 * down);
    const int x = (2 * (a % across) + 1) * self.width / (2 * across);
    const Row& anchor = rows[static_cast<size_t>(y * self.width + x)];
    merged.push_back(MakeRow(MeanRow(rows, Alike(rows, anchor, options.threshold, all))));
  }
  for (int round = 1; round < options.rounds; ++round) {
    std::vector<Row> next;
    std::vector<char> open(merged.size(), 1);
    for (size_t i = 0; i < merged.size(); ++i) {
      if (open[i] == 0) continue;
      const std::vector<size_t> members = Alike(merged, merged[i], options.threshold, open);
      for (const size_t member : members) open[member] = 0;
      next.push_back(MakeRow(MeanRow(merged, members)));
    }
    merged = std::move(next);
  }
  std::vector<size_t> owner(n), sizes(merged.size()), order(merged.size());
  for (size_t i = 0; i < n; ++i) {
    for (size_t m = 1; m < merged.size(); ++m) {
      if (merged[m].p[i] > merged[owner[i]].p[i]) owner[i] = m;
    }
    ++sizes[owner[i]];
  }
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return sizes[a] > sizes[b]; });
  std::vector<float> label(merged.size());
  for (size_t i = 0; i < order.size(); ++i) label[order[i]] = static_cast<float>(i);
  HeatMap map{self.height, self.width, {}};
  for (const size_t each : owner) map.values.push_back(label[each]);
  return map;
}

std::vector<HeatMap> Components(const SelfAttention& self, int count) {
  const auto n = static_cast<size_t>(self.Tokens());
  std::vector<double> mean(n);
  for (size_t i = 0; i < n * n; ++i)
    mean[i % n] += static_cast<double>(self.rows[i]) / static_cast<double>(n);
  std::vector<std::vector<double>> found;
  std::vector<HeatMap> maps;
  for (int c = 0; c < count; ++c) {
    // Power iteration of XᵀX, orthogonal to those found; begins from a fixed, uneven vector.
    std::vector<double> v(n), left(n);
    for (size_t i = 0; i < n; ++i) {
      v[i] = std::sin(static_cast<double>(i * static_cast<size_t>(c + 1)) + 1);
    }
    const auto normalise = [&] {
      for (const auto& other : found) {
        const double dot = std::inner_product(v.begin(), v.end(), other.begin(), 0.0);
        for (size_t i = 0; i < n; ++i) v[i] -= dot * other[i];
      }
      const double norm = std::sqrt(std::inner_product(v.begin(), v.end(), v.begin(), 0.0));
      for (double& value : v) value = norm > 1e-300 ? value / norm : 0;
    };
    normalise();
    for (int round = 0; round < 60; ++round) {
      const double offset = std::inner_product(v.begin(), v.end(), mean.begin(), 0.0);
      ParallelFor(static_cast<int64_t>(n), 16, [&](int64_t begin, int64_t end) {
        for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
          double sum = 0;
          for (size_t j = 0; j < n; ++j) sum += static_cast<double>(self.rows[i * n + j]) * v[j];
          left[i] = sum - offset;
        }
      });
      const double total = std::accumulate(left.begin(), left.end(), 0.0);
      for (size_t j = 0; j < n; ++j) v[j] = -total * mean[j];
      for (size_t i = 0; i < n; ++i) {
        for (size_t j = 0; j < n; ++j) v[j] += left[i] * static_cast<double>(self.rows[i * n + j]);
      }
      normalise();
    }
    const auto largest = std::max_element(
        v.begin(), v.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
    const double sign = *largest < 0 ? -1 : 1;
    found.push_back(v);
    HeatMap map{self.height, self.width, {}};
    for (const double value : v) map.values.push_back(static_cast<float>(sign * value));
    maps.push_back(std::move(map));
  }
  return maps;
}

}  // namespace fovea
