#include "attention/matrix/softmax_matrix.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>

#include "attention/kernels/element.h"
#include "attention/kernels/tile/score_block.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

constexpr float kHidden = -std::numeric_limits<float>::infinity();
constexpr size_t kFewQueries = 16;  // up to here they are scored one by one

const std::byte* At(const Tensor& x, int64_t b, int64_t token, int64_t head) {
  const int64_t offset = b * x.stride[0] + token * x.stride[1] + head * x.stride[2];
  return static_cast<const std::byte*>(x.data) + offset * static_cast<int64_t>(SizeOf(x.dtype));
}

// A thread's scratch.
struct Scratch {
  std::vector<int32_t> own, extra;  // keys of a map row: of the sequence, then further ones
  std::vector<float> q, scores;
};

class Softmax final : public AttentionMatrix {
 public:
  explicit Softmax(SoftmaxSource source)
      : AttentionMatrix(source.q.shape[0], source.q.shape[2], source.q.shape[1], source.k.shape[1]),
        source_(std::move(source)) {
    const TokenTiles& q = MapOf(0, 0).q;
    ENSURE(static_cast<int64_t>(q.tokens.size()) == Queries());
    for (size_t i = 1; source_.maps != nullptr && i < source_.maps->each.size(); ++i) {
      ENSURE(source_.maps->each[i]->q.tokens == q.tokens);
    }
    place_.resize(static_cast<size_t>(Queries()));
    for (size_t tile = 0; tile < q.tiles.size(); ++tile) {
      for (int32_t i = 0; i < q.tiles[tile].count; ++i) {
        place_[static_cast<size_t>(q.tokens[static_cast<size_t>(q.tiles[tile].begin + i)])] = {
            static_cast<int32_t>(tile), i};
      }
    }
  }

  void Rows(int64_t sample, int64_t head, std::span<const int32_t> queries,
            float* rows) const override {
    const auto keys = static_cast<size_t>(Keys());
    const TileMap& map = MapOf(sample, head);
    if (IsWhole(map) && queries.size() <= kFewQueries) {
      return WholeRows(sample, head, queries, rows);
    }
    std::fill_n(rows, queries.size() * keys, 0.0f);
    // By tiles, whose queries visit the same keys.
    std::vector<size_t> order(queries.size());
    std::iota(order.begin(), order.end(), size_t{0});
    const auto tile_of = [&](size_t i) { return place_[static_cast<size_t>(queries[i])].tile; };
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return tile_of(a) < tile_of(b); });
    Scratch scratch;
    for (size_t begin = 0; begin < order.size();) {
      size_t end = begin + 1;
      while (end < order.size() && end - begin < static_cast<size_t>(kScoreQueries) &&
             SameRow(map, tile_of(order[end]), tile_of(order[begin]))) {
        ++end;
      }
      const std::span<const size_t> group = std::span(order).subspan(begin, end - begin);
      if (group.size() <= kFewQueries || !source_.bias.Empty()) {
        for (const size_t i : group) One(sample, head, queries[i], scratch, rows + i * keys);
      } else {
        Block(sample, head, queries, group, scratch, rows);
      }
      begin = end;
    }
  }

  void Columns(int64_t sample, int64_t head, std::span<const int32_t> keys,
               float* columns) const override {
    if (!SeenByAll(MapOf(sample, head), keys))
      return AttentionMatrix::Columns(sample, head, keys, columns);
    std::vector<float> q(static_cast<size_t>(source_.q.shape[3]));
    const Tensor& lse = source_.lse;
    const float* own = lse.Data<float>() + sample * lse.stride[0] + head * lse.stride[1];
    for (int64_t i = 0; i < Queries(); ++i) {
      LoadQuery(sample, head, i, q.data(), 1, 1);
      float* row = columns + i * static_cast<int64_t>(keys.size());
      ScoreKeysCpu(q.data(), KeysOf(source_.k, sample, head), Bf16(), Size(), keys.data(),
                   static_cast<int64_t>(keys.size()), source_.scale, row);
      ExpMinusCpu(row, static_cast<int64_t>(keys.size()), own[i]);
    }
  }

 private:
  struct Place {
    int32_t tile, position;
  };

  bool Bf16() const { return source_.q.dtype == DType::kBF16; }
  int64_t Size() const { return source_.q.shape[3]; }
  static KeyRows KeysOf(const Tensor& k, int64_t sample, int64_t head) {
    return {At(k, sample, 0, head), k.stride[1]};
  }

  const float* BiasOf(int64_t head, int32_t query) const {
    const Tensor& bias = source_.bias;
    return bias.Data<float>() + head * bias.stride[0] + query * bias.stride[1];
  }

  // Whether two query tiles visit the same keys and see all of them.
  static bool SameRow(const TileMap& map, int32_t a, int32_t b) {
    if (a == b) return true;
    const TileMap::Row &x = map.rows[static_cast<size_t>(a)], &y = map.rows[static_cast<size_t>(b)];
    return x.begin == y.begin && x.end == y.end && !HasMasks(map, x);
  }
  static bool HasMasks(const TileMap& map, const TileMap::Row& row) {
    return std::any_of(map.visits.begin() + row.begin, map.visits.begin() + row.end,
                       [](const TileMap::Visit& visit) { return visit.mask >= 0; });
  }

  const TileMap& MapOf(int64_t sample, int64_t head) const {
    if (source_.maps == nullptr) return *source_.map;
    return source_.maps->Of(static_cast<size_t>(sample * Heads() + head));
  }
  // Every query sees every key, and there are no further ones.
  bool IsWhole(const TileMap& map) const {
    return source_.extra_k.Empty() && !source_.causal && map.pairs == map.AllPairs();
  }

  bool SeenByAll(const TileMap& map, std::span<const int32_t> keys) const {
    if (source_.lse.Empty() || !source_.bias.Empty() || source_.causal) return false;
    if (IsWhole(map)) return true;
    // Tokens outside of the grid are.
    size_t found = 0;
    for (const TokenTile& tile : map.kv.tiles) {
      if (tile.grid) continue;
      for (int32_t i = tile.begin; i < tile.begin + tile.count; ++i) {
        const int32_t token = map.kv.tokens[static_cast<size_t>(i)];
        found += token < Keys() && std::find(keys.begin(), keys.end(), token) != keys.end();
      }
    }
    return found == keys.size();
  }

  // q_i times `factor` to to[0], to[step], ...
  void LoadQuery(int64_t sample, int64_t head, int64_t i, float* to, int64_t step,
                 float factor) const {
    const std::byte* row = At(source_.q, sample, i, head);
    for (int64_t c = 0; c < Size(); ++c) to[c * step] = factor * LoadElement(row, c, Bf16());
  }

  // Keys that tile `tile` visits; if `position` >= 0 only those that its query there sees.
  void VisitedKeys(const TileMap& map, int32_t tile, int32_t position, Scratch& scratch) const {
    scratch.own.clear(), scratch.extra.clear();
    const TileMap::Row& row = map.rows[static_cast<size_t>(tile)];
    for (int64_t v = row.begin; v < row.end; ++v) {
      const TileMap::Visit& visit = map.visits[static_cast<size_t>(v)];
      const TokenTile& keys = map.kv.tiles[static_cast<size_t>(visit.tile)];
      for (int32_t j = 0; j < keys.count; ++j) {
        if (position >= 0 && visit.mask >= 0 &&
            (map.masks[static_cast<size_t>(visit.mask)][static_cast<size_t>(j)] >> position & 1) ==
                0) {
          continue;
        }
        const int32_t token = map.kv.tokens[static_cast<size_t>(keys.begin + j)];
        if (token < Keys()) {
          scratch.own.push_back(token);
        } else {
          scratch.extra.push_back(token - static_cast<int32_t>(Keys()));
        }
      }
    }
  }

  // Rows that see every key, in order.
  void WholeRows(int64_t sample, int64_t head, std::span<const int32_t> queries,
                 float* rows) const {
    std::vector<float> q(static_cast<size_t>(Size()));
    for (const int32_t query : queries) {
      LoadQuery(sample, head, query, q.data(), 1, 1);
      ScoreKeysCpu(q.data(), KeysOf(source_.k, sample, head), Bf16(), Size(), nullptr, Keys(),
                   source_.scale, rows);
      if (!source_.bias.Empty()) {
        const float* bias = BiasOf(head, query);
        for (int64_t i = 0; i < Keys(); ++i) rows[i] += bias[i];
      }
      SoftmaxRowCpu(rows, Keys());
      rows += Keys();
    }
  }

  void One(int64_t sample, int64_t head, int32_t query, Scratch& scratch, float* row) const {
    const Place place = place_[static_cast<size_t>(query)];
    VisitedKeys(MapOf(sample, head), place.tile, place.position, scratch);
    scratch.q.resize(static_cast<size_t>(Size()));
    LoadQuery(sample, head, query, scratch.q.data(), 1, 1);
    const int64_t own = static_cast<int64_t>(scratch.own.size());
    const int64_t extra = static_cast<int64_t>(scratch.extra.size());
    scratch.scores.resize(static_cast<size_t>(own + extra));
    ScoreKeysCpu(scratch.q.data(), KeysOf(source_.k, sample, head), Bf16(), Size(),
                 scratch.own.data(), own, source_.scale, scratch.scores.data());
    if (extra > 0) {
      ScoreKeysCpu(scratch.q.data(), KeysOf(source_.extra_k, sample, head), Bf16(), Size(),
                   scratch.extra.data(), extra, source_.scale, scratch.scores.data() + own);
      AddTerms(scratch, 1, scratch.scores.data() + own);
    }
    if (!source_.bias.Empty()) {
      const float* bias = BiasOf(head, query);
      for (int64_t i = 0; i < own; ++i) {
        scratch.scores[static_cast<size_t>(i)] += bias[scratch.own[static_cast<size_t>(i)]];
      }
    }
    SoftmaxRowCpu(scratch.scores.data(), own + extra);
    Spread(scratch, 1, row);
  }

  // To the scores of the extra keys, each `queries` floats.
  void AddTerms(const Scratch& scratch, int64_t queries, float* scores) const {
    if (source_.extra_terms.empty()) return;
    for (const int32_t key : scratch.extra) {
      const float term = source_.extra_terms[static_cast<size_t>(key)];
      for (int64_t i = 0; i < queries; ++i) *scores++ += term;
    }
  }

  // Probabilities, `step` floats apart, to the row.
  void Spread(const Scratch& scratch, size_t step, float* row, size_t column = 0) const {
    const float* p = scratch.scores.data() + column;
    for (const int32_t key : scratch.own) {
      row[key] += *p;
      p += step;
    }
    const FoldedKeys& folded = source_.folded;
    for (const int32_t key : scratch.extra) {
      const auto begin = static_cast<size_t>(folded.begin[static_cast<size_t>(key)]);
      const auto end = static_cast<size_t>(folded.begin[static_cast<size_t>(key) + 1]);
      for (size_t i = begin; i < end; ++i) row[folded.tokens[i]] += *p * folded.weights[i];
      p += step;
    }
  }

  // Up to 64 queries that visit the same keys.
  void Block(int64_t sample, int64_t head, std::span<const int32_t> queries,
             std::span<const size_t> group, Scratch& scratch, float* rows) const {
    const auto place = [&](size_t i) { return place_[static_cast<size_t>(queries[group[i]])]; };
    const TileMap& map = MapOf(sample, head);
    VisitedKeys(map, place(0).tile, -1, scratch);
    scratch.q.assign(static_cast<size_t>(Size() * kScoreQueries), 0.0f);
    for (size_t i = 0; i < group.size(); ++i) {
      LoadQuery(sample, head, queries[group[i]], scratch.q.data() + i, kScoreQueries,
                source_.scale);
    }
    const int64_t own = static_cast<int64_t>(scratch.own.size());
    const int64_t extra = static_cast<int64_t>(scratch.extra.size());
    scratch.scores.resize(static_cast<size_t>((own + extra) * kScoreQueries));
    ScoreBlockCpu(scratch.q.data(), KeysOf(source_.k, sample, head), Bf16(), Size(),
                  scratch.own.data(), own, scratch.scores.data());
    if (extra > 0) {
      ScoreBlockCpu(scratch.q.data(), KeysOf(source_.extra_k, sample, head), Bf16(), Size(),
                    scratch.extra.data(), extra, scratch.scores.data() + own * kScoreQueries);
      AddTerms(scratch, kScoreQueries, scratch.scores.data() + own * kScoreQueries);
    }
    // Visits are listed in the order of the keys; own and further keys never share a tile, and the
    // further ones come in tiles of their own, so masks are walked by key lists.
    Hide(map, place(0).tile, group, place, scratch);
    SoftmaxBlockCpu(scratch.scores.data(), own + extra);
    for (size_t i = 0; i < group.size(); ++i) {
      Spread(scratch, static_cast<size_t>(kScoreQueries),
             rows + group[i] * static_cast<size_t>(Keys()), i);
    }
  }

  template <class PlaceOf>
  void Hide(const TileMap& map, int32_t tile, std::span<const size_t> group, const PlaceOf& place,
            Scratch& scratch) const {
    const TileMap::Row& row = map.rows[static_cast<size_t>(tile)];
    size_t own = 0, extra = 0;
    for (int64_t v = row.begin; v < row.end; ++v) {
      const TileMap::Visit& visit = map.visits[static_cast<size_t>(v)];
      const TokenTile& keys = map.kv.tiles[static_cast<size_t>(visit.tile)];
      for (int32_t j = 0; j < keys.count; ++j) {
        const int32_t token = map.kv.tokens[static_cast<size_t>(keys.begin + j)];
        const size_t at = token < Keys() ? own++ : scratch.own.size() + extra++;
        if (visit.mask < 0) continue;
        const uint64_t seen = map.masks[static_cast<size_t>(visit.mask)][static_cast<size_t>(j)];
        float* scores = scratch.scores.data() + at * static_cast<size_t>(kScoreQueries);
        for (size_t i = 0; i < group.size(); ++i) {
          if ((seen >> place(i).position & 1) == 0) scores[i] = kHidden;
        }
      }
    }
  }

  SoftmaxSource source_;
  std::vector<Place> place_;  // of each query in the maps
};

class Product final : public AttentionMatrix {
 public:
  Product(std::unique_ptr<AttentionMatrix> left, const AttentionMatrix& right)
      : AttentionMatrix(left->Samples(), left->Heads(), left->Queries(), right.Keys()),
        left_(std::move(left)),
        middle_(right.Queries()),
        rows_(static_cast<size_t>(Samples() * Heads() * middle_ * Keys())) {
    ENSURE(left_->Keys() == middle_ && left_->Heads() == right.Heads());
    ParallelFor(Samples() * Heads(), 1, [&](int64_t begin, int64_t end) {
      std::vector<int32_t> all(static_cast<size_t>(middle_));
      std::iota(all.begin(), all.end(), 0);
      for (int64_t i = begin; i < end; ++i) {
        right.Rows(i / Heads(), i % Heads(), all, rows_.data() + i * middle_ * Keys());
      }
    });
  }

  void Rows(int64_t sample, int64_t head, std::span<const int32_t> queries,
            float* rows) const override {
    std::vector<float> weights(queries.size() * static_cast<size_t>(middle_));
    left_->Rows(sample, head, queries, weights.data());
    const float* right = rows_.data() + (sample * Heads() + head) * middle_ * Keys();
    for (size_t i = 0; i < queries.size(); ++i) {
      float* row = rows + i * static_cast<size_t>(Keys());
      std::fill_n(row, Keys(), 0.0f);
      for (int64_t m = 0; m < middle_; ++m) {
        const float weight = weights[i * static_cast<size_t>(middle_) + static_cast<size_t>(m)];
        const float* from = right + m * Keys();
        for (int64_t j = 0; j < Keys(); ++j) row[j] += weight * from[j];
      }
    }
  }

 private:
  std::unique_ptr<AttentionMatrix> left_;
  int64_t middle_;
  std::vector<float> rows_;  // of the right: (samples,heads,middle,keys)
};

}  // namespace

std::unique_ptr<AttentionMatrix> SoftmaxMatrix(SoftmaxSource source) {
  return std::make_unique<Softmax>(std::move(source));
}

std::unique_ptr<AttentionMatrix> ProductMatrix(std::unique_ptr<AttentionMatrix> left,
                                               const AttentionMatrix& right) {
  return std::make_unique<Product>(std::move(left), right);
}

}  // namespace fovea
