#include "tensor/cuda/weight_copies.h"

#include <cstring>

#include "tensor/cpu/host_memory.h"
#include "tensor/cpu/kernels.h"
#include "tensor/error.h"
#include "tensor/weights/weight_delta.h"

namespace fovea::cuda {
namespace {

// One row of the weight in f32, with what is added to it.
void ReadRow(const Weight& weight, int64_t row, int64_t length, std::vector<float>& values) {
  const auto* from = static_cast<const std::byte*>(weight.w.data) +
                     row * length * static_cast<int64_t>(SizeOf(weight.w.dtype));
  ConvertDense(from, weight.w.dtype, values.data(), DType::kF32, length);
  if (!weight.delta) return;
  constexpr auto kMost = static_cast<int64_t>(DeltaTerm::kMostAtOnce);
  for (int64_t first = 0; first < length; first += kMost) {
    const auto count = static_cast<size_t>(std::min(kMost, length - first));
    weight.delta->AddTo(weight.delta_row + row, first,
                        std::span(values).subspan(static_cast<size_t>(first), count));
  }
}

}  // namespace

WeightCopy::~WeightCopy() {
  if (weight) device->Free(weight);
  if (bias) device->Free(bias);
  if (total) *total -= bytes;
}

size_t CopyBytes(const Weight& weight, DType dtype) {
  return static_cast<size_t>(weight.w.NumElements()) * SizeOf(dtype) + weight.bias.Bytes();
}

WeightCopies::~WeightCopies() {
  for (const auto& [data, kept] : parameters_) device_->Free(kept.address);
}

const WeightCopy& WeightCopies::Provide(const Weight& weight, DType dtype) {
  if (auto* held = dynamic_cast<WeightCopy*>(weight.packed->get())) {
    if (held->dtype == dtype && held->device == device_) return *held;
  }
  auto copy = std::make_unique<WeightCopy>();
  copy->device = device_;
  copy->dtype = dtype;
  const int64_t outs = weight.Out(), ins = weight.In();
  const int64_t length = outs > 0 ? weight.w.NumElements() / outs : 0;
  const int64_t taps = ins > 0 ? length / ins : 0;
  // Some rows at a time: (in, taps) of the file become (taps, in).
  const int64_t most = std::max<int64_t>(1, (int64_t{8} << 20) / std::max<int64_t>(1, length));
  copy->weight = device_->Allocate(static_cast<size_t>(weight.w.NumElements()) * SizeOf(dtype));
  std::vector<float> row(static_cast<size_t>(length)), turned(row.size());
  std::vector<std::byte> block;
  for (int64_t o = 0; o < outs; o += most) {
    const int64_t count = std::min(most, outs - o), size = static_cast<int64_t>(SizeOf(dtype));
    block.resize(static_cast<size_t>(count * length * size));
    for (int64_t r = 0; r < count; ++r) {
      ReadRow(weight, o + r, length, row);
      for (int64_t i = 0; i < ins; ++i) {
        for (int64_t t = 0; t < taps; ++t) {
          turned[static_cast<size_t>(t * ins + i)] = row[static_cast<size_t>(i * taps + t)];
        }
      }
      ConvertDense(turned.data(), DType::kF32, block.data() + r * length * size, dtype, length);
    }
    device_->CopyToDevice(copy->weight + static_cast<Address>(o * length * size), block.data(),
                          block.size());
  }
  if (!weight.bias.Empty()) {
    ENSURE(weight.bias.dtype == DType::kF32 && weight.bias.IsContiguous(), "bias");
    copy->bias = device_->Allocate(weight.bias.Bytes());
    device_->CopyToDevice(copy->bias, weight.bias.data, weight.bias.Bytes());
  }
  copy->bytes = CopyBytes(weight, dtype);
  copy->total = total_;
  *total_ += copy->bytes;
  if (weight.mapped) ReleaseMappedPages(weight.w.data, weight.w.Bytes());
  const WeightCopy& result = *copy;
  *weight.packed = std::move(copy);
  return result;
}

const float* WeightCopies::Parameter(const Tensor& t) {
  if (t.Empty()) return nullptr;
  ENSURE(t.dtype == DType::kF32 && t.IsContiguous(), t.shape.ToString());
  if (t.device == DeviceKind::kCuda) return static_cast<const float*>(t.data);
  Kept& kept = parameters_[t.data];
  const auto count = static_cast<size_t>(t.NumElements());
  const auto* values = static_cast<const float*>(t.data);
  if (kept.address && kept.values.size() == count &&
      std::memcmp(kept.values.data(), values, t.Bytes()) == 0) {
    return reinterpret_cast<const float*>(kept.address);
  }
  if (kept.values.size() != count) {
    if (kept.address) device_->Free(kept.address);
    kept.address = 0;
    kept.values.clear();
    kept.address = device_->Allocate(t.Bytes());
  }
  kept.values.assign(values, values + count);
  device_->CopyToDevice(kept.address, kept.values.data(), t.Bytes());
  return reinterpret_cast<const float*>(kept.address);
}

}  // namespace fovea::cuda
