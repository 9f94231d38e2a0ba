#include "attention/selectors/tile_scores.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>

#include "attention/kernels/element.h"

namespace fovea {
namespace {

int64_t RowOffset(const SelectorCall& call, const Tensor& x, int32_t position) {
  return call.sample * x.stride[0] +
         call.tiles.tokens[static_cast<size_t>(position)] * x.stride[1] + call.head * x.stride[2];
}

}  // namespace

std::vector<float> TileMeans(const SelectorCall& call, const Tensor& x) {
  const auto d = static_cast<size_t>(x.shape[3]);
  const bool bf16 = x.dtype == DType::kBF16;
  std::vector<float> means(call.Count() * d);
  for (size_t tile = 0; tile < call.Count(); ++tile) {
    const TokenTile& own = call.Tile(tile);
    float* mean = means.data() + tile * d;
    for (int32_t t = own.begin; t < own.begin + own.count; ++t) {
      const int64_t row = RowOffset(call, x, t);
      for (size_t c = 0; c < d; ++c) mean[c] += LoadElement(x.data, row + int64_t(c), bf16);
    }
    for (size_t c = 0; c < d; ++c) mean[c] /= static_cast<float>(own.count);
  }
  return means;
}

ScoredKeys GridKeys(const SelectorCall& call) {
  const Tensor& k = call.k;
  ScoredKeys keys;
  keys.bf16 = k.dtype == DType::kBF16;
  const int64_t offset = call.sample * k.stride[0] + call.head * k.stride[2];
  keys.rows = {static_cast<const std::byte*>(k.data) + offset * int64_t(SizeOf(k.dtype)),
               k.stride[1]};
  for (size_t tile = 0; tile < call.Count(); ++tile) {
    const TokenTile& own = call.Tile(tile);
    for (int32_t t = own.begin; t < own.begin + own.count; ++t) {
      keys.index.push_back(call.tiles.tokens[static_cast<size_t>(t)]);
      keys.tile.push_back(static_cast<int32_t>(tile));
    }
  }
  return keys;
}

ScoredKeys PackedKeys(const std::vector<float>& rows, int64_t d, std::vector<int32_t> tile) {
  ScoredKeys keys;
  keys.rows = {reinterpret_cast<const std::byte*>(rows.data()), d};
  keys.index.resize(tile.size());
  std::iota(keys.index.begin(), keys.index.end(), 0);
  keys.tile = std::move(tile);
  return keys;
}

TileScores AttentionMass(const std::vector<float>& q, const std::vector<int32_t>& tile_of_query,
                         const ScoredKeys& keys, int64_t d, float scale, size_t count) {
  constexpr auto kBlock = static_cast<size_t>(kScoreQueries);
  const size_t width = static_cast<size_t>(d);
  TileScores mass(count * count);
  std::vector<float> block(width * kBlock), scores(keys.index.size() * kBlock);
  for (size_t first = 0; first < tile_of_query.size(); first += kBlock) {
    const size_t rows = std::min(kBlock, tile_of_query.size() - first);
    std::fill(block.begin(), block.end(), 0.0f);
    for (size_t i = 0; i < rows; ++i) {
      for (size_t c = 0; c < width; ++c) block[c * kBlock + i] = scale * q[(first + i) * width + c];
    }
    const auto all = static_cast<int64_t>(keys.index.size());
    ScoreBlockCpu(block.data(), keys.rows, keys.bf16, d, keys.index.data(), all, scores.data());
    SoftmaxBlockCpu(scores.data(), all);
    for (size_t key = 0; key < keys.index.size(); ++key) {
      const float* from = scores.data() + key * kBlock;
      float* to = mass.data() + static_cast<size_t>(keys.tile[key]);
      for (size_t i = 0; i < rows; ++i) {
        to[static_cast<size_t>(tile_of_query[first + i]) * count] += from[i];
      }
    }
  }
  return mass;
}

TileScores PooledMass(const SelectorCall& call) {
  const std::vector<float> q = TileMeans(call, call.q), k = TileMeans(call, call.k);
  std::vector<int32_t> tile(call.Count());
  std::iota(tile.begin(), tile.end(), 0);
  const int64_t d = call.q.shape[3];
  return AttentionMass(q, tile, PackedKeys(k, d, tile), d, call.scale, call.Count());
}

std::vector<float> RowsOf(const SelectorCall& call, const Tensor& x,
                          const std::vector<int32_t>& positions) {
  const auto d = static_cast<size_t>(x.shape[3]);
  const bool bf16 = x.dtype == DType::kBF16;
  std::vector<float> rows(positions.size() * d);
  for (size_t i = 0; i < positions.size(); ++i) {
    const int64_t row = RowOffset(call, x, positions[i]);
    for (size_t c = 0; c < d; ++c) rows[i * d + c] = LoadElement(x.data, row + int64_t(c), bf16);
  }
  return rows;
}

std::vector<int32_t> Descending(std::span<const float> row) {
  std::vector<int32_t> order(row.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&row](int32_t a, int32_t b) {
    return row[static_cast<size_t>(a)] > row[static_cast<size_t>(b)];
  });
  return order;
}

size_t Budget(double keep, size_t count) {
  return std::max<size_t>(1, static_cast<size_t>(keep * static_cast<double>(count)));
}

void KeepLargest(const TileScores& scores, size_t budget, TileBits& kept) {
  const size_t count = kept.Count();
  if (!AllFinite(scores)) return kept.KeepAll();
  for (size_t i = 0; i < count; ++i) {
    const auto order = Descending(std::span(scores).subspan(i * count, count));
    for (size_t n = 0; n < std::min(budget, count); ++n) {
      kept.Keep(i, static_cast<size_t>(order[n]));
    }
  }
}

bool IsNear(const TokenTile& i, const TokenTile& j, int ring) {
  for (size_t a = 0; a < 3; ++a) {
    if (std::abs(i.index[a] - j.index[a]) > ring) return false;
  }
  return true;
}

}  // namespace fovea
