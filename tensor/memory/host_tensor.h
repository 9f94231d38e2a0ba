// Tensors that own their memory, on the host: the inputs and outputs of files and of `forward`.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace fovea {

// Contiguous, 64-byte aligned, zero-filled at construction. Movable and copyable.
class HostTensor {
 public:
  HostTensor() = default;
  HostTensor(const Shape& shape, DType dtype);
  template <class T>
  HostTensor(const Shape& shape, const std::vector<T>& values) : HostTensor(shape, DTypeOf<T>) {
    ENSURE(static_cast<int64_t>(values.size()) == shape.NumElements());
    std::copy(values.begin(), values.end(), Data<T>());
  }

  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  int64_t NumElements() const { return shape_.NumElements(); }
  size_t Bytes() const { return static_cast<size_t>(NumElements()) * SizeOf(dtype_); }
  void* data() { return bytes_.data(); }
  const void* data() const { return bytes_.data(); }
  template <class T>
  T* Data() {
    return View().template Data<T>();
  }
  template <class T>
  const T* Data() const {
    return View().template Data<T>();
  }
  // The view is valid until this object is assigned or destroyed.
  Tensor View() const;
  // The same values as f32, rounded where the source is wider. Throws kInternal for kBool.
  HostTensor ToF32() const;

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  Shape shape_;
  DType dtype_ = DType::kF32;
  std::vector<Line> bytes_;
};

using NamedTensors = std::map<std::string, HostTensor>;

}  // namespace fovea
