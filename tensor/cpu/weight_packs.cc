#include "tensor/cpu/weight_packs.h"

#include <algorithm>
#include <vector>

#include "tensor/cpu/host_memory.h"
#include "tensor/cpu/kernels.h"
#include "tensor/threads.h"

namespace fovea {
namespace {

struct CpuPackedWeight final : PackedWeight {
  CpuPackedWeight(const onednn::Layout& layout_in, std::shared_ptr<std::atomic<size_t>> total_in)
      : layout(layout_in), buffer(AllocateHost(layout.get_size())), total(std::move(total_in)) {
    *total += buffer.size;
  }
  ~CpuPackedWeight() override { *total -= buffer.size; }
  CpuPackedWeight(const CpuPackedWeight&) = delete;
  CpuPackedWeight& operator=(const CpuPackedWeight&) = delete;

  onednn::Layout layout;
  Buffer buffer;
  std::shared_ptr<std::atomic<size_t>> total;
};

// Only this backend fills `packed` of weights that it is given.
const CpuPackedWeight* CopyOf(const Weight& weight) {
  return static_cast<const CpuPackedWeight*>(weight.packed->get());
}

void Put(float value, float* to) {
  *to = value;
}
void Put(float value, BFloat16* to) {
  *to = ToBFloat16(value);
}

// Rows of outputs are taken 16 at a time: that many lie side by side in every layout that oneDNN
// prefers, so that writes stay within a few cache lines while reads are sequential.
template <class T>
void Scatter(const Tensor& w, const onednn::Layout& layout, WeightAxes axes, T* to) {
  constexpr int64_t kRows = 16;
  constexpr int64_t kChunk = 512;
  const int64_t out = w.shape[0];
  const int64_t in = w.shape[1];
  const int64_t kernel = w.NumElements() / std::max<int64_t>(1, out * in);
  const int64_t row = in * kernel;
  const std::vector<int64_t> out_offset = onednn::Offsets(layout, axes.out);
  const std::vector<int64_t> in_offset = onednn::Offsets(layout, axes.in);
  std::vector<int64_t> kernel_offset(static_cast<size_t>(kernel), 0);
  if (layout.data.ndims == 4) {  // not for a 1x1 filter as a matrix
    const std::vector<int64_t> y = onednn::Offsets(layout, 2);
    const std::vector<int64_t> x = onednn::Offsets(layout, 3);
    for (int64_t k = 0; k < kernel; ++k) {
      kernel_offset[k] = y[k / w.shape[3]] + x[k % w.shape[3]];
    }
  }
  const auto* from = static_cast<const std::byte*>(w.data);
  const int64_t size = static_cast<int64_t>(SizeOf(w.dtype));
  ParallelFor((out + kRows - 1) / kRows, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> rows(kRows * kChunk);
    for (int64_t o = begin * kRows; o < std::min(end * kRows, out); o += kRows) {
      const int64_t height = std::min(kRows, out - o);
      for (int64_t first = 0; first < row; first += kChunk) {
        const int64_t width = std::min(kChunk, row - first);
        for (int64_t r = 0; r < height; ++r) {
          ConvertToF32(from + ((o + r) * row + first) * size, w.dtype, width,
                       rows.data() + r * kChunk);
        }
        for (int64_t j = 0; j < width; ++j) {
          const int64_t i = first + j;
          T* target = to + in_offset[i / kernel] + kernel_offset[i % kernel];
          for (int64_t r = 0; r < height; ++r) {
            Put(rows[r * kChunk + j], target + out_offset[o + r]);
          }
        }
      }
    }
  });
}

}  // namespace

const onednn::Layout* RealPacks::Held(const Weight& weight) const {
  const CpuPackedWeight* copy = CopyOf(weight);
  return copy ? &copy->layout : nullptr;
}

const void* RealPacks::Provide(const Weight& weight, const onednn::Layout& layout,
                               WeightAxes axes) {
  const CpuPackedWeight* copy = CopyOf(weight);
  if (copy && copy->layout == layout) return copy->buffer.bytes.get();
  const onednn::Layout wanted = layout;  // may be the old copy's own
  weight.packed->reset();
  auto made = std::make_unique<CpuPackedWeight>(wanted, bytes_);
  std::byte* to = made->buffer.bytes.get();
  if (wanted.data_type() == dnnl::memory::data_type::f32) {
    Scatter(weight.w, wanted, axes, reinterpret_cast<float*>(to));
  } else {
    Scatter(weight.w, wanted, axes, reinterpret_cast<BFloat16*>(to));
  }
  *weight.packed = std::move(made);
  if (weight.mapped) ReleaseMappedPages(weight.w.data, weight.w.Bytes());
  return to;
}

const onednn::Layout* PlannedPacks::Held(const Weight& weight) const {
  const auto planned = planned_.find(weight.packed.get());
  if (planned != planned_.end()) return &planned->second;
  const CpuPackedWeight* copy = CopyOf(weight);
  return copy ? &copy->layout : nullptr;
}

const void* PlannedPacks::Provide(const Weight& weight, const onednn::Layout& layout,
                                  WeightAxes /*axes*/) {
  const onednn::Layout* held = Held(weight);
  if (held && *held == layout) return nullptr;
  if (held) bytes_ -= static_cast<std::ptrdiff_t>(held->get_size());
  bytes_ += static_cast<std::ptrdiff_t>(layout.get_size());
  peak_ = std::max(peak_, static_cast<size_t>(std::max<std::ptrdiff_t>(bytes_, 0)));
  const onednn::Layout copy = layout;
  planned_[weight.packed.get()] = copy;
  return nullptr;
}

}  // namespace fovea
