// Element types: those that files hold and those that we compute in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace fovea {

enum class DType : uint8_t { kF32, kBF16, kF16, kF64, kU8, kI8, kI32, kI64, kBool };

constexpr size_t SizeOf(DType type) {
  switch (type) {
    case DType::kF32:
    case DType::kI32: return 4;
    case DType::kBF16:
    case DType::kF16: return 2;
    case DType::kF64:
    case DType::kI64: return 8;
    case DType::kU8:
    case DType::kI8:
    case DType::kBool: return 1;
  }
  return 0;
}

constexpr bool IsFloat(DType type) {
  return type == DType::kF32 || type == DType::kBF16 || type == DType::kF16 || type == DType::kF64;
}

// "f32", "bf16", ...: the names of --dtype and of messages.
std::string_view Name(DType type);
std::optional<DType> ParseDType(std::string_view name);

// Storage-only 16-bit floats. Rounding is to nearest, ties to even, as PyTorch's.
struct BFloat16 { uint16_t bits; };
struct Float16 { uint16_t bits; };
float ToFloat(BFloat16 value);
float ToFloat(Float16 value);
BFloat16 ToBFloat16(float value);
Float16 ToFloat16(float value);

// The DType of a C++ type: DTypeOf<float> == DType::kF32.
template <class T> inline constexpr DType DTypeOf = DType::kF32;
template <> inline constexpr DType DTypeOf<BFloat16> = DType::kBF16;
template <> inline constexpr DType DTypeOf<Float16> = DType::kF16;
template <> inline constexpr DType DTypeOf<double> = DType::kF64;
template <> inline constexpr DType DTypeOf<uint8_t> = DType::kU8;
template <> inline constexpr DType DTypeOf<int8_t> = DType::kI8;
template <> inline constexpr DType DTypeOf<int32_t> = DType::kI32;
template <> inline constexpr DType DTypeOf<int64_t> = DType::kI64;
template <> inline constexpr DType DTypeOf<bool> = DType::kBool;

}  // namespace fovea
