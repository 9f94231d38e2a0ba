// Copies between any strides, with conversion among f32, bf16 and f16.
#include <cstring>

#include "tensor/cpu/kernels.h"
#include "tensor/cpu/rows.h"
#include "tensor/machine/threads.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/copy_cpu.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "tensor/cpu/load_store-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fovea {
namespace HWY_NAMESPACE {

template <class From, class To>
void ConvertRange(const From* src, To* dst, int64_t count) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) StoreF32(d, LoadF32(d, src + i), dst + i);
  if (i < count) {
    const size_t rest = static_cast<size_t>(count - i);
    StorePart(d, LoadPart(d, src + i, rest), dst + i, rest);
  }
}

template <class From>
void ConvertFrom(const From* src, DType to, void* dst, int64_t count) {
  switch (to) {
    case DType::kF32:
      return ConvertRange(src, static_cast<float*>(dst), count);
    case DType::kBF16:
      return ConvertRange(src, static_cast<BFloat16*>(dst), count);
    case DType::kF16:
      return ConvertRange(src, static_cast<Float16*>(dst), count);
    default:
      ENSURE(false, "conversion to " + std::string(Name(to)));
  }
}

void Convert(const void* src, DType from, void* dst, DType to, int64_t count) {
  switch (from) {
    case DType::kF32:
      return ConvertFrom(static_cast<const float*>(src), to, dst, count);
    case DType::kBF16:
      return ConvertFrom(static_cast<const BFloat16*>(src), to, dst, count);
    case DType::kF16:
      return ConvertFrom(static_cast<const Float16*>(src), to, dst, count);
    default:
      ENSURE(false, "conversion from " + std::string(Name(from)));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea {
namespace {

HWY_EXPORT(Convert);

void CopyDense(const std::byte* src, DType from, std::byte* dst, DType to, int64_t count) {
  if (from == to) {
    std::memcpy(dst, src, static_cast<size_t>(count) * SizeOf(from));
  } else {
    HWY_DYNAMIC_DISPATCH(Convert)(src, from, dst, to, count);
  }
}

// One row whose elements lie apart in at least one of the tensors.
void CopyStrided(const std::byte* src, int64_t src_stride, DType from, std::byte* dst,
                 int64_t dst_stride, DType to, int64_t count) {
  const int64_t src_step = src_stride * static_cast<int64_t>(SizeOf(from));
  const int64_t dst_step = dst_stride * static_cast<int64_t>(SizeOf(to));
  if (from == DType::kF32 && to == DType::kF32) {
    for (int64_t i = 0; i < count; ++i) std::memcpy(dst + i * dst_step, src + i * src_step, 4);
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    CopyDense(src + i * src_step, from, dst + i * dst_step, to, 1);
  }
}

}  // namespace

void ConvertDense(const void* src, DType from, void* dst, DType to, int64_t count) {
  CopyDense(static_cast<const std::byte*>(src), from, static_cast<std::byte*>(dst), to, count);
}

void CopyCpu(const Tensor& src, const Tensor& dst) {
  if (src.NumElements() == 0) return;
  const auto* from = static_cast<const std::byte*>(src.data);
  auto* to = static_cast<std::byte*>(dst.data);
  const int64_t from_size = static_cast<int64_t>(SizeOf(src.dtype));
  const int64_t to_size = static_cast<int64_t>(SizeOf(dst.dtype));
  if (src.IsContiguous() && dst.IsContiguous()) {
    ParallelFor(src.NumElements(), 1 << 14, [&](int64_t begin, int64_t end) {
      CopyDense(from + begin * from_size, src.dtype, to + begin * to_size, dst.dtype, end - begin);
    });
    return;
  }
  const int64_t c = RowLength(src);
  const bool dense = LastAxisDense(src) && LastAxisDense(dst);
  const int last = src.shape.rank - 1;
  ParallelFor(RowCount(src), 1 + (1 << 14) / c, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const std::byte* s = from + RowOffset(src, row) * from_size;
      std::byte* d = to + RowOffset(dst, row) * to_size;
      if (dense) {
        CopyDense(s, src.dtype, d, dst.dtype, c);
      } else {
        CopyStrided(s, src.stride[last], src.dtype, d, dst.stride[last], dst.dtype, c);
      }
    }
  });
}

}  // namespace fovea
#endif
