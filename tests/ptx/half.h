// 16-bit numbers of the device, bit by bit.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "tensor/dtype.h"

namespace fovea::ptx {

inline float FromBf16(uint32_t bits) {
  return std::bit_cast<float>(bits << 16);
}
inline uint32_t ToBf16(float x) {
  if (x != x) return 0x7fff;  // the device's one NaN
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
inline float FromF16(uint32_t bits) {
  return ToFloat(Float16{static_cast<uint16_t>(bits)});
}
inline uint32_t ToF16(float x) {
  return x != x ? 0x7fff : ToFloat16(x).bits;
}
// The tensor cores read 10 bits of the mantissa.
inline float FromTf32(uint32_t bits) {
  return std::bit_cast<float>(bits & 0xffffe000u);
}

}  // namespace fovea::ptx
