#include "tensor/memory/host_tensor.h"

namespace fovea {
namespace {

template <class T>
void Widen(const T* from, float* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    if constexpr (std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>) {
      to[i] = ToFloat(from[i]);
    } else {
      to[i] = static_cast<float>(from[i]);
    }
  }
}

}  // namespace

HostTensor::HostTensor(const Shape& shape, DType dtype) : shape_(shape), dtype_(dtype) {
  bytes_.resize((Bytes() + sizeof(Line) - 1) / sizeof(Line));
}

Tensor HostTensor::View() const {
  return Tensor::Contiguous(const_cast<Line*>(bytes_.data()), shape_, dtype_);
}

HostTensor HostTensor::ToF32() const {
  HostTensor result(shape_, DType::kF32);
  float* to = result.Data<float>();
  const int64_t count = NumElements();
  switch (dtype_) {
    case DType::kF32:
      Widen(Data<float>(), to, count);
      break;
    case DType::kBF16:
      Widen(Data<BFloat16>(), to, count);
      break;
    case DType::kF16:
      Widen(Data<Float16>(), to, count);
      break;
    case DType::kF64:
      Widen(Data<double>(), to, count);
      break;
    case DType::kU8:
      Widen(Data<uint8_t>(), to, count);
      break;
    case DType::kI8:
      Widen(Data<int8_t>(), to, count);
      break;
    case DType::kI32:
      Widen(Data<int32_t>(), to, count);
      break;
    case DType::kI64:
      Widen(Data<int64_t>(), to, count);
      break;
    case DType::kBool:
      ENSURE(false, "a bool tensor has no f32 form");
  }
  return result;
}

}  // namespace fovea
