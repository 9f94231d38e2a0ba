// The loop over key tiles and its two products, for an arithmetic A that says how elements are
// packed and multiplied (tile_f32_cpu.cc, tile_bf16_cpu.cc).
//
// Both products are one micro-kernel, C = A B with broadcasts of A: Sᵀ = K Qᵀ and Oᵀ = Vᵀ Pᵀ, with
// lanes along queries. Every function bears FOVEA_TILE_TARGET, the instruction set of its file.
#include <algorithm>
#include <cmath>
#include <limits>

#include "attention/kernels/online_softmax-inl.h"
#include "attention/kernels/tile_job.h"
#include "attention/kernels/tile_transpose-inl.h"

#if defined(FOVEA_TILE_LOOP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_TILE_LOOP_INL_H_
#undef FOVEA_TILE_LOOP_INL_H_
#else
#define FOVEA_TILE_LOOP_INL_H_
#endif

namespace fovea {
namespace HWY_NAMESPACE {

#if HWY_TARGET <= HWY_AVX3
inline constexpr int kMaxVecs = 4;  // 6 x 4 accumulators of 32 registers
#else
inline constexpr int kMaxVecs = 2;  // 6 x 2 of 16
#endif
inline constexpr int kMaxRows = 6;

// kScores: c = A b; A's rows are memory rows, `a_stride` apart; the columns' maxima of c go into
// `vector`. kSum: c = vector * c + A b; A's columns are memory rows.
enum class TileProduct { kScores, kSum };

// kR rows of C and kV vectors of its columns; rows of b and c are kTileTokens floats apart.
template <class A, TileProduct kProduct, int kR, int kV>
FOVEA_TILE_TARGET inline void MicroKernel(const float* HWY_RESTRICT a, int64_t a_stride,
                                          int64_t steps, const float* HWY_RESTRICT b,
                                          float* HWY_RESTRICT vector, float* HWY_RESTRICT c) {
  const F32 d;
  constexpr bool kIsScores = kProduct == TileProduct::kScores;
  VF32 sum[kR][kV];
#pragma GCC unroll 8
  for (int r = 0; r < kR; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kV; ++v) {
      if constexpr (kIsScores) {
        sum[r][v] = hn::Zero(d);
      } else {
        sum[r][v] = hn::Mul(hn::Load(d, c + r * kTileTokens + v * kLanes),
                            hn::Load(d, vector + v * kLanes));
      }
    }
  }
  for (int64_t step = 0; step < steps; ++step) {
    VF32 bv[kV];
#pragma GCC unroll 8
    for (int v = 0; v < kV; ++v) bv[v] = hn::Load(d, b + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kR; ++r) {
      const VF32 av = hn::Set(d, kIsScores ? a[r * a_stride] : a[r]);
#pragma GCC unroll 8
      for (int v = 0; v < kV; ++v) sum[r][v] = A::MultiplyAdd(av, bv[v], sum[r][v]);
    }
    a += kIsScores ? 1 : a_stride;
    b += kTileTokens;
  }
#pragma GCC unroll 8
  for (int v = 0; v < kV; ++v) {
    VF32 max;
    if constexpr (kIsScores) max = hn::Load(d, vector + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kR; ++r) {
      if constexpr (kIsScores) max = hn::Max(max, sum[r][v]);
      hn::Store(sum[r][v], d, c + r * kTileTokens + v * kLanes);
    }
    if constexpr (kIsScores) hn::Store(max, d, vector + v * kLanes);
  }
}

// Where a key's row starts: among the sequence's own, or among the operator's extra ones.
FOVEA_TILE_TARGET inline const std::byte* KeyRow(const HeadView& head, int32_t token,
                                                 const std::byte* own, int64_t stride,
                                                 const std::byte* extra, int64_t extra_stride) {
  const int64_t size = head.bf16 ? 2 : 4;
  return token < head.kv ? own + token * stride * size
                         : extra + (token - head.kv) * extra_stride * size;
}

// Brings rows near that will be wanted soon, a few at a time: strided rows come from far away, and
// asked for all at once they would stall the arithmetic.
class RowPrefetcher {
 public:
  FOVEA_TILE_TARGET explicit RowPrefetcher(const HeadView& head)
      : row_bytes_(head.d * (head.bf16 ? 2 : 4)), element_(head.bf16 ? 2 : 4) {}

  // The rows of a key tile, spread over `calls` calls of Some. Drops what is left of earlier ones.
  FOVEA_TILE_TARGET void Keys(const HeadView& head, const int32_t* tokens, int64_t count,
                              int64_t calls) {
    const bool own = count == 0 || tokens[count - 1] < head.kv;  // extra keys are few: not worth it
    first_ = {own ? head.k : nullptr, head.k_stride * element_, tokens, own ? count : 0};
    second_ = {own ? head.v : nullptr, head.v_stride * element_, tokens, own ? count : 0};
    step_ = (count + calls - 1) / calls;
  }
  // The rows that will be written next, and the next group's queries.
  FOVEA_TILE_TARGET void Queries(const HeadView& head, const TileMap& map, TileGroup group,
                                 const TileUpcoming& upcoming, int64_t calls) {
    first_ = OfGroup(map, group, head.out, head.out_stride);
    second_ = {};
    if (upcoming.head != nullptr) {
      second_ = OfGroup(map, upcoming.group, upcoming.head->q, upcoming.head->q_stride);
    }
    step_ = (std::max(first_.left, second_.left) + calls - 1) / calls;
  }
  FOVEA_TILE_TARGET void Some() {
    Rows(&first_);
    Rows(&second_);
  }

 private:
  struct Stream {
    const std::byte* base = nullptr;
    int64_t stride = 0;
    const int32_t* tokens = nullptr;
    int64_t left = 0;
  };
  FOVEA_TILE_TARGET Stream OfGroup(const TileMap& map, TileGroup group, const std::byte* base,
                                   int64_t stride) const {
    const TokenTile& first = map.q.tiles[static_cast<size_t>(group.first)];
    const TokenTile& last = map.q.tiles[static_cast<size_t>(group.first + group.count - 1)];
    return {base, stride * element_, map.q.tokens.data() + first.begin,
            last.begin + last.count - first.begin};
  }
  FOVEA_TILE_TARGET void Rows(Stream* stream) const {
    constexpr int64_t kLine = 64;
    const int64_t count = std::min(stream->left, step_);
    for (int64_t i = 0; i < count; ++i) {
      const std::byte* row = stream->base + stream->tokens[i] * stream->stride;
      for (int64_t at = 0; at < row_bytes_; at += kLine) __builtin_prefetch(row + at, 0, 2);
      __builtin_prefetch(row + row_bytes_ - 1, 0, 2);
    }
    stream->tokens += count;
    stream->left -= count;
  }

  int64_t row_bytes_, element_;
  Stream first_, second_;
  int64_t step_ = 0;
};

template <class A, TileProduct kProduct, int kV>
FOVEA_TILE_TARGET void ProductColumns(const float* a, int64_t a_stride, int64_t rows, int64_t steps,
                                      const float* b, float* vector, float* c,
                                      RowPrefetcher& prefetcher) {
  // Blocks of rows as equal as possible: short ones leave multiply-add units waiting.
  const int64_t a_row = kProduct == TileProduct::kScores ? a_stride : 1;
  int64_t blocks = (rows + kMaxRows - 1) / kMaxRows;
  for (int64_t r = 0; r < rows; --blocks) {
    const int64_t block = (rows - r + blocks - 1) / blocks;
    prefetcher.Some();
    const float* ar = a + r * a_row;
    float* cr = c + r * kTileTokens;
    switch (block) {
      case 6:
        MicroKernel<A, kProduct, 6, kV>(ar, a_stride, steps, b, vector, cr);
        break;
      case 5:
        MicroKernel<A, kProduct, 5, kV>(ar, a_stride, steps, b, vector, cr);
        break;
      case 4:
        MicroKernel<A, kProduct, 4, kV>(ar, a_stride, steps, b, vector, cr);
        break;
      case 3:
        MicroKernel<A, kProduct, 3, kV>(ar, a_stride, steps, b, vector, cr);
        break;
      case 2:
        MicroKernel<A, kProduct, 2, kV>(ar, a_stride, steps, b, vector, cr);
        break;
      default:
        MicroKernel<A, kProduct, 1, kV>(ar, a_stride, steps, b, vector, cr);
        break;
    }
    r += block;
  }
}

// All rows of C and its first `columns` columns, rounded up to whole vectors.
template <class A, TileProduct kProduct>
FOVEA_TILE_TARGET void Product(const float* a, int64_t a_stride, int64_t rows, int64_t steps,
                               int64_t columns, const float* b, float* vector, float* c,
                               RowPrefetcher& prefetcher) {
  for (int64_t column = 0; column < columns; column += kMaxVecs * kLanes) {
    const int64_t vecs = std::min<int64_t>(kMaxVecs, (columns - column + kLanes - 1) / kLanes);
    auto* kernel = vecs == 1 ? ProductColumns<A, kProduct, 1> : ProductColumns<A, kProduct, 2>;
    if constexpr (kMaxVecs == 4) {
      if (vecs == 3) kernel = ProductColumns<A, kProduct, 3>;
      if (vecs == 4) kernel = ProductColumns<A, kProduct, 4>;
    }
    kernel(a, a_stride, rows, steps, b + column, vector + column, c + column, prefetcher);
  }
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

// a * O / sum + b * V + e * mean(V), from Oᵀ.
template <class T>
FOVEA_TILE_TARGET void StoreRows(const HeadView& head, const int32_t* tokens, int64_t queries,
                                 const float* o, const float* sum) {
  const F32 d;
  const HeadMix& mix = head.mix;
  const bool mixed = mix.b != 0 || mix.e != 0;
  for (int64_t first = 0; first < queries; first += kLanes) {
    const VF32 total = hn::Load(d, sum + first);
    const VF32 factor =
        hn::IfThenElse(hn::Gt(total, hn::Zero(d)), hn::Div(hn::Set(d, mix.a), total), hn::Zero(d));
    const int64_t rows = std::min<int64_t>(kLanes, queries - first);
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
        if (mixed) {
          const T* v = reinterpret_cast<const T*>(head.v) + token * head.v_stride + at;
          const float* mean = head.mean_v + at;
          y = hn::MulAdd(hn::Set(d, mix.b), whole ? LoadF32(d, v) : LoadPart(d, v, count), y);
          y = hn::MulAdd(hn::Set(d, mix.e), whole ? LoadF32(d, mean) : LoadPart(d, mean, count), y);
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

FOVEA_TILE_TARGET inline void StoreTile(const HeadView& head, const TileMap& map,
                                        const TokenTile& tile, const float* o, const float* max,
                                        float* sum) {
  const int32_t* tokens = map.q.tokens.data() + tile.begin;
  for (int64_t i = 0; i < tile.count; ++i) {
    if (max[i] == -std::numeric_limits<float>::infinity()) sum[i] = 0;  // saw no key
    if (head.lse == nullptr) continue;
    constexpr double kLn2 = 0.693147180559945309417;
    head.lse[tokens[i]] = static_cast<float>(max[i] * kLn2 + std::log(double{sum[i]}));
  }
  if (head.bf16) {
    StoreRows<BFloat16>(head, tokens, tile.count, o, sum);
  } else {
    StoreRows<float>(head, tokens, tile.count, o, sum);
  }
}

template <class A>
FOVEA_TILE_TARGET void RunGroup(const HeadView& head, const TileMap& map, TileGroup group,
                                const TileUpcoming& upcoming, const TileScratch& s) {
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
    A::PackKeys(head, tokens, kv.count, s.k);
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
      Product<A, TileProduct::kScores>(s.k, A::Steps(head.d), kv.count, A::Steps(head.d), queries,
                                       s.q + g * tile_floats, s.tile_max, s.p, prefetcher);
      if (visit.mask >= 0) {
        MaskScores(s, map.masks[static_cast<size_t>(visit.mask)], kv.count, queries);
      }
      A::Softmax(head, s, kv.count, queries, running_max, s.sum + g * kTileTokens);
      Product<A, TileProduct::kSum>(s.v, head.d, head.d, A::Steps(kv.count), queries, s.p, s.alpha,
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
