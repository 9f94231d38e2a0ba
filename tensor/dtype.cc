#include "tensor/dtype.h"

#include <array>
#include <bit>
#include <cmath>
#include <utility>

namespace fovea {
namespace {

constexpr std::array<std::pair<DType, std::string_view>, 9> kNames{{
    {DType::kF32, "f32"},
    {DType::kBF16, "bf16"},
    {DType::kF16, "f16"},
    {DType::kF64, "f64"},
    {DType::kU8, "u8"},
    {DType::kI8, "i8"},
    {DType::kI32, "i32"},
    {DType::kI64, "i64"},
    {DType::kBool, "bool"},
}};

}  // namespace

std::string_view Name(DType type) {
  for (const auto& [candidate, name] : kNames) {
    if (candidate == type) return name;
  }
  return "unknown";
}

std::optional<DType> ParseDType(std::string_view name) {
  for (const auto& [type, candidate] : kNames) {
    if (candidate == name) return type;
  }
  return std::nullopt;
}

float ToFloat(BFloat16 value) {
  return std::bit_cast<float>(uint32_t{value.bits} << 16);
}

float ToFloat(Float16 value) {
  const uint32_t sign = uint32_t{value.bits & 0x8000u} << 16;
  const uint32_t exponent = (value.bits >> 10) & 0x1f;
  const uint32_t mantissa = value.bits & 0x3ff;
  if (exponent == 0) {  // zero and subnormals: mantissa * 2^-24, exact
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  const uint32_t wide_exponent = exponent == 0x1f ? 0xff : exponent + (127 - 15);
  return std::bit_cast<float>(sign | (wide_exponent << 23) | (mantissa << 13));
}

BFloat16 ToBFloat16(float value) {
  if (std::isnan(value)) return {0x7fc0};
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  // Half a unit, less one where the kept part is even: ties go to even.
  return {static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

Float16 ToFloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  if (std::isnan(value)) return {static_cast<uint16_t>(sign | 0x7e00)};
  const float magnitude = std::fabs(value);
  if (magnitude >= 65520.0f) return {static_cast<uint16_t>(sign | 0x7c00)};
  if (magnitude < 0x1p-14f) {
    // Subnormal: adding 0.5 aligns the unit in the last place of f32 with that of f16, so the
    // addition itself rounds to nearest even.
    const uint32_t rounded = std::bit_cast<uint32_t>(magnitude + 0.5f);
    return {static_cast<uint16_t>(sign | (rounded - std::bit_cast<uint32_t>(0.5f)))};
  }
  uint32_t m = bits & 0x7fffffff;
  m += 0xfff + ((m >> 13) & 1);
  return {static_cast<uint16_t>(sign | ((m >> 13) - ((127 - 15) << 10)))};
}

}  // namespace fovea
