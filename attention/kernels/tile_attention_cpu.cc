// The tile kernel for AVX2 and AVX-512, chosen at run time.
//
// Per query tile it keeps in cache: Qᵀ (d x 64), Pᵀ (64 keys x 64), Oᵀ (d x 64). Both products are
// one micro-kernel, C += A B with broadcasts of A: Sᵀ = K Qᵀ and Oᵀ = Vᵀ Pᵀ.
// Bytes moved per visited tile: 2 * 64 d elements of k and v; per query tile: 2 * 64 d of q and
// out.
#include "attention/kernels/tile_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "attention/kernels/element.h"
#include "tensor/threads.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attention/kernels/tile_attention_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef FOVEA_TILE_ATTENTION_ARGS
#define FOVEA_TILE_ATTENTION_ARGS
// Accumulators stay in registers only if these loops are unrolled whole.
#define FOVEA_UNROLL _Pragma("GCC unroll 8")
namespace fovea {
namespace {

constexpr int kTile = kTileTokens;  // queries (lanes) and keys (rows) of a tile

// One head's matrices; strides in elements, between tokens. 16-bit elements are bf16.
struct HeadView {
  const std::byte *q, *k, *v, *extra_k, *extra_v;
  std::byte* out;
  float* lse;           // stride 1, or null
  const float* mean_v;  // d, or null
  HeadMix mix;
  int64_t q_stride, k_stride, v_stride, extra_k_stride, extra_v_stride, out_stride;
  int64_t kv;  // keys before the extra ones
  int d;
  bool bf16;
  float scale_log2;  // scale * log2(e)
};

// One thread's scratch.
struct Scratch {
  float *q, *p, *o, *k, *v, *max, *sum, *alpha;
  const float *k_row[kTile], *v_row[kTile];
  static int64_t Floats(int64_t d) { return (2 * d + kTile) * kTile + 2 * kTile * d + 3 * kTile; }
  Scratch(float* base, int64_t d) {
    q = base;
    o = q + d * kTile;
    p = o + d * kTile;
    max = p + kTile * kTile;
    sum = max + kTile;
    alpha = sum + kTile;
    k = alpha + kTile;
    v = k + kTile * d;
  }
};

}  // namespace
}  // namespace fovea
#endif  // FOVEA_TILE_ATTENTION_ARGS

HWY_BEFORE_NAMESPACE();
namespace fovea {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET <= HWY_AVX3
constexpr int kMaxVecs = 4;  // 6 x 4 accumulators of 32 registers
#else
constexpr int kMaxVecs = 2;  // 6 x 2 of 16
#endif
constexpr int kRows = 6;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// 2^x for x <= 0, within 2 ulp; inputs below -126 give 0.
HWY_INLINE V Exp2(D d, V x) {
  const V low = hn::Set(d, -126.0f);
  const auto underflow = hn::Lt(x, low);
  x = hn::Max(x, low);
  const V n = hn::Round(x);
  const V f = hn::Sub(x, n);  // [-1/2, 1/2]
  // Taylor coefficients of 2^f, ln(2)^k / k!; the first term left out is below 2^-26 here.
  V y = hn::Set(d, 1.5252734e-05f);
  y = hn::MulAdd(y, f, hn::Set(d, 1.5403530e-04f));
  y = hn::MulAdd(y, f, hn::Set(d, 1.3333558e-03f));
  y = hn::MulAdd(y, f, hn::Set(d, 9.6181291e-03f));
  y = hn::MulAdd(y, f, hn::Set(d, 5.5504109e-02f));
  y = hn::MulAdd(y, f, hn::Set(d, 2.4022651e-01f));
  y = hn::MulAdd(y, f, hn::Set(d, 6.9314718e-01f));
  y = hn::MulAdd(y, f, hn::Set(d, 1.0f));
  const hn::RebindToSigned<D> di;
  const auto exponent = hn::ShiftLeft<23>(hn::Add(hn::ConvertTo(di, n), hn::Set(di, 127)));
  y = hn::Mul(y, hn::BitCast(d, exponent));
  return hn::IfThenElse(underflow, hn::Zero(d), y);
}

// How the micro-kernel reads A(r, k): Sᵀ = K Qᵀ has a pointer a row, Oᵀ = Vᵀ Pᵀ a pointer a k.
enum class Operand { kRowPointers, kColumnPointers };

// c[r, :] = c[r, :] * alpha + sum over k of A(r, k) * b[k, :], for kR rows from `first` and kV
// vectors of columns. With alpha null, c is overwritten. Rows of b and c are kTile floats apart.
template <Operand kA, int kR, int kV>
HWY_INLINE void MicroKernel(const float* const* HWY_RESTRICT a, int64_t first, int64_t count,
                            const float* HWY_RESTRICT b, const float* HWY_RESTRICT alpha,
                            float* HWY_RESTRICT c) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  V acc[kR][kV];
  const float* row[kR];
  FOVEA_UNROLL
  for (int r = 0; r < kR; ++r) {
    row[r] = kA == Operand::kRowPointers ? a[first + r] : nullptr;
    FOVEA_UNROLL
    for (int v = 0; v < kV; ++v) {
      acc[r][v] = alpha == nullptr ? hn::Zero(d)
                                   : hn::Mul(hn::Load(d, c + r * kTile + v * lanes),
                                             hn::Load(d, alpha + v * lanes));
    }
  }
  for (int64_t k = 0; k < count; ++k) {
    V bv[kV];
    FOVEA_UNROLL
    for (int v = 0; v < kV; ++v) bv[v] = hn::Load(d, b + k * kTile + v * lanes);
    const float* column = kA == Operand::kColumnPointers ? a[k] + first : nullptr;
    FOVEA_UNROLL
    for (int r = 0; r < kR; ++r) {
      const V av = hn::Set(d, kA == Operand::kRowPointers ? row[r][k] : column[r]);
      FOVEA_UNROLL
      for (int v = 0; v < kV; ++v) acc[r][v] = hn::MulAdd(av, bv[v], acc[r][v]);
    }
  }
  FOVEA_UNROLL
  for (int r = 0; r < kR; ++r) {
    FOVEA_UNROLL
    for (int v = 0; v < kV; ++v) hn::Store(acc[r][v], d, c + r * kTile + v * lanes);
  }
}

template <Operand kA, int kV>
void ProductColumns(const float* const* a, int64_t rows, int64_t count, const float* b,
                    const float* alpha, float* c) {
  for (int64_t r = 0; r < rows; r += kRows) {
    float* cr = c + r * kTile;
    switch (std::min<int64_t>(kRows, rows - r)) {
      case 6:
        MicroKernel<kA, 6, kV>(a, r, count, b, alpha, cr);
        break;
      case 5:
        MicroKernel<kA, 5, kV>(a, r, count, b, alpha, cr);
        break;
      case 4:
        MicroKernel<kA, 4, kV>(a, r, count, b, alpha, cr);
        break;
      case 3:
        MicroKernel<kA, 3, kV>(a, r, count, b, alpha, cr);
        break;
      case 2:
        MicroKernel<kA, 2, kV>(a, r, count, b, alpha, cr);
        break;
      default:
        MicroKernel<kA, 1, kV>(a, r, count, b, alpha, cr);
        break;
    }
  }
}

// All rows of A and the first `columns` columns, rounded up to whole vectors.
template <Operand kA>
void Product(const float* const* a, int64_t rows, int64_t count, int64_t columns, const float* b,
             const float* alpha, float* c) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(D()));
  for (int64_t column = 0; column < columns; column += kMaxVecs * lanes) {
    const float* bc = b + column;
    const float* alpha_c = alpha == nullptr ? nullptr : alpha + column;
    float* cc = c + column;
    const int64_t vecs = std::min<int64_t>(kMaxVecs, (columns - column + lanes - 1) / lanes);
    if (vecs == 1) ProductColumns<kA, 1>(a, rows, count, bc, alpha_c, cc);
    if (vecs == 2) ProductColumns<kA, 2>(a, rows, count, bc, alpha_c, cc);
#if HWY_TARGET <= HWY_AVX3
    if (vecs == 3) ProductColumns<kA, 3>(a, rows, count, bc, alpha_c, cc);
    if (vecs == 4) ProductColumns<kA, 4>(a, rows, count, bc, alpha_c, cc);
#endif
  }
}

// Scores of one tile, already times log2(e), become probabilities relative to the running maximum;
// alpha is what earlier sums must be multiplied by. `mask` (see TileMask) may be null.
void SoftmaxTile(const Scratch& s, int64_t keys, int64_t queries, const uint64_t* mask) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  const V lowest = hn::Set(d, -std::numeric_limits<float>::max());
  const V minus_infinity = hn::Set(d, -std::numeric_limits<float>::infinity());
  for (size_t column = 0; column < static_cast<size_t>(queries); column += lanes) {
    float* p = s.p + column;
    const V old_max = hn::Load(d, s.max + column);
    V max = old_max;
    for (int64_t j = 0; j < keys; ++j) {
      V score = hn::Load(d, p + j * kTile);
      if (mask != nullptr) {
        alignas(8) uint8_t bits[8];
        const uint64_t row = mask[j] >> column;
        std::copy_n(reinterpret_cast<const uint8_t*>(&row), 8, bits);
        score = hn::IfThenElse(hn::LoadMaskBits(d, bits), score, minus_infinity);
        hn::Store(score, d, p + j * kTile);
      }
      max = hn::Max(max, score);
    }
    // A lane that has seen no key yet keeps -inf; a finite stand-in avoids inf - inf.
    const V base = hn::Max(max, lowest);
    V sum = hn::Zero(d);
    for (int64_t j = 0; j < keys; ++j) {
      const V e = Exp2(d, hn::Sub(hn::Load(d, p + j * kTile), base));
      hn::Store(e, d, p + j * kTile);
      sum = hn::Add(sum, e);
    }
    const V alpha = Exp2(d, hn::Sub(hn::Max(old_max, lowest), base));
    hn::Store(alpha, d, s.alpha + column);
    hn::Store(hn::MulAdd(hn::Load(d, s.sum + column), alpha, sum), d, s.sum + column);
    hn::Store(max, d, s.max + column);
  }
}

// Where the rows of a key tile are, as f32: in place, or converted into `scratch`.
void PointAtRows(const HeadView& head, const int32_t* tokens, int64_t count, const std::byte* data,
                 int64_t stride, const std::byte* extra, int64_t extra_stride, float* scratch,
                 const float** rows) {
  for (int64_t j = 0; j < count; ++j) {
    const bool own = tokens[j] < head.kv;
    const std::byte* base = own ? data : extra;
    const int64_t offset = own ? tokens[j] * stride : (tokens[j] - head.kv) * extra_stride;
    if (!head.bf16) {
      rows[j] = reinterpret_cast<const float*>(base) + offset;
      continue;
    }
    float* row = scratch + j * head.d;
    for (int c = 0; c < head.d; ++c) row[c] = LoadElement(base, offset + c, true);
    rows[j] = row;
  }
}

void StoreTile(const HeadView& head, const Scratch& s, const int32_t* tokens, int64_t rows) {
  const bool mixed = head.mix.a != 1 || head.mix.b != 0 || head.mix.e != 0;
  for (int64_t r = 0; r < rows; ++r) {
    const float inverse = s.sum[r] > 0 ? 1.0f / s.sum[r] : 0.0f;
    const int64_t row = tokens[r] * head.out_stride, v_row = tokens[r] * head.v_stride;
    for (int c = 0; c < head.d; ++c) {
      float value = s.o[int64_t{c} * kTile + r] * inverse;
      if (mixed) {
        value = head.mix.a * value + head.mix.b * LoadElement(head.v, v_row + c, head.bf16) +
                head.mix.e * head.mean_v[c];
      }
      StoreElement(head.out, row + c, head.bf16, value);
    }
    if (head.lse != nullptr) {
      constexpr double kLn2 = 0.693147180559945309417;
      head.lse[tokens[r]] = static_cast<float>(s.max[r] * kLn2 + std::log(double{s.sum[r]}));
    }
  }
}

void QueryTile(const HeadView& head, const TileMap& map, size_t tile, Scratch& s) {
  const TokenTile& q_tile = map.q.tiles[tile];
  const int32_t* q_tokens = map.q.tokens.data() + q_tile.begin;
  const int64_t rows = q_tile.count;
  const int d = head.d;
  if (rows < kTile) std::fill(s.q, s.q + int64_t{d} * kTile, 0.0f);
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t offset = q_tokens[r] * head.q_stride;
    for (int c = 0; c < d; ++c) {
      s.q[int64_t{c} * kTile + r] = LoadElement(head.q, offset + c, head.bf16) * head.scale_log2;
    }
  }
  std::fill(s.o, s.o + int64_t{d} * kTile, 0.0f);
  std::fill(s.sum, s.sum + kTile, 0.0f);
  std::fill(s.max, s.max + kTile, -std::numeric_limits<float>::infinity());

  for (int64_t i = map.rows[tile].begin; i < map.rows[tile].end; ++i) {
    const TileMap::Visit visit = map.visits[static_cast<size_t>(i)];
    const TokenTile& kv = map.kv.tiles[static_cast<size_t>(visit.tile)];
    const int32_t* tokens = map.kv.tokens.data() + kv.begin;
    PointAtRows(head, tokens, kv.count, head.k, head.k_stride, head.extra_k, head.extra_k_stride,
                s.k, s.k_row);
    PointAtRows(head, tokens, kv.count, head.v, head.v_stride, head.extra_v, head.extra_v_stride,
                s.v, s.v_row);
    Product<Operand::kRowPointers>(s.k_row, kv.count, d, rows, s.q, nullptr, s.p);
    SoftmaxTile(s, kv.count, rows,
                visit.mask < 0 ? nullptr : map.masks[static_cast<size_t>(visit.mask)].data());
    Product<Operand::kColumnPointers>(s.v_row, d, kv.count, rows, s.p, s.alpha, s.o);
  }
  StoreTile(head, s, q_tokens, rows);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fovea
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea {
namespace {

HWY_EXPORT(QueryTile);

// Mean of v over all keys for each batch and head whose mix asks for it: (b,heads,d).
void MeanValues(const AttentionIo& io, const Tensor& mean) {
  const int64_t heads = io.v.shape[2], kv = io.v.shape[1], d = io.v.shape[3];
  const bool bf16 = io.v.dtype == DType::kBF16;
  ParallelFor(io.v.shape[0] * heads, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> sum(static_cast<size_t>(d));
    for (int64_t i = begin; i < end; ++i) {
      if (io.mix[static_cast<size_t>(i)].e == 0) continue;
      std::fill(sum.begin(), sum.end(), 0.0);
      const int64_t offset = i / heads * io.v.stride[0] + i % heads * io.v.stride[2];
      for (int64_t j = 0; j < kv; ++j) {
        for (int64_t c = 0; c < d; ++c) {
          const int64_t at = offset + j * io.v.stride[1] + c;
          sum[static_cast<size_t>(c)] += LoadElement(io.v.data, at, bf16);
        }
      }
      for (int64_t c = 0; c < d; ++c) {
        mean.Data<float>()[i * d + c] =
            static_cast<float>(sum[static_cast<size_t>(c)] / static_cast<double>(kv));
      }
    }
  });
}

HeadView View(const AttentionIo& io, int64_t b, int64_t h, float scale, const Tensor& mean) {
  const int64_t element = static_cast<int64_t>(SizeOf(io.q.dtype));
  const auto at = [&](const Tensor& x) {
    return x.Empty()
               ? nullptr
               : static_cast<std::byte*>(x.data) + (b * x.stride[0] + h * x.stride[2]) * element;
  };
  HeadView head{};
  head.q = at(io.q), head.k = at(io.k), head.v = at(io.v), head.out = at(io.out);
  head.extra_k = at(io.extra_k), head.extra_v = at(io.extra_v);
  head.q_stride = io.q.stride[1], head.k_stride = io.k.stride[1], head.v_stride = io.v.stride[1];
  head.out_stride = io.out.stride[1];
  head.extra_k_stride = io.extra_k.stride[1], head.extra_v_stride = io.extra_v.stride[1];
  head.kv = io.k.shape[1];
  head.d = static_cast<int>(io.q.shape[3]);
  head.bf16 = io.q.dtype == DType::kBF16;
  head.scale_log2 = scale * 1.44269504088896341f;
  const int64_t heads = io.q.shape[2];
  if (!io.lse.Empty())
    head.lse = io.lse.Data<float>() + b * io.lse.stride[0] + h * io.lse.stride[1];
  if (!io.mix.empty()) {
    head.mix = io.mix[static_cast<size_t>(b * heads + h)];
    head.mean_v = mean.Data<float>() + (b * heads + h) * head.d;
  }
  return head;
}

// Where each thread's share of the query tiles of all heads begins: equal numbers of visits.
std::vector<int64_t> Shares(const TileMap& map, int64_t copies, int64_t threads) {
  constexpr int64_t kFixed = 1;  // loading and storing a query tile costs about one visit
  const int64_t tiles = static_cast<int64_t>(map.rows.size());
  std::vector<int64_t> cost(map.rows.size() + 1);  // of the tiles before each
  for (size_t tile = 0; tile < map.rows.size(); ++tile) {
    cost[tile + 1] = cost[tile] + map.rows[tile].Length() + kFixed;
  }
  const int64_t one = cost.back(), total = one * copies;
  std::vector<int64_t> begin;
  for (int64_t thread = 0; thread <= threads; ++thread) {
    const int64_t target = total * thread / threads, copy = std::min(copies, target / one);
    int64_t tile = 0;
    while (tile < tiles && copy * one + cost[static_cast<size_t>(tile)] < target) ++tile;
    begin.push_back(copy * tiles + tile);
  }
  begin.back() = tiles * copies;
  return begin;
}

}  // namespace

void TileAttentionCpu(Context& ctx, const TileMap& map, float scale, const AttentionIo& io) {
  const int64_t batch = io.q.shape[0], heads = io.q.shape[2], d = io.q.shape[3];
  const int64_t extra = io.extra_k.Empty() ? 0 : io.extra_k.shape[1];
  ENSURE(static_cast<int64_t>(map.q.tokens.size()) == io.q.shape[1]);
  ENSURE(static_cast<int64_t>(map.kv.tokens.size()) == io.k.shape[1] + extra);
  ENSURE(io.mix.empty() || static_cast<int64_t>(io.mix.size()) == batch * heads);
  ctx.backend.CountFlops(4.0 * static_cast<double>(batch * heads * d) *
                         static_cast<double>(map.visited_pairs));
  ArenaScope scope(ctx.arena);
  const int64_t threads = NumThreads();
  const Tensor scratch = ctx.arena.New({threads, (Scratch::Floats(d) + 15) / 16 * 16}, DType::kF32);
  const Tensor mean = io.mix.empty() ? Tensor{} : ctx.arena.New({batch, heads, d}, DType::kF32);
  if (ctx.backend.IsPlanning()) return;

  if (!io.mix.empty()) MeanValues(io, mean);
  const int64_t tiles = static_cast<int64_t>(map.q.tiles.size());
  const std::vector<int64_t> share = Shares(map, batch * heads, threads);
  const auto query_tile = HWY_DYNAMIC_DISPATCH(QueryTile);
  ParallelFor(threads, 1, [&](int64_t first, int64_t last) {
    for (int64_t thread = first; thread < last; ++thread) {
      Scratch s(scratch.Data<float>() + thread * scratch.stride[0], d);
      const size_t slot = static_cast<size_t>(thread);
      for (int64_t i = share[slot]; i < share[slot + 1]; ++i) {
        const HeadView head = View(io, i / tiles / heads, i / tiles % heads, scale, mean);
        query_tile(head, map, static_cast<size_t>(i % tiles), s);
      }
    }
  });
}

}  // namespace fovea
#endif  // HWY_ONCE
