// Convolutions to a few channels: a few neighbouring pixels by up to four outputs at a time, their
// sums over lanes of input channels in registers.
#include "tensor/cpu/narrow_conv.h"

#include <algorithm>

#include "tensor/cpu/dispatch.h"
#include "tensor/machine/threads.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/conv/narrow_conv_cpu.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "tensor/cpu/load_store-inl.h"

#ifndef FOVEA_TENSOR_OPS_NARROW_CONV_CPU_ONCE_
#define FOVEA_TENSOR_OPS_NARROW_CONV_CPU_ONCE_
// Accumulators stay in registers only if these loops are unrolled whole.
#define FOVEA_UNROLL_NARROW _Pragma("GCC unroll 8")
namespace fovea {
namespace {

constexpr int64_t kNarrowMost = 8;       // outputs; more fill the vectors of general kernels
constexpr int64_t kNarrowMultiple = 16;  // inputs: whole vectors on every instruction set

}  // namespace
}  // namespace fovea
#endif

HWY_BEFORE_NAMESPACE();
namespace fovea {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET <= HWY_AVX3
constexpr int kPixels = 4;  // by 4 outputs: 16 accumulators of 32 registers
#else
constexpr int kPixels = 2;
#endif

// sums[o][p]: output o of kPixels pixels. pixels[r][i]: inputs, the three rows' columns from one
// left of the first pixel on.
template <int kOut, class T>
void NarrowPixels(const T* const (*pixels)[kPixels + 2], const float* filters, int64_t in,
                  float (*sums)[kPixels]) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  VF32 sum[kOut][kPixels];
  FOVEA_UNROLL_NARROW
  for (int o = 0; o < kOut; ++o) {
    FOVEA_UNROLL_NARROW
    for (int p = 0; p < kPixels; ++p) sum[o][p] = hn::Zero(d);
  }
  for (int r = 0; r < 3; ++r) {
    for (int64_t c = 0; c < in; c += lanes) {
      VF32 v[kPixels + 2];
      FOVEA_UNROLL_NARROW
      for (int i = 0; i < kPixels + 2; ++i) v[i] = LoadF32(d, pixels[r][i] + c);
      FOVEA_UNROLL_NARROW
      for (int k = 0; k < 3; ++k) {
        FOVEA_UNROLL_NARROW
        for (int o = 0; o < kOut; ++o) {
          const VF32 w = hn::LoadU(d, filters + ((o * 3 + r) * 3 + k) * in + c);
          FOVEA_UNROLL_NARROW
          for (int p = 0; p < kPixels; ++p) sum[o][p] = hn::MulAdd(v[p + k], w, sum[o][p]);
        }
      }
    }
  }
  FOVEA_UNROLL_NARROW
  for (int o = 0; o < kOut; ++o) {
    FOVEA_UNROLL_NARROW
    for (int p = 0; p < kPixels; ++p) sums[o][p] = hn::GetLane(hn::SumOfLanes(d, sum[o][p]));
  }
}

template <class T>
void NarrowRow(const Tensor& x, const float* filters, const float* bias, const Conv2dParams& params,
               const T* zeros, int64_t n, int64_t y, const Tensor& out) {
  const int64_t in = x.shape[3], outs = out.shape[3], width = out.shape[2];
  T* to = static_cast<T*>(out.data) + n * out.stride[0] + y * out.stride[1];
  for (int64_t x0 = 0; x0 < width; x0 += kPixels) {
    const T* pixels[3][kPixels + 2];
    for (int64_t r = 0; r < 3; ++r) {
      for (int64_t i = 0; i < kPixels + 2; ++i) {
        const int64_t from_y = y - params.pad_top + r, from_x = x0 - params.pad_left + i;
        const bool inside =
            from_y >= 0 && from_y < x.shape[1] && from_x >= 0 && from_x < x.shape[2];
        pixels[r][i] = inside ? static_cast<const T*>(x.data) + n * x.stride[0] +
                                    from_y * x.stride[1] + from_x * x.stride[2]
                              : zeros;
      }
    }
    float sums[kNarrowMost][kPixels];
    for (int64_t o = 0; o < outs; o += 4) {
      const float* w = filters + o * 9 * in;
      switch (std::min<int64_t>(outs - o, 4)) {
        case 1:
          NarrowPixels<1>(pixels, w, in, sums + o);
          break;
        case 2:
          NarrowPixels<2>(pixels, w, in, sums + o);
          break;
        case 3:
          NarrowPixels<3>(pixels, w, in, sums + o);
          break;
        default:
          NarrowPixels<4>(pixels, w, in, sums + o);
          break;
      }
    }
    for (int64_t p = 0; p < std::min<int64_t>(kPixels, width - x0); ++p) {
      for (int64_t o = 0; o < outs; ++o) {
        const float value = sums[o][p] + (bias != nullptr ? bias[o] : 0.0f);
        T& element = to[(x0 + p) * out.stride[2] + o];
        if constexpr (std::is_same_v<T, float>) {
          element = value;
        } else {
          element = ToBFloat16(value);
        }
      }
    }
  }
}

void NarrowConv(const Tensor& x, const float* filters, const float* bias,
                const Conv2dParams& params, const void* zeros, const Tensor& out) {
  DispatchActivationType(x.dtype, [&](auto type) {
    using T = decltype(type);
    ParallelFor(out.shape[0] * out.shape[1], 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        NarrowRow<T>(x, filters, bias, params, static_cast<const T*>(zeros), i / out.shape[1],
                     i % out.shape[1], out);
      }
    });
  });
}

}  // namespace

void NarrowConvTarget(const Tensor& x, const float* filters, const float* bias,
                      const Conv2dParams& params, const void* zeros, const Tensor& out) {
  NarrowConv(x, filters, bias, params, zeros, out);
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea {

HWY_EXPORT(NarrowConvTarget);

bool NarrowConvServes(const Weight& weight, const Conv2dParams& params, const Epilogue& epilogue) {
  const Shape& w = weight.w.shape;
  return w[0] <= kNarrowMost && w[1] % kNarrowMultiple == 0 && w[2] == 3 && w[3] == 3 &&
         params.stride == 1 && params.dilation == 1 && epilogue.act == Act::kNone &&
         epilogue.residual == nullptr;
}

void NarrowConvCpu(const Tensor& x, const float* filters, const Tensor& bias,
                   const Conv2dParams& params, const void* zeros, const Tensor& out) {
  HWY_DYNAMIC_DISPATCH(NarrowConvTarget)
  (x, filters, bias.Empty() ? nullptr : bias.Data<float>(), params, zeros, out);
}

}  // namespace fovea
#endif
