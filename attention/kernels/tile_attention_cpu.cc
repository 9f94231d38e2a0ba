// The tile kernel for AVX2 and AVX-512, chosen at run time.
//
// Per query tile it keeps in cache: Qᵀ (d x 64), Pᵀ (64 keys x 64), Oᵀ (d x 64). Both products are
// one micro-kernel, C += A B with broadcasts of A: Sᵀ = K Qᵀ and Oᵀ = Vᵀ Pᵀ.
// Bytes moved per query tile: 2 kv d elements of k and v (from L2), 2 * 64 d of q and out.
#include "attention/kernels/tile_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

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

constexpr int kTileQ = 64;   // queries of a tile: lanes
constexpr int kTileKv = 64;  // keys of a tile: rows

// One head's matrices, in elements; 16-bit inputs are bf16.
struct HeadView {
  const void *q, *k, *v;
  void* out;
  float* lse;  // stride 1, or null
  int64_t q_stride, k_stride, v_stride, out_stride;
  int64_t t, kv;
  int d;
  bool bf16, causal;
  float scale_log2;  // scale * log2(e)
};

// One thread's scratch, in floats.
struct Scratch {
  float *q, *p, *o, *k, *v, *max, *sum, *alpha;
  static int64_t Floats(int d) {
    return (int64_t{d} * 2 + kTileKv) * kTileQ + int64_t{2} * kTileKv * d + 3 * kTileQ;
  }
  Scratch(float* base, int d) {
    q = base;
    o = q + int64_t{d} * kTileQ;
    p = o + int64_t{d} * kTileQ;
    max = p + kTileKv * kTileQ;
    sum = max + kTileQ;
    alpha = sum + kTileQ;
    k = alpha + kTileQ;
    v = k + int64_t{kTileKv} * d;
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
constexpr int kVecs = 4;  // 6 x 4 accumulators of 32 registers
#else
constexpr int kVecs = 2;  // 6 x 2 of 16
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

// c[r, :] = c[r, :] * alpha + sum over k of a[r * a_row + k * a_k] * b[k, :], rows r < kR, kVecs
// vectors of columns. With alpha null, c is overwritten. Rows of b and c are kTileQ floats apart.
template <int kR>
HWY_INLINE void MicroKernel(const float* HWY_RESTRICT a, int64_t a_row, int64_t a_k, int64_t count,
                            const float* HWY_RESTRICT b, const float* HWY_RESTRICT alpha,
                            float* HWY_RESTRICT c) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  V acc[kR][kVecs];
  FOVEA_UNROLL
  for (int r = 0; r < kR; ++r) {
    FOVEA_UNROLL
    for (int v = 0; v < kVecs; ++v) {
      acc[r][v] = alpha == nullptr ? hn::Zero(d)
                                   : hn::Mul(hn::Load(d, c + r * kTileQ + v * lanes),
                                             hn::Load(d, alpha + v * lanes));
    }
  }
  for (int64_t k = 0; k < count; ++k) {
    V bv[kVecs];
    FOVEA_UNROLL
    for (int v = 0; v < kVecs; ++v) bv[v] = hn::Load(d, b + k * kTileQ + v * lanes);
    FOVEA_UNROLL
    for (int r = 0; r < kR; ++r) {
      const V av = hn::Set(d, a[r * a_row + k * a_k]);
      FOVEA_UNROLL
      for (int v = 0; v < kVecs; ++v) acc[r][v] = hn::MulAdd(av, bv[v], acc[r][v]);
    }
  }
  FOVEA_UNROLL
  for (int r = 0; r < kR; ++r) {
    FOVEA_UNROLL
    for (int v = 0; v < kVecs; ++v) hn::Store(acc[r][v], d, c + r * kTileQ + v * lanes);
  }
}

// The micro-kernel over all rows of a and all kTileQ columns.
void Product(const float* a, int64_t a_row, int64_t a_k, int64_t rows, int64_t count,
             const float* b, const float* alpha, float* c) {
  const int64_t columns = kVecs * static_cast<int64_t>(hn::Lanes(D()));
  for (int64_t r = 0; r < rows; r += kRows) {
    const float* ar = a + r * a_row;
    for (int64_t column = 0; column < kTileQ; column += columns) {
      const float* bc = b + column;
      const float* alpha_c = alpha == nullptr ? nullptr : alpha + column;
      float* cc = c + r * kTileQ + column;
      switch (std::min<int64_t>(kRows, rows - r)) {
        case 6:
          MicroKernel<6>(ar, a_row, a_k, count, bc, alpha_c, cc);
          break;
        case 5:
          MicroKernel<5>(ar, a_row, a_k, count, bc, alpha_c, cc);
          break;
        case 4:
          MicroKernel<4>(ar, a_row, a_k, count, bc, alpha_c, cc);
          break;
        case 3:
          MicroKernel<3>(ar, a_row, a_k, count, bc, alpha_c, cc);
          break;
        case 2:
          MicroKernel<2>(ar, a_row, a_k, count, bc, alpha_c, cc);
          break;
        default:
          MicroKernel<1>(ar, a_row, a_k, count, bc, alpha_c, cc);
          break;
      }
    }
  }
}

// Scores of one tile, already times log2(e), become probabilities relative to the running maximum;
// alpha is what earlier sums must be multiplied by.
void SoftmaxTile(const Scratch& s, int64_t keys) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  for (size_t column = 0; column < kTileQ; column += lanes) {
    float* p = s.p + column;
    const V old_max = hn::Load(d, s.max + column);
    V max = old_max;
    for (int64_t j = 0; j < keys; ++j) max = hn::Max(max, hn::Load(d, p + j * kTileQ));
    // A lane that has seen no key yet keeps -inf; a finite stand-in avoids inf - inf.
    const V base = hn::Max(max, hn::Set(d, -std::numeric_limits<float>::max()));
    V sum = hn::Zero(d);
    for (int64_t j = 0; j < keys; ++j) {
      const V e = Exp2(d, hn::Sub(hn::Load(d, p + j * kTileQ), base));
      hn::Store(e, d, p + j * kTileQ);
      sum = hn::Add(sum, e);
    }
    const V alpha =
        Exp2(d, hn::Sub(hn::Max(old_max, hn::Set(d, -std::numeric_limits<float>::max())), base));
    hn::Store(alpha, d, s.alpha + column);
    hn::Store(hn::MulAdd(hn::Load(d, s.sum + column), alpha, sum), d, s.sum + column);
    hn::Store(max, d, s.max + column);
  }
}

float Load(const void* data, int64_t index, bool bf16) {
  return bf16 ? ToFloat(static_cast<const BFloat16*>(data)[index])
              : static_cast<const float*>(data)[index];
}

// Rows of a bf16 matrix as f32; f32 rows are used in place.
const float* TileRows(const void* data, int64_t stride, int64_t begin, int64_t rows, int d,
                      bool bf16, float* scratch, int64_t* row_stride) {
  if (!bf16) {
    *row_stride = stride;
    return static_cast<const float*>(data) + begin * stride;
  }
  for (int64_t r = 0; r < rows; ++r) {
    const BFloat16* row = static_cast<const BFloat16*>(data) + (begin + r) * stride;
    for (int c = 0; c < d; ++c) scratch[r * d + c] = ToFloat(row[c]);
  }
  *row_stride = d;
  return scratch;
}

void StoreTile(const HeadView& head, const Scratch& s, int64_t begin, int64_t rows) {
  for (int64_t r = 0; r < rows; ++r) {
    const float inverse = 1.0f / s.sum[r];
    const int64_t row = (begin + r) * head.out_stride;
    for (int c = 0; c < head.d; ++c) {
      const float value = s.o[int64_t{c} * kTileQ + r] * inverse;
      if (head.bf16) {
        static_cast<BFloat16*>(head.out)[row + c] = ToBFloat16(value);
      } else {
        static_cast<float*>(head.out)[row + c] = value;
      }
    }
    if (head.lse != nullptr) {
      constexpr double kLn2 = 0.693147180559945309417;
      head.lse[begin + r] = static_cast<float>(s.max[r] * kLn2 + std::log(double{s.sum[r]}));
    }
  }
}

void QueryTile(const HeadView& head, const Scratch& s, int64_t begin) {
  const int64_t rows = std::min<int64_t>(kTileQ, head.t - begin);
  const int d = head.d;
  std::fill(s.q, s.q + int64_t{d} * kTileQ, 0.0f);
  for (int64_t r = 0; r < rows; ++r) {
    for (int c = 0; c < d; ++c) {
      s.q[int64_t{c} * kTileQ + r] =
          Load(head.q, (begin + r) * head.q_stride + c, head.bf16) * head.scale_log2;
    }
  }
  std::fill(s.o, s.o + int64_t{d} * kTileQ, 0.0f);
  std::fill(s.sum, s.sum + kTileQ, 0.0f);
  std::fill(s.max, s.max + kTileQ, -std::numeric_limits<float>::infinity());

  const int64_t kv_end = head.causal ? std::min(head.kv, begin + rows) : head.kv;
  for (int64_t kv = 0; kv < kv_end; kv += kTileKv) {
    const int64_t keys = std::min<int64_t>(kTileKv, kv_end - kv);
    int64_t k_stride = 0, v_stride = 0;
    const float* k = TileRows(head.k, head.k_stride, kv, keys, d, head.bf16, s.k, &k_stride);
    const float* v = TileRows(head.v, head.v_stride, kv, keys, d, head.bf16, s.v, &v_stride);
    Product(k, k_stride, 1, keys, d, s.q, nullptr, s.p);
    if (head.causal) {
      for (int64_t j = 0; j < keys; ++j) {
        const int64_t first_seeing = std::clamp<int64_t>(kv + j - begin, 0, kTileQ);
        std::fill(s.p + j * kTileQ, s.p + j * kTileQ + first_seeing,
                  -std::numeric_limits<float>::infinity());
      }
    }
    SoftmaxTile(s, keys);
    Product(v, 1, v_stride, d, keys, s.p, s.alpha, s.o);
  }
  StoreTile(head, s, begin, rows);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fovea
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea {
HWY_EXPORT(QueryTile);

void TileAttentionCpu(Context& ctx, const AttentionIo& io, float scale, bool causal) {
  const int64_t batch = io.q.shape[0], t = io.q.shape[1], heads = io.q.shape[2], d = io.q.shape[3];
  const int64_t kv = io.k.shape[1];
  ctx.backend.CountFlops(4.0 * static_cast<double>(batch * heads) * static_cast<double>(t) *
                         static_cast<double>(kv) * static_cast<double>(d));
  ArenaScope scope(ctx.arena);
  const int64_t threads = NumThreads();
  const int64_t floats = Scratch::Floats(static_cast<int>(d));
  Tensor scratch = ctx.arena.New({threads, (floats + 15) / 16 * 16}, DType::kF32);
  if (ctx.backend.IsPlanning()) return;

  const bool bf16 = io.q.dtype == DType::kBF16;
  const int64_t element = static_cast<int64_t>(SizeOf(io.q.dtype));
  const auto at = [element](const Tensor& x, int64_t b, int64_t h) {
    return static_cast<std::byte*>(x.data) + (b * x.stride[0] + h * x.stride[2]) * element;
  };
  const int64_t tiles = (t + kTileQ - 1) / kTileQ, items = batch * heads * tiles;
  const auto query_tile = HWY_DYNAMIC_DISPATCH(QueryTile);
  ParallelFor(threads, 1, [&](int64_t first, int64_t last) {
    for (int64_t part = first; part < last; ++part) {
      const Scratch s(scratch.Data<float>() + part * scratch.stride[0], static_cast<int>(d));
      for (int64_t i = items * part / threads; i < items * (part + 1) / threads; ++i) {
        const int64_t b = i / tiles / heads, h = i / tiles % heads;
        HeadView head{at(io.q, b, h),
                      at(io.k, b, h),
                      at(io.v, b, h),
                      at(io.out, b, h),
                      nullptr,
                      io.q.stride[1],
                      io.k.stride[1],
                      io.v.stride[1],
                      io.out.stride[1],
                      t,
                      kv,
                      static_cast<int>(d),
                      bf16,
                      causal,
                      scale * 1.44269504088896341f};
        if (!io.lse.Empty()) head.lse = io.lse.Data<float>() + (b * heads + h) * t;
        query_tile(head, s, i % tiles * kTileQ);
      }
    }
  });
}

}  // namespace fovea
#endif  // HWY_ONCE
