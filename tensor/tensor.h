// A strided view of device memory.
//
// Tensor owns nothing and is copied freely; whoever made the memory (an Arena, a WeightStore, a
// HostTensor) must outlive it. Activations are channels-last: an image (n,h,w,c) and its tokens
// (b,t,c) share bytes. Letters in shape comments: b n batch, t tokens, h w height width, c channels,
// d head size; "heads" is spelled out.
#pragma once

#include <array>
#include <cstdint>

#include "tensor/dtype.h"
#include "tensor/error.h"
#include "tensor/shape.h"

namespace fovea {

enum class DeviceKind : uint8_t { kCpu, kCuda };

struct Tensor {
  void* data = nullptr;
  Shape shape;
  std::array<int64_t, kMaxRank> stride{};  // in elements
  DType dtype = DType::kF32;
  DeviceKind device = DeviceKind::kCpu;

  // A view of `data` as a contiguous row-major array.
  static Tensor Contiguous(void* data, const Shape& shape, DType dtype,
                           DeviceKind device = DeviceKind::kCpu);

  bool Empty() const { return data == nullptr; }
  int64_t NumElements() const { return shape.NumElements(); }
  size_t Bytes() const { return static_cast<size_t>(NumElements()) * SizeOf(dtype); }
  bool IsContiguous() const;
  // Elements [begin, begin + size) of one axis.
  Tensor Slice(int axis, int64_t begin, int64_t size) const;
  // The same elements in row-major order under another shape; throws kInternal if that needs a copy.
  // Splitting an axis and merging axes that are dense among themselves are allowed on strided views.
  Tensor Reshape(const Shape& target) const;
  // Axes in the order given: Permute({0, 3, 1, 2}) views (n,h,w,c) as (n,c,h,w).
  Tensor Permute(std::initializer_list<int> axes) const;

  // The first element; throws kInternal if T is not the tensor's type. CPU tensors only.
  template <class T>
  T* Data() const {
    ENSURE(dtype == DTypeOf<T>, "tensor of " + std::string(Name(dtype)) + " read as another type");
    return static_cast<T*>(data);
  }
};

}  // namespace fovea
