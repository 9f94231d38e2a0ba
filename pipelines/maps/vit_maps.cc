#include "pipelines/maps/vit_maps.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>

#include "attention/kernels/element.h"
#include "attention/probe/matrix_passes.h"
#include "tensor/error.h"

namespace fovea {
namespace {

const Segment& GridOf(const KeptAttention& layer) {
  const Segment* grid = GridOfLayout(layer.Spec().q);
  if (grid == nullptr) throw Error(ErrorCode::kUnsupported, layer.Site().path + ": has no patches");
  return *grid;
}

// What is looked from: the class token, else all patches alike.
std::vector<double> From(const TokenLayout& layout) {
  std::vector<double> weights(static_cast<size_t>(TokenCount(layout)));
  for (const Segment& segment : layout) {
    if (segment.kind != SegmentKind::kClass) continue;
    weights[static_cast<size_t>(segment.begin)] = 1;
    return weights;
  }
  for (const Segment& segment : layout) {
    if (segment.kind != SegmentKind::kGrid) continue;
    for (int i = 0; i < segment.length; ++i) {
      weights[static_cast<size_t>(segment.begin + i)] = 1.0 / segment.length;
    }
  }
  return weights;
}

HeatMap OnGrid(const Segment& grid, const std::vector<double>& tokens) {
  HeatMap map{grid.grid[1], grid.grid[2], {}};
  for (int i = 0; i < grid.length; ++i) {
    map.values.push_back(static_cast<float>(tokens[static_cast<size_t>(grid.begin + i)]));
  }
  return map;
}

std::vector<int> HeadsOf(const KeptAttention& layer, const MapSelection& selection) {
  std::vector<int> heads;
  for (int head = 0; head < layer.Spec().heads; ++head) {
    if (selection.HasHead(head)) heads.push_back(head);
  }
  if (heads.empty()) {
    throw Error(ErrorCode::kUsage, "--heads: none of them is in " + layer.Site().path +
                                       ", which has " + std::to_string(layer.Spec().heads));
  }
  return heads;
}

std::vector<const KeptAttention*> Chosen(const LayerKeeper& kept, const MapSelection& selection) {
  std::vector<const KeptAttention*> layers;
  for (const auto& layer : kept.Layers()) {
    if (selection.HasLayer(layer->Site().path)) layers.push_back(layer.get());
  }
  if (layers.empty()) {
    throw Error(ErrorCode::kUnsupported,
                "--layers: matches no attention layer of this model; fovea "
                "info MODEL --layers lists them");
  }
  return layers;
}

// The largest or smallest weight of the heads at each place.
std::vector<float> Extreme(const AttentionMatrix& matrix, const std::vector<int>& heads,
                           bool largest) {
  const auto keys = static_cast<size_t>(matrix.Keys());
  std::vector<float> fused(static_cast<size_t>(matrix.Queries()) * keys);
  bool first = true;
  for (const int head : heads) {
    ForEachRow(
        matrix, 0, head, AllQueries(matrix.Queries()),
        [&](int, int32_t query, std::span<const float> row) {
          float* to = fused.data() + static_cast<size_t>(query) * keys;
          for (size_t j = 0; j < keys; ++j) {
            to[j] = first ? row[j] : largest ? std::max(to[j], row[j]) : std::min(to[j], row[j]);
          }
        });
    first = false;
  }
  return fused;
}

// The smallest `share` of all weights become 0, except for the class token's own.
void Discard(std::vector<float>& matrix, double share) {
  const auto count = static_cast<size_t>(static_cast<double>(matrix.size()) * share);
  if (count == 0) return;
  std::vector<size_t> order(matrix.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::nth_element(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count) - 1,
                   order.end(), [&](size_t a, size_t b) {
                     return matrix[a] < matrix[b] || (matrix[a] == matrix[b] && a < b);
                   });
  for (size_t i = 0; i < count; ++i) {
    if (order[i] != 0) matrix[order[i]] = 0;
  }
}

// r <- r ((A + I) / 2), rows of the bracket made to sum to 1. `row_sums` of A.
std::vector<double> Step(
    const std::vector<double>& r, const std::vector<double>& row_sums,
    const std::function<std::vector<double>(const std::vector<double>&)>& apply) {
  std::vector<double> scaled(r.size());
  for (size_t i = 0; i < r.size(); ++i) scaled[i] = r[i] / (row_sums[i] + 1);
  std::vector<double> next = apply(scaled);
  for (size_t i = 0; i < r.size(); ++i) next[i] += scaled[i];
  return next;
}

std::vector<double> MeanHeads(const AttentionMatrix& matrix, const std::vector<int>& heads,
                              const std::vector<double>& weights) {
  std::vector<double> sum(weights.size());
  for (const int head : heads) {
    const std::vector<double> own = WeightedRowSum(matrix, 0, head, weights);
    for (size_t j = 0; j < sum.size(); ++j) sum[j] += own[j] / static_cast<double>(heads.size());
  }
  return sum;
}

// Norms of the values of each head: (heads, keys).
std::vector<std::vector<double>> ValueNorms(const KeptAttention& layer,
                                            const std::vector<int>& heads) {
  const HostTensor& v = layer.Values();  // (b,heads,keys,d)
  const int64_t keys = v.shape()[2], d = v.shape()[3];
  const bool bf16 = v.dtype() == DType::kBF16;
  std::vector<std::vector<double>> norms;
  for (const int head : heads) {
    auto& own = norms.emplace_back();
    for (int64_t j = 0; j < keys; ++j) {
      double sum = 0;
      for (int64_t c = 0; c < d; ++c) {
        const auto x = static_cast<double>(LoadElement(v.data(), (head * keys + j) * d + c, bf16));
        sum += x * x;
      }
      own.push_back(std::sqrt(sum));
    }
  }
  return norms;
}

}  // namespace

RolloutOptions ParseRollout(const std::string& text) {
  RolloutOptions options;
  const size_t comma = text.find(',');
  const std::string fusion = text.substr(0, comma);
  const auto bad = [&] {
    throw Error(ErrorCode::kUsage, "--rollout: \"" + text +
                                       "\" is none of mean, max, min, with or without a share "
                                       "below 1 to leave out, as max,0.9");
  };
  if (fusion == "max") {
    options.fusion = HeadFusion::kMax;
  } else if (fusion == "min") {
    options.fusion = HeadFusion::kMin;
  } else if (fusion != "mean") {
    bad();
  }
  if (comma != std::string::npos) {
    const char *begin = text.data() + comma + 1, *end = text.data() + text.size();
    const auto [next, error] = std::from_chars(begin, end, options.discard);
    if (error != std::errc{} || next != end || !(options.discard >= 0 && options.discard < 1))
      bad();
  }
  return options;
}

void LayerKeeper::Attended(Context& ctx, const AttentionCall& call) {
  if (call.site.kind == SiteKind::kCross) return;
  layers_.push_back(std::make_unique<KeptAttention>(ctx, call, KeepOptions{.values = true}));
}

std::vector<AttentionMap> ClassMaps(Context& ctx, const LayerKeeper& kept,
                                    const MapSelection& selection) {
  std::vector<const KeptAttention*> layers = Chosen(kept, selection);
  if (selection.layers.empty()) layers = {layers.back()};
  std::vector<AttentionMap> maps;
  for (const KeptAttention* layer : layers) {
    const std::vector<int> heads = HeadsOf(*layer, selection);
    const Segment& grid = GridOf(*layer);
    const std::vector<double> from = From(layer->Spec().q);
    std::vector<double> mean(from.size());
    std::vector<AttentionMap> of_heads;
    for (const int head : heads) {
      const std::vector<double> row = WeightedRowSum(layer->Matrix(ctx), 0, head, from);
      for (size_t j = 0; j < mean.size(); ++j) {
        mean[j] += row[j] / static_cast<double>(heads.size());
      }
      of_heads.push_back({"cls", layer->Site().path, head, -1, "", OnGrid(grid, row)});
    }
    maps.push_back({"cls", layer->Site().path, -1, -1, "", OnGrid(grid, mean)});
    if (selection.per_head) maps.insert(maps.end(), of_heads.begin(), of_heads.end());
  }
  return maps;
}

AttentionMap RolloutMap(Context& ctx, const LayerKeeper& kept, const MapSelection& selection,
                        const RolloutOptions& options) {
  const std::vector<const KeptAttention*> layers = Chosen(kept, selection);
  std::vector<double> r = From(layers.back()->Spec().q);
  const size_t n = r.size();
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    const AttentionMatrix& matrix = (*layer)->Matrix(ctx);
    const std::vector<int> heads = HeadsOf(**layer, selection);
    if (options.fusion == HeadFusion::kMean && options.discard == 0) {
      // Rows of softmaxes sum to 1; those of merged tokens need not.
      const std::vector<double> ones(n, 1.0);
      std::vector<double> sums(n);
      for (const int head : heads) {
        ForEachRow(matrix, 0, head, AllQueries(matrix.Queries()),
                   [&](int, int32_t query, std::span<const float> row) {
                     double sum = 0;
                     for (const float weight : row) sum += static_cast<double>(weight);
                     sums[static_cast<size_t>(query)] += sum / static_cast<double>(heads.size());
                   });
      }
      r = Step(r, sums, [&](const auto& weights) { return MeanHeads(matrix, heads, weights); });
      continue;
    }
    std::vector<float> fused = options.fusion == HeadFusion::kMean
                                   ? MeanOfHeads(matrix, 0, heads)
                                   : Extreme(matrix, heads, options.fusion == HeadFusion::kMax);
    Discard(fused, options.discard);
    std::vector<double> sums(n);
    for (size_t i = 0; i < n * n; ++i) sums[i / n] += static_cast<double>(fused[i]);
    r = Step(r, sums, [&](const std::vector<double>& weights) {
      std::vector<double> next(n);
      for (size_t i = 0; i < n; ++i) {
        for (size_t j = 0; j < n; ++j) {
          next[j] += weights[i] * static_cast<double>(fused[i * n + j]);
        }
      }
      return next;
    });
  }
  return {"rollout", "", -1, -1, "", OnGrid(GridOf(*layers.front()), r)};
}

AttentionMap RelevanceMap(Context& ctx, const LayerKeeper& kept, const MapSelection& selection) {
  const std::vector<const KeptAttention*> layers = Chosen(kept, selection);
  std::vector<double> r = From(layers.back()->Spec().q);
  const size_t n = r.size();
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    const AttentionMatrix& matrix = (*layer)->Matrix(ctx);
    const std::vector<int> heads = HeadsOf(**layer, selection);
    const auto norms = ValueNorms(**layer, heads);
    // Weights times norms, and the mean over heads of these, made to sum to 1 row by row.
    std::vector<double> carried(n * n);
    for (size_t h = 0; h < heads.size(); ++h) {
      ForEachRow(matrix, 0, heads[h], AllQueries(matrix.Queries()),
                 [&](int, int32_t query, std::span<const float> row) {
                   double* to = carried.data() + static_cast<size_t>(query) * n;
                   for (size_t j = 0; j < n; ++j) {
                     to[j] += static_cast<double>(std::abs(row[j])) * norms[h][j];
                   }
                 });
    }
    std::vector<double> next(n);
    for (size_t i = 0; i < n; ++i) {
      double sum = 0;
      for (size_t j = 0; j < n; ++j) sum += carried[i * n + j];
      const double share = sum > 0 ? r[i] / (2 * sum) : 0;
      for (size_t j = 0; j < n; ++j) next[j] += share * carried[i * n + j];
      next[i] += sum > 0 ? r[i] / 2 : r[i];
    }
    r = std::move(next);
  }
  return {"relevance", "", -1, -1, "", OnGrid(GridOf(*layers.front()), r)};
}

}  // namespace fovea
