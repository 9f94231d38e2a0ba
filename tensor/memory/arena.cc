#include "tensor/memory/arena.h"

#include <algorithm>
#include <string>

#include "tensor/backend.h"

namespace fovea {
namespace {

constexpr size_t kAlignment = 64;

}  // namespace

Arena::Arena(Backend& backend, size_t bytes)
    : buffer_(backend.Allocate(bytes)), device_(backend.Kind()) {}

Tensor Arena::New(const Shape& shape, DType dtype) {
  const size_t bytes = static_cast<size_t>(shape.NumElements()) * SizeOf(dtype);
  const size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  if (rounded > buffer_.size - used_) {
    throw Error(ErrorCode::kOutOfMemory,
                "a tensor of shape " + shape.ToString() + " needs " + std::to_string(rounded) +
                    " bytes, but only " + std::to_string(buffer_.size - used_) + " of the " +
                    std::to_string(buffer_.size) +
                    " bytes of activation memory are free; use a smaller size or batch");
  }
  Tensor t = Tensor::Contiguous(buffer_.bytes.get() + used_, shape, dtype, device_);
  used_ += rounded;
  peak_ = std::max(peak_, used_);
  return t;
}

}  // namespace fovea
