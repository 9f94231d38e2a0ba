// A group of query tiles from its queries to its outputs, for an arithmetic A that says how
// elements are packed and multiplied (tile_f32_cpu.cc, tile_bf16_cpu.cc).
//
// Functions bear FOVEA_TILE_TARGET, the instruction set of the including file.
#include <algorithm>
#include <cmath>
#include <limits>

#include "attention/kernels/online_softmax-inl.h"
#include "attention/kernels/tile/row_prefetcher.h"
#include "attention/kernels/tile/tile_product-inl.h"
#include "tensor/cpu/transpose-inl.h"

#if defined(FOVEA_TILE_LOOP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_TILE_LOOP_INL_H_
#undef FOVEA_TILE_LOOP_INL_H_
#else
#define FOVEA_TILE_LOOP_INL_H_
#endif

namespace fovea {
namespace HWY_NAMESPACE {

// Points at the rows of a key tile: packed if several query tiles read them or A needs it, else in
// place.
template <class A>
FOVEA_TILE_TARGET KeyOperand PointAtKeys(const HeadView& head, const int32_t* tokens, int64_t count,
                                         bool pack, float* packed, const float** rows) {
  pack = pack || !A::ReadsKeysInPlace(head);
  const int64_t words = A::Steps(head.d);
  for (int64_t j = 0; j < count; ++j) {
    const std::byte* row =
        KeyRow(head, tokens[j], head.k, head.k_stride, head.extra_k, head.extra_k_stride);
    if (pack) {
      A::PackKey(head, row, packed + j * words);
      rows[j] = packed + j * words;
    } else {
      rows[j] = reinterpret_cast<const float*>(row);
    }
  }
  return {rows};
}

// Qᵀ of a query tile: `words` rows of four bytes, as A reads them; absent queries are zero.
template <class A>
FOVEA_TILE_TARGET void LoadQueries(const HeadView& head, const TileMap& map, const TokenTile& tile,
                                   float* q) {
  const F32 d;
  const int32_t* tokens = map.q.tokens.data() + tile.begin;
  const int64_t words = A::Steps(head.d);
  for (int64_t first = 0; first < tile.count; first += kLanes) {
    for (int64_t block = 0; block < words; block += kLanes) {
      const int64_t at = std::max<int64_t>(0, std::min(block, words - kLanes));
      const int64_t count = std::min<int64_t>(kLanes, words - at);
      VF32 x[kLanes];
      for (int i = 0; i < kLanes; ++i) {
        x[i] = first + i < tile.count
                   ? A::LoadWords(head, head.q, tokens[first + i] * head.q_stride, at, count)
                   : hn::Zero(d);
      }
      TransposeBlock(x);
      for (int i = 0; i < count; ++i) hn::Store(x[i], d, q + (at + i) * kTileTokens + first);
    }
  }
}

// a * O / sum + b * V + e * mean(V), from Oᵀ; O / sum on rows that the mix leaves alone.
template <class T>
FOVEA_TILE_TARGET void StoreRows(const HeadView& head, const int32_t* tokens, int64_t queries,
                                 const float* o, const float* sum) {
  const F32 d;
  const HeadMix& mix = head.mix;
  const bool mixed = mix.a == 0 || mix.b != 0 || mix.e != 0;
  HWY_ALIGN float a[kLanes];
  for (int64_t first = 0; first < queries; first += kLanes) {
    const int64_t rows = std::min<int64_t>(kLanes, queries - first);
    for (int64_t i = 0; i < kLanes; ++i) {
      a[i] = i < rows && mix.rows.Holds(tokens[first + i]) ? mix.a : 1;
    }
    const VF32 total = hn::Load(d, sum + first);
    const VF32 factor =
        hn::IfThenElse(hn::Gt(total, hn::Zero(d)), hn::Div(hn::Load(d, a), total), hn::Zero(d));
    for (int64_t block = 0; block < head.d; block += kLanes) {
      const int64_t at = std::max<int64_t>(0, std::min(block, head.d - kLanes));
      const size_t count = static_cast<size_t>(std::min<int64_t>(kLanes, head.d - at));
      VF32 x[kLanes];
      for (int i = 0; i < kLanes; ++i) {
        x[i] = at + i < head.d ? hn::Mul(hn::Load(d, o + (at + i) * kTileTokens + first), factor)
                               : hn::Zero(d);
      }
      TransposeBlock(x);
      for (int64_t i = 0; i < rows; ++i) {
        const int64_t token = tokens[first + i];
        VF32 y = x[i];
        const bool whole = count == kLanes;
        if (mixed && mix.rows.Holds(token)) {
          const T* v = reinterpret_cast<const T*>(head.v) + token * head.v_stride + at;
          const float* mean = head.mean_v + at;
          if (mix.a == 0) y = hn::Zero(d);
          if (mix.b != 0) {
            y = hn::MulAdd(hn::Set(d, mix.b), whole ? LoadF32(d, v) : LoadPart(d, v, count), y);
          }
          if (mix.e != 0) {
            y = hn::MulAdd(hn::Set(d, mix.e), whole ? LoadF32(d, mean) : LoadPart(d, mean, count),
                           y);
          }
        }
        T* out = reinterpret_cast<T*>(head.out) + token * head.out_stride + at;
        if (whole) {
          StoreF32(d, y, out);
        } else {
          StorePart(d, y, out, count);
        }
      }
    }
  }
}

// max ln 2 + log(sum); -infinity where no key was seen.
FOVEA_TILE_TARGET inline void StoreLse(const HeadView& head, const int32_t* tokens, int64_t queries,
                                       const float* max, const float* sum) {
  const F32 d;
  const VF32 unseen = hn::Set(d, -std::numeric_limits<float>::infinity());
  HWY_ALIGN float lse[kLanes];
  for (int64_t first = 0; first < queries; first += kLanes) {
    const VF32 base = hn::Load(d, max + first), total = hn::Load(d, sum + first);
    const VF32 strange = hn::Mul(total, hn::Zero(d));  // NaN, which Log may lose, stays
    const VF32 y = hn::MulAdd(base, hn::Set(d, 0.693147181f), hn::Add(hn::Log(d, total), strange));
    hn::Store(hn::IfThenElse(hn::Eq(base, unseen), hn::Add(unseen, strange), y), d, lse);
    const int64_t count = std::min<int64_t>(kLanes, queries - first);
    for (int64_t i = 0; i < count; ++i) head.lse[tokens[first + i]] = lse[i];
  }
}

FOVEA_TILE_TARGET inline void StoreTile(const HeadView& head, const TileMap& map,
                                        const TokenTile& tile, const float* o, const float* max,
                                        float* sum) {
  const int32_t* tokens = map.q.tokens.data() + tile.begin;
  for (int64_t i = 0; i < tile.count; ++i) {
    const bool unseen = max[i] == -std::numeric_limits<float>::infinity();
    if (unseen && !std::isnan(sum[i])) sum[i] = 0;
  }
  if (head.lse != nullptr) StoreLse(head, tokens, tile.count, max, sum);
  if (head.bf16) {
    StoreRows<BFloat16>(head, tokens, tile.count, o, sum);
  } else {
    StoreRows<float>(head, tokens, tile.count, o, sum);
  }
}

// A group whose rows are all mixed without their attention: nothing is read but what the mix takes.
FOVEA_TILE_TARGET inline void StoreMixAlone(const HeadView& head, const TileMap& map,
                                            TileGroup group, const TileScratch& s) {
  std::fill_n(s.o, head.d * kTileTokens, 0.0f);
  std::fill_n(s.sum, kTileTokens, 1.0f);
  for (int32_t i = group.first; i < group.first + group.count; ++i) {
    const TokenTile& tile = map.q.tiles[static_cast<size_t>(i)];
    const int32_t* tokens = map.q.tokens.data() + tile.begin;
    for (int64_t q = 0; head.lse != nullptr && q < tile.count; ++q) {
      head.lse[tokens[q]] = std::numeric_limits<float>::quiet_NaN();
    }
    if (head.bf16) {
      StoreRows<BFloat16>(head, tokens, tile.count, s.o, s.sum);
    } else {
      StoreRows<float>(head, tokens, tile.count, s.o, s.sum);
    }
  }
}

inline bool MixAlone(const HeadView& head, const TileMap& map, TileGroup group) {
  if (head.mix.a != 0) return false;
  for (int32_t i = group.first; i < group.first + group.count; ++i) {
    const TokenTile& tile = map.q.tiles[static_cast<size_t>(i)];
    for (int32_t q = tile.begin; q < tile.begin + tile.count; ++q) {
      if (!head.mix.rows.Holds(map.q.tokens[static_cast<size_t>(q)])) return false;
    }
  }
  return true;
}

template <class A>
FOVEA_TILE_TARGET void RunGroup(const HeadView& head, const TileMap& map, TileGroup group,
                                const TileUpcoming& upcoming, const TileScratch& s) {
  if (MixAlone(head, map, group)) return StoreMixAlone(head, map, group, s);
  const int64_t tile_floats = head.d * kTileTokens;
  const TokenTile* q_tiles = map.q.tiles.data() + group.first;
  for (int64_t i = 0; i < group.count; ++i) {
    LoadQueries<A>(head, map, q_tiles[i], s.q + i * tile_floats);
  }
  std::fill_n(s.o, group.count * tile_floats, 0.0f);
  std::fill_n(s.sum, int64_t{group.count} * kTileTokens, 0.0f);
  std::fill_n(s.max, int64_t{group.count} * kTileTokens, -std::numeric_limits<float>::infinity());

  const auto tile_of = [&map](int64_t visit) -> const TokenTile& {
    return map.kv.tiles[static_cast<size_t>(map.visits[static_cast<size_t>(visit)].tile)];
  };
  RowPrefetcher prefetcher(head);
  const TileMap::Row row = map.rows[static_cast<size_t>(group.first)];
  for (int64_t i = row.begin; i < row.end; ++i) {
    const TileMap::Visit visit = map.visits[static_cast<size_t>(i)];
    const TokenTile& kv = tile_of(i);
    const int32_t* tokens = map.kv.tokens.data() + kv.begin;
    const float* key_rows[kTileTokens];
    const KeyOperand keys = PointAtKeys<A>(head, tokens, kv.count, group.count > 1, s.k, key_rows);
    A::PackValues(head, tokens, kv.count, s.v);
    const int64_t calls = group.count * std::max<int64_t>(1, (kv.count + head.d) / kMaxRows);
    if (i + 1 < row.end) {
      const TokenTile& next = tile_of(i + 1);
      prefetcher.Keys(head, map.kv.tokens.data() + next.begin, next.count, calls);
    } else {
      prefetcher.Queries(head, map, group, upcoming, calls);
    }
    for (int64_t g = 0; g < group.count; ++g) {
      const int64_t queries = q_tiles[g].count;
      float* running_max = s.max + g * kTileTokens;
      std::fill_n(s.tile_max, kTileTokens, -std::numeric_limits<float>::infinity());
      Product<A>(keys, kv.count, A::Steps(head.d), queries, s.q + g * tile_floats, s.tile_max, s.p,
                 prefetcher);
      if (head.extra_terms != nullptr && tokens[0] >= head.kv) {
        AddTerms(s, head.extra_terms + (tokens[0] - head.kv), head.scale_log2, kv.count, queries);
      }
      if (visit.mask >= 0) {
        MaskScores(s, map.masks[static_cast<size_t>(visit.mask)], kv.count, queries);
      }
      A::Softmax(head, s, kv.count, queries, running_max, s.sum + g * kTileTokens);
      Product<A>(ValueOperand{s.v, head.d}, head.d, A::Steps(kv.count), queries, s.p, s.alpha,
                 s.o + g * tile_floats, prefetcher);
    }
  }
  for (int64_t i = 0; i < group.count; ++i) {
    StoreTile(head, map, q_tiles[i], s.o + i * tile_floats, s.max + i * kTileTokens,
              s.sum + i * kTileTokens);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea

#endif  // toggle
