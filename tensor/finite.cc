#include "tensor/finite.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace fovea {
namespace {

// An exponent of ones is NaN or infinity in every IEEE format. Bytes may be misaligned, as in
// files.
template <class Bits>
bool NoneHasExponent(const std::byte* bytes, int64_t count, Bits exponent) {
  constexpr int64_t kPiece = 4096;  // early out, without a branch for each number
  for (int64_t begin = 0; begin < count; begin += kPiece) {
    const int64_t end = std::min(begin + kPiece, count);
    unsigned found = 0;
    for (int64_t i = begin; i < end; ++i) {
      Bits bits;
      std::memcpy(&bits, bytes + i * static_cast<int64_t>(sizeof bits), sizeof bits);
      found |= static_cast<unsigned>((bits & exponent) == exponent);
    }
    if (found != 0) return false;
  }
  return true;
}

}  // namespace

bool AllFinite(std::span<const float> values) {
  return NoneHasExponent<uint32_t>(reinterpret_cast<const std::byte*>(values.data()),
                                   static_cast<int64_t>(values.size()), 0x7f800000);
}

bool AllFinite(const Tensor& values) {
  ENSURE(values.IsContiguous(), values.shape.ToString());
  const auto* bytes = static_cast<const std::byte*>(values.data);
  const int64_t count = values.shape.NumElements();
  switch (values.dtype) {
    case DType::kF32:
      return NoneHasExponent<uint32_t>(bytes, count, 0x7f800000);
    case DType::kF16:
      return NoneHasExponent<uint16_t>(bytes, count, 0x7c00);
    case DType::kBF16:
      return NoneHasExponent<uint16_t>(bytes, count, 0x7f80);
    case DType::kF64:
      return NoneHasExponent<uint64_t>(bytes, count, 0x7ff0000000000000);
    default:
      return true;
  }
}

}  // namespace fovea
