// Products of matrices in panels: packing, the f32 inner loop, and what follows the sum.
#include "tensor/cpu/panel_product.h"

#include <algorithm>
#include <cstring>

#include "tensor/cpu/dispatch.h"
#include "tensor/cpu/kernels.h"
#include "tensor/cpu/rows.h"
#include "tensor/machine/threads.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/product/panel_product_cpu.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "tensor/cpu/activation-inl.h"
#include "tensor/cpu/transpose-inl.h"

#ifndef FOVEA_TENSOR_OPS_PANEL_PRODUCT_CPU_ONCE_
#define FOVEA_TENSOR_OPS_PANEL_PRODUCT_CPU_ONCE_
// Accumulators stay in registers only if these loops are unrolled whole.
#define FOVEA_UNROLL _Pragma("GCC unroll 16")
namespace fovea {
namespace {

constexpr int64_t kStrip = PanelPlan::kStrip, kPitch = PanelPlan::kPitch;
constexpr int64_t kSomeSteps = 16;  // between two looks at what is needed next

struct PanelRun {
  PanelPlan plan;
  Tensor x, out, residual;  // residual may be empty
  WeightRows weights;
  const float* bias;  // or null
  Act act;
};

struct Range {
  int64_t begin, end;
  // Part `i` of `parts`, as equal as whole items allow.
  static Range Part(int64_t count, int64_t i, int64_t parts) {
    return {count * i / parts, count * (i + 1) / parts};
  }
};

}  // namespace
}  // namespace fovea
#endif

HWY_BEFORE_NAMESPACE();
namespace fovea {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET <= HWY_AVX3
constexpr int kMaxRows = 12;  // 12 x 2 accumulators of 32 registers
#else
constexpr int kMaxRows = 6;  // 6 x 2 of 16
#endif

// c (kR, 2 vectors) (+)= a (kR, steps) b (steps, 2 vectors).
template <int kR>
void MultiplyTile(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, int64_t steps,
                  bool fresh, Upcoming& upcoming, float* HWY_RESTRICT c) {
  const F32 d;
  VF32 left[kR], right[kR];
  FOVEA_UNROLL
  for (int r = 0; r < kR; ++r) left[r] = right[r] = hn::Zero(d);
  for (int64_t k = 0; k < steps;) {
    upcoming.Some();
    for (const int64_t end = std::min(k + kSomeSteps, steps); k < end; ++k) {
      const VF32 b0 = hn::Load(d, b + k * kStrip), b1 = hn::Load(d, b + k * kStrip + kLanes);
      FOVEA_UNROLL
      for (int r = 0; r < kR; ++r) {
        const VF32 value = hn::Set(d, a[r * kPitch + k]);
        left[r] = hn::MulAdd(value, b0, left[r]);
        right[r] = hn::MulAdd(value, b1, right[r]);
      }
    }
  }
  FOVEA_UNROLL
  for (int r = 0; r < kR; ++r) {
    float* to = c + r * kStrip;
    if (!fresh) {
      left[r] = hn::Add(hn::Load(d, to), left[r]);
      right[r] = hn::Add(hn::Load(d, to + kLanes), right[r]);
    }
    hn::Store(left[r], d, to);
    hn::Store(right[r], d, to + kLanes);
  }
}

using TileFunction = void (*)(const float*, const float*, int64_t, bool, Upcoming&, float*);

void MultiplyF32(const float* a, int64_t rows, const float* b, int64_t steps, bool fresh,
                 Upcoming& upcoming, float* c) {
  static constexpr TileFunction kTiles[] = {
    MultiplyTile<1>,
    MultiplyTile<2>,
    MultiplyTile<3>,
    MultiplyTile<4>,
    MultiplyTile<5>,
    MultiplyTile<6>,
#if HWY_TARGET <= HWY_AVX3
    MultiplyTile<7>,
    MultiplyTile<8>,
    MultiplyTile<9>,
    MultiplyTile<10>,
    MultiplyTile<11>,
    MultiplyTile<12>,
#endif
  };
  // Tiles as equal as possible: low ones leave multiply-add units waiting.
  const int64_t tiles = (rows + kMaxRows - 1) / kMaxRows;
  for (int64_t v = 0; v < kStrip; v += 2 * kLanes) {
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const Range range = Range::Part(rows, tile, tiles);
      kTiles[range.end - range.begin - 1](a + range.begin * kPitch, b + v, steps, fresh, upcoming,
                                          c + range.begin * kStrip + v);
    }
  }
}

// Elements [0, count) of up to kLanes rows, `pitch` bytes apart, widened, to `to`: (count rounded
// up to kLanes, kStrip). Rows from `rows` on are zero. Pairs of bf16 pass as floats: nothing is
// computed.
template <class T>
void TransposeRows(const std::byte* from, int64_t pitch, int64_t rows, int64_t count, float* to) {
  const F32 d;
  for (int64_t k = 0; k < count; k += kLanes) {
    const int64_t left = count - k;
    VF32 x[kLanes];
    if (rows >= kLanes && left >= kLanes) {
      FOVEA_UNROLL
      for (int r = 0; r < kLanes; ++r) {
        x[r] = LoadF32(d, reinterpret_cast<const T*>(from + r * pitch) + k);
      }
    } else {
      for (int r = 0; r < kLanes; ++r) {
        const T* row = reinterpret_cast<const T*>(from + r * pitch) + k;
        x[r] = r >= rows        ? hn::Zero(d)
               : left >= kLanes ? LoadF32(d, row)
                                : LoadPart(d, row, static_cast<size_t>(left));
      }
    }
    TransposeBlock(x);
    FOVEA_UNROLL
    for (int r = 0; r < kLanes; ++r) hn::Store(x[r], d, to + (k + r) * kStrip);
  }
}

// `count` elements of a row, from element `first` on, as pairs of bf16. `wide` is scratch.
void ReadAsBf16(const WeightRows& weights, int64_t row, int64_t first, int64_t count,
                BFloat16* to) {
  ConvertDense(static_cast<const std::byte*>(weights.data) +
                   (row * weights.in + first) * static_cast<int64_t>(SizeOf(weights.dtype)),
               weights.dtype, to, DType::kBF16, count);
  if (count % 2 != 0) to[count] = BFloat16{0};
}

// Steps [begin, begin + steps) of the outputs from `first` on, to `to`: (steps rounded up to
// kLanes, kStrip) words. `rows` holds kLanes rows of kPitch words.
void PackStrip(const PanelRun& run, int64_t first, int64_t begin, int64_t steps, float* rows,
               float* to) {
  const WeightRows& w = run.weights;
  const bool pairs = run.plan.arithmetic == Arithmetic::kBF16;
  const int64_t size = static_cast<int64_t>(SizeOf(w.dtype));
  const int64_t element = pairs ? 2 * begin : begin;
  const int64_t pitch = w.in * size;
  for (int64_t lane = 0; lane < kStrip; lane += kLanes) {
    const int64_t o = first + lane;
    const int64_t height = std::clamp<int64_t>(w.out - o, 0, kLanes);
    const std::byte* from = static_cast<const std::byte*>(w.data) + o * pitch + element * size;
    if (pairs && w.dtype == DType::kBF16 && w.in % 2 == 0) {
      TransposeRows<float>(from, pitch, height, steps, to + lane);
    } else if (pairs) {
      const int64_t count = std::min(2 * steps, w.in - element);
      for (int64_t r = 0; r < height; ++r) {
        ReadAsBf16(w, o + r, element, count, reinterpret_cast<BFloat16*>(rows + r * kPitch));
      }
      TransposeRows<float>(reinterpret_cast<const std::byte*>(rows), kPitch * 4, height, steps,
                           to + lane);
    } else if (w.dtype == DType::kF32) {
      TransposeRows<float>(from, pitch, height, steps, to + lane);
    } else if (w.dtype == DType::kF16) {
      TransposeRows<Float16>(from, pitch, height, steps, to + lane);
    } else {
      TransposeRows<BFloat16>(from, pitch, height, steps, to + lane);
    }
  }
}

// Steps [begin, begin + steps) of rows [first, first + count) of x.
void CopyRows(const PanelRun& run, int64_t first, int64_t count, int64_t begin, int64_t steps,
              float* to) {
  const bool pairs = run.plan.arithmetic == Arithmetic::kBF16;
  const int64_t size = static_cast<int64_t>(SizeOf(run.x.dtype));
  const int64_t element = pairs ? 2 * begin : begin;
  const int64_t elements = pairs ? std::min(2 * steps, run.plan.in - element) : steps;
  for (int64_t r = 0; r < count; ++r, to += kPitch) {
    const std::byte* from =
        static_cast<const std::byte*>(run.x.data) + (RowOffset(run.x, first + r) + element) * size;
    if (!pairs && run.x.dtype == DType::kBF16) {
      ConvertDense(from, DType::kBF16, to, DType::kF32, elements);
      continue;
    }
    std::memcpy(to, from, static_cast<size_t>(elements * size));
    // Loops in bf16 arithmetic may go on to a multiple of 16 steps; the panel has zeros there.
    if (pairs && elements % 32 != 0) {
      std::memset(reinterpret_cast<std::byte*>(to) + elements * 2, 0,
                  static_cast<size_t>(32 - elements % 32) * 2);
    }
  }
}

// out = act(sums + bias) + residual for `count` rows from `first` on and one strip from output `o`.
template <Act kAct, class T>
void WriteRows(const PanelRun& run, const float* sums, int64_t first, int64_t count, int64_t o) {
  const F32 d;
  const int64_t width = std::min(kStrip, run.plan.out - o);
  for (int64_t r = 0; r < count; ++r, sums += kStrip) {
    T* to = static_cast<T*>(run.out.data) + RowOffset(run.out, first + r) + o;
    const T* more = run.residual.Empty() ? nullptr
                                         : static_cast<const T*>(run.residual.data) +
                                               RowOffset(run.residual, first + r) + o;
    for (int64_t v = 0; v < width; v += kLanes) {
      const int64_t left = width - v;
      const bool whole = left >= kLanes;
      const size_t rest = static_cast<size_t>(left);
      const auto load = [&](const auto* p) { return whole ? LoadF32(d, p) : LoadPart(d, p, rest); };
      VF32 y = hn::Load(d, sums + v);
      if (run.bias) y = hn::Add(y, load(run.bias + o + v));
      y = ApplyAct<kAct>(d, y);
      if (more) y = hn::Add(y, load(more + v));
      if (whole) {
        StoreF32(d, y, to + v);
      } else {
        StorePart(d, y, to + v, rest);
      }
    }
  }
}

using WriteFunction = void (*)(const PanelRun&, const float*, int64_t, int64_t, int64_t);

// The raw weights of one strip, to be read after some `calls` calls.
void Announce(const PanelRun& run, int64_t first, int64_t begin, int64_t steps, int64_t calls,
              Upcoming& upcoming) {
  const WeightRows& w = run.weights;
  const int64_t size = static_cast<int64_t>(SizeOf(w.dtype));
  const int64_t per_step = run.plan.arithmetic == Arithmetic::kBF16 ? 2 * size : size;
  upcoming.Set(static_cast<const std::byte*>(w.data) + first * w.in * size + begin * per_step,
               w.in * size, std::min(kStrip, w.out - first), steps * per_step, calls);
}

// A rectangle of the output, in rows and strips.
void RunPart(const PanelRun& run, PanelMultiply multiply, WriteFunction write, Range rows,
             Range strips, float* scratch) {
  const PanelPlan& plan = run.plan;
  const int64_t block_rows = plan.BlockRows();
  float* panel = scratch;
  float* a = panel + plan.depth * kStrip;
  float* sums = a + block_rows * kPitch;
  float* converted = sums + plan.SumWords();
  Upcoming upcoming;
  for (int64_t j = strips.begin; j < strips.end; j += plan.strips_at_once) {
    const int64_t j_end = std::min(j + plan.strips_at_once, strips.end);
    for (int64_t i = rows.begin; i < rows.end; i += block_rows) {
      const int64_t i_end = std::min(i + block_rows, rows.end);
      for (int64_t block = 0; block < plan.blocks; ++block) {
        const int64_t begin = block * plan.depth;
        const int64_t steps = std::min(plan.depth, plan.steps - begin);
        const int64_t calls = (i_end - i + 11) / 12 * ((steps + kSomeSteps - 1) / kSomeSteps);
        CopyRows(run, i, i_end - i, begin, steps, a);
        for (int64_t s = j; s < j_end; ++s) {
          PackStrip(run, s * kStrip, begin, steps, converted, panel);
          if (s + 1 < j_end) Announce(run, (s + 1) * kStrip, begin, steps, calls, upcoming);
          for (int64_t first = i; first < i_end; first += PanelPlan::kRows) {
            const int64_t height = std::min(PanelPlan::kRows, i_end - first);
            float* c = plan.blocks == 1 ? sums : sums + ((s - j) * block_rows + first - i) * kStrip;
            multiply(a + (first - i) * kPitch, height, panel, steps, block == 0, upcoming, c);
            if (block + 1 == plan.blocks) write(run, c, first, height, s * kStrip);
          }
        }
      }
    }
  }
}

}  // namespace

void PanelProductTarget(const PanelRun& run, float* scratch) {
  const PanelPlan& plan = run.plan;
  const PanelMultiply multiply =
      plan.arithmetic == Arithmetic::kBF16 ? Bf16PanelMultiply() : MultiplyF32;
  WriteFunction write = nullptr;
  DispatchActivationType(run.out.dtype, [&](auto type) {
    DispatchAct(run.act,
                [&](auto kind) { write = WriteRows<decltype(kind)::value, decltype(type)>; });
  });
  const int64_t units = (plan.rows + plan.row_unit - 1) / plan.row_unit;
  ParallelFor(plan.row_parts * plan.strip_parts, 1, [&](int64_t part, int64_t last) {
    for (; part < last; ++part) {
      const Range unit = Range::Part(units, part / plan.strip_parts, plan.row_parts);
      const Range rows{unit.begin * plan.row_unit, std::min(unit.end * plan.row_unit, plan.rows)};
      const Range strips = Range::Part(plan.strips, part % plan.strip_parts, plan.strip_parts);
      RunPart(run, multiply, write, rows, strips, scratch + part * plan.ThreadWords());
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea {

HWY_EXPORT(PanelProductTarget);

void PanelProductCpu(const PanelPlan& plan, const Tensor& x, const WeightRows& weights,
                     const Tensor& bias, const Epilogue& epilogue, void* scratch,
                     const Tensor& out) {
  const PanelRun run{plan,        x,
                     out,         epilogue.residual ? *epilogue.residual : Tensor{},
                     weights,     bias.Empty() ? nullptr : bias.Data<float>(),
                     epilogue.act};
  HWY_DYNAMIC_DISPATCH(PanelProductTarget)(run, static_cast<float*>(scratch));
}

}  // namespace fovea
#endif
