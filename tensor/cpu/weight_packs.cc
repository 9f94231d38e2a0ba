#include "tensor/cpu/weight_packs.h"

#include <algorithm>
#include <span>
#include <vector>

#include "tensor/cpu/host_memory.h"
#include "tensor/cpu/kernels.h"
#include "tensor/machine/threads.h"
#include "tensor/weights/weight_delta.h"

namespace fovea {
namespace {

struct CpuPackedWeight final : PackedWeight {
  CpuPackedWeight(const onednn::Layout& layout_in, std::shared_ptr<std::atomic<size_t>> total_in)
      : layout(layout_in),
        buffer(AllocateHost(layout.get_size(), Pages::kSmall)),
        total(std::move(total_in)) {
    *total += buffer.size;
  }
  ~CpuPackedWeight() override { Drop(); }
  CpuPackedWeight(const CpuPackedWeight&) = delete;
  CpuPackedWeight& operator=(const CpuPackedWeight&) = delete;
  // The layout stays, so that the next copy is the same.
  void Drop() {
    *total -= buffer.size;
    buffer = Buffer();
  }

  onednn::Layout layout;
  Buffer buffer;  // empty: dropped
  std::shared_ptr<std::atomic<size_t>> total;
};

// Only this backend fills `packed` of weights that it is given.
const CpuPackedWeight* CopyOf(const Weight& weight) {
  return static_cast<const CpuPackedWeight*>(weight.packed->get());
}

void DropCopy(const std::weak_ptr<std::unique_ptr<PackedWeight>>& weak) {
  const auto packed = weak.lock();
  if (packed && *packed) static_cast<CpuPackedWeight*>(packed->get())->Drop();
}

// Rows of outputs are taken 16 at a time: that many lie side by side in every layout that oneDNN
// prefers, so that a write fills a cache line.
constexpr int64_t kRows = 16;

struct ScatterPlan {
  std::vector<int64_t> out, in, kernel;  // offsets in the layout
  int64_t row, chunk, pitch;  // elements of one output; of a piece; between buffered rows

  ScatterPlan(const Tensor& w, const onednn::Layout& layout, WeightAxes axes)
      : out(onednn::Offsets(layout, axes.out)), in(onednn::Offsets(layout, axes.in)), kernel{0} {
    if (onednn::NumAxes(layout) == 4) {  // not for a 1x1 filter as a matrix
      kernel.clear();
      const std::vector<int64_t> x = onednn::Offsets(layout, 3);
      for (const int64_t y : onednn::Offsets(layout, 2)) {
        for (const int64_t offset : x) kernel.push_back(y + offset);
      }
    }
    const int64_t positions = static_cast<int64_t>(kernel.size());
    row = static_cast<int64_t>(in.size()) * positions;
    ENSURE(row * static_cast<int64_t>(out.size()) == w.NumElements(), w.shape.ToString());
    chunk = std::max<int64_t>(1, 512 / positions) * positions;
    pitch = chunk + 32;  // a column of the buffer in different cache sets
  }
};

// Inputs [first, first + count) of `height` outputs from `o` on; rows hold them as the file does.
template <class T>
void ScatterPiece(const ScatterPlan& plan, const T* rows, int64_t o, int64_t height, int64_t first,
                  int64_t count, T* to) {
  const int64_t* out = plan.out.data() + o;
  bool side_by_side = height == kRows;
  for (int64_t r = 0; r < height; ++r) side_by_side = side_by_side && out[r] == out[0] + r;
  const int64_t positions = static_cast<int64_t>(plan.kernel.size());
  // Kernel positions outermost: inputs lie close to each other in memory, positions far apart.
  for (int64_t k = 0; k < positions; ++k) {
    for (int64_t i = 0; i < count; ++i) {
      const T* from = rows + i * positions + k;
      T* target = to + plan.in[first + i] + plan.kernel[k];
      if (side_by_side) {
        target += out[0];
        for (int64_t r = 0; r < kRows; ++r) target[r] = from[r * plan.pitch];
      } else {
        for (int64_t r = 0; r < height; ++r) target[out[r]] = from[r * plan.pitch];
      }
    }
  }
}

// Elements [first, first + out.size()) of row `o` as the copy holds them. `sum` is scratch.
template <class T>
void ReadRow(const Weight& weight, int64_t o, int64_t row, int64_t first, std::span<T> out,
             std::vector<float>& sum) {
  const auto* from = static_cast<const std::byte*>(weight.w.data) +
                     (o * row + first) * static_cast<int64_t>(SizeOf(weight.w.dtype));
  const auto count = static_cast<int64_t>(out.size());
  if (weight.delta == nullptr) {
    ConvertDense(from, weight.w.dtype, out.data(), DTypeOf<T>, count);
    return;
  }
  sum.resize(out.size());
  ConvertDense(from, weight.w.dtype, sum.data(), DType::kF32, count);
  weight.delta->AddTo(weight.delta_row + o, first, sum);
  ConvertDense(sum.data(), DType::kF32, out.data(), DTypeOf<T>, count);
}

template <class T>
void Scatter(const Weight& weight, const onednn::Layout& layout, WeightAxes axes, T* to) {
  const Tensor& w = weight.w;
  const ScatterPlan plan(w, layout, axes);
  const int64_t outs = w.shape[0];
  const int64_t positions = static_cast<int64_t>(plan.kernel.size());
  ParallelFor((outs + kRows - 1) / kRows, 1, [&](int64_t begin, int64_t end) {
    std::vector<T> rows(static_cast<size_t>(kRows * plan.pitch));
    std::vector<float> sum;
    for (int64_t o = begin * kRows; o < std::min(end * kRows, outs); o += kRows) {
      const int64_t height = std::min(kRows, outs - o);
      for (int64_t first = 0; first < plan.row; first += plan.chunk) {
        const int64_t width = std::min(plan.chunk, plan.row - first);
        for (int64_t r = 0; r < height; ++r) {
          ReadRow<T>(weight, o + r, plan.row, first,
                     {rows.data() + r * plan.pitch, static_cast<size_t>(width)}, sum);
        }
        ScatterPiece(plan, rows.data(), o, height, first / positions, width / positions, to);
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
  if (copy && copy->layout == layout && copy->buffer.bytes) return copy->buffer.bytes.get();
  const onednn::Layout wanted = layout;  // may be the old copy's own
  weight.packed->reset();
  const bool fits = Fits(wanted.get_size());
  if (!fits) DropStreamed();
  auto made = std::make_unique<CpuPackedWeight>(wanted, bytes_);
  std::byte* to = made->buffer.bytes.get();
  switch (onednn::ElementType(wanted)) {
    case DType::kF32:
      Scatter(weight, wanted, axes, reinterpret_cast<float*>(to));
      break;
    case DType::kF16:
      Scatter(weight, wanted, axes, reinterpret_cast<Float16*>(to));
      break;
    default:
      Scatter(weight, wanted, axes, reinterpret_cast<BFloat16*>(to));
      break;
  }
  *weight.packed = std::move(made);
  if (weight.mapped) ReleaseMappedPages(weight.w.data, weight.w.Bytes());
  if (!fits) {
    streamed_ = {weight.packed, wanted.get_size(), {}};
  } else if (limit_ != kNoLimit) {
    kept_.push_back(weight.packed);
  }
  return to;
}

void RealPacks::UseInPlace(const Weight& weight) {
  if (limit_ == kNoLimit || !weight.mapped || kept_in_place_.contains(weight.w.data)) return;
  if (streamed_.mapped.data == weight.w.data) return;
  if (Fits(weight.w.Bytes())) {
    kept_in_place_.emplace(weight.w.data, weight.w);
    kept_in_place_bytes_ += weight.w.Bytes();
  } else {
    DropStreamed();
    streamed_.mapped = weight.w;
  }
}

bool RealPacks::Fits(size_t bytes) const {
  if (limit_ == kNoLimit) return true;
  const size_t streamed = streamed_.packed.expired() ? 0 : streamed_.packed_bytes;
  const size_t kept = *bytes_ - std::min(streamed, bytes_->load()) + kept_in_place_bytes_;
  return kept <= limit_ && bytes <= limit_ - kept;
}

void RealPacks::DropStreamed() {
  DropCopy(streamed_.packed);
  if (!streamed_.mapped.Empty()) {
    ReleaseMappedPages(streamed_.mapped.data, streamed_.mapped.Bytes());
  }
  streamed_ = {};
}

void RealPacks::EndStage() {
  if (limit_ == kNoLimit) return;
  DropStreamed();
  for (const auto& weak : kept_) DropCopy(weak);
  kept_.clear();
  for (const auto& [data, tensor] : kept_in_place_) ReleaseMappedPages(data, tensor.Bytes());
  kept_in_place_.clear();
  kept_in_place_bytes_ = 0;
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
  // While it is made, the file's pages are in memory, too.
  largest_ = std::max(largest_, layout.get_size() + (weight.mapped ? weight.w.Bytes() : 0));
  const CpuPackedWeight* copy = CopyOf(weight);
  const bool dropped = copy && !copy->buffer.bytes && !planned_.contains(weight.packed.get());
  if (held && *held == layout && !dropped) return nullptr;
  if (held && !dropped) bytes_ -= static_cast<std::ptrdiff_t>(held->get_size());
  bytes_ += static_cast<std::ptrdiff_t>(layout.get_size());
  peak_ = std::max(peak_, static_cast<size_t>(std::max<std::ptrdiff_t>(bytes_, 0)));
  const onednn::Layout planned = layout;
  planned_[weight.packed.get()] = planned;
  return nullptr;
}

void PlannedPacks::UseInPlace(const Weight& weight) {
  if (!weight.mapped || !in_place_.insert(weight.w.data).second) return;
  in_place_bytes_ += weight.w.Bytes();
  largest_ = std::max(largest_, weight.w.Bytes());
}

}  // namespace fovea
