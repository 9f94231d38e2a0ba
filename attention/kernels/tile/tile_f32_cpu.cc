// The tile kernel in f32, for AVX2 and AVX-512, chosen at run time. bf16 tensors are widened when a
// key tile is packed.
//
// Bytes moved per visited tile: 2 * 64 d elements of k and v for a group of query tiles; per query
// tile: 2 * 64 d of q and out. Arithmetic per visited tile: 4 * 64 * 64 d.
#include "attention/kernels/tile/tile_job.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attention/kernels/tile/tile_f32_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#undef FOVEA_TILE_TARGET
#ifdef HWY_TARGET_STR
#define FOVEA_TILE_TARGET __attribute__((target(HWY_TARGET_STR)))
#else
#define FOVEA_TILE_TARGET
#endif
#include "attention/kernels/tile/tile_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fovea {
namespace HWY_NAMESPACE {
namespace {

struct F32Arithmetic {
  // Multiply-adds that a sum over n elements takes: also the words of a row.
  static HWY_INLINE int64_t Steps(int64_t n) { return n; }
  static HWY_INLINE VF32 MultiplyAdd(VF32 a, VF32 b, VF32 sum) { return hn::MulAdd(a, b, sum); }

  // Elements [at, at + count) of the row that starts at `offset`.
  static HWY_INLINE VF32 LoadWords(const HeadView& head, const std::byte* base, int64_t offset,
                                   int64_t at, int64_t count) {
    const F32 d;
    const auto load = [d, count](const auto* row) {
      return count == kLanes ? LoadF32(d, row) : LoadPart(d, row, static_cast<size_t>(count));
    };
    return head.bf16 ? load(reinterpret_cast<const BFloat16*>(base) + offset + at)
                     : load(reinterpret_cast<const float*>(base) + offset + at);
  }

  template <class T>
  static HWY_INLINE void PackRow(const T* from, int64_t d_head, float* to) {
    const F32 d;
    if (d_head < kLanes) {
      for (int64_t c = 0; c < d_head; ++c) to[c] = hn::GetLane(LoadPart(d, from + c, 1));
      return;
    }
    for (int64_t c = 0; c < d_head; c += kLanes) {
      const int64_t at = std::min(c, d_head - kLanes);
      hn::StoreU(LoadF32(d, from + at), d, to + at);
    }
  }

  static HWY_INLINE bool ReadsKeysInPlace(const HeadView& head) { return !head.bf16; }
  static HWY_INLINE void PackKey(const HeadView& head, const std::byte* row, float* to) {
    if (head.bf16) {
      PackRow(reinterpret_cast<const BFloat16*>(row), head.d, to);
    } else {
      PackRow(reinterpret_cast<const float*>(row), head.d, to);
    }
  }
  static HWY_INLINE void PackValues(const HeadView& head, const int32_t* tokens, int64_t count,
                                    float* to) {
    for (int64_t j = 0; j < count; ++j) {
      PackKey(head,
              KeyRow(head, tokens[j], head.v, head.v_stride, head.extra_v, head.extra_v_stride),
              to + j * head.d);
    }
  }

  // Scores become probabilities relative to the running maximum.
  static HWY_INLINE void Softmax(const HeadView& head, const TileScratch& s, int64_t keys,
                                 int64_t queries, float* running_max, float* running_sum) {
    const F32 d;
    const VF32 scale = hn::Set(d, head.scale_log2);
    for (int64_t column = 0; column < queries; column += kLanes) {
      const VF32 base = RaiseMaximum(d, s, running_max, column, scale);
      VF32 sum = hn::Zero(d);
      float* p = s.p + column;
      for (int64_t j = 0; j < keys; ++j, p += kTileTokens) {
        const VF32 e = Exp2<5>(d, hn::MulSub(hn::Load(d, p), scale, base));
        hn::Store(e, d, p);
        sum = hn::Add(sum, e);
      }
      const VF32 alpha = hn::Load(d, s.alpha + column);
      hn::Store(hn::MulAdd(hn::Load(d, running_sum + column), alpha, sum), d, running_sum + column);
    }
  }
};

void RunF32Group(const HeadView& head, const TileMap& map, TileGroup group,
                 const TileUpcoming& upcoming, const TileScratch& scratch) {
  RunGroup<F32Arithmetic>(head, map, group, upcoming, scratch);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fovea
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea {
namespace {
HWY_EXPORT(RunF32Group);
}  // namespace

TileKernel F32TileKernel() {
  return HWY_DYNAMIC_DISPATCH(RunF32Group);
}

}  // namespace fovea
#endif  // HWY_ONCE
