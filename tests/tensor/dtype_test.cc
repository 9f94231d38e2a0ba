#include "tensor/dtype.h"

#include <bit>
#include <catch2/catch.hpp>
#include <cmath>

namespace fovea {
namespace {

TEST_CASE("dtype names are read back") {
  for (const DType type : {DType::kF32, DType::kBF16, DType::kF16, DType::kF64, DType::kU8,
                           DType::kI8, DType::kI32, DType::kI64, DType::kBool}) {
    CHECK(ParseDType(Name(type)) == type);
  }
  CHECK_FALSE(ParseDType("F32"));
  CHECK_FALSE(ParseDType(""));
}

TEST_CASE("every f16 and bf16 value survives the way to f32 and back") {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Float16 half{static_cast<uint16_t>(bits)};
    const BFloat16 brain{static_cast<uint16_t>(bits)};
    const float h = ToFloat(half), b = ToFloat(brain);
    if (std::isnan(h)) {
      REQUIRE(std::isnan(ToFloat(ToFloat16(h))));
    } else {
      REQUIRE(ToFloat16(h).bits == half.bits);
    }
    if (std::isnan(b)) {
      REQUIRE(std::isnan(ToFloat(ToBFloat16(b))));
    } else {
      REQUIRE(ToBFloat16(b).bits == brain.bits);
    }
  }
}

TEST_CASE("rounding is to nearest, ties to even") {
  // Between 1 and the next f16, 1 + 2^-10.
  CHECK(ToFloat16(1 + 0x1p-11f).bits == 0x3c00);
  CHECK(ToFloat16(1 + 0x1p-11f + 0x1p-20f).bits == 0x3c01);
  CHECK(ToFloat16(1 + 3 * 0x1p-11f).bits == 0x3c02);
  CHECK(ToFloat16(65504.0f).bits == 0x7bff);
  CHECK(ToFloat16(65519.9f).bits == 0x7bff);
  CHECK(ToFloat16(65520.0f).bits == 0x7c00);
  CHECK(ToFloat16(-INFINITY).bits == 0xfc00);
  // Subnormals: units of 2^-24.
  CHECK(ToFloat16(0x1p-25f).bits == 0);
  CHECK(ToFloat16(std::nextafter(0x1p-25f, 1.0f)).bits == 1);
  CHECK(ToFloat16(3 * 0x1p-25f).bits == 2);
  CHECK(ToFloat16(-0x1p-24f).bits == 0x8001);
  CHECK(ToFloat16(std::nextafter(0x1p-14f, 0.0f)).bits == 0x400);

  CHECK(ToBFloat16(1 + 0x1p-8f).bits == 0x3f80);
  CHECK(ToBFloat16(1 + 3 * 0x1p-8f).bits == 0x3f82);
  CHECK(ToBFloat16(std::bit_cast<float>(0x7f7fffffu)).bits == 0x7f80);  // the largest f32
  CHECK(std::isnan(ToFloat(ToBFloat16(std::bit_cast<float>(0x7fffffffu)))));
}

}  // namespace
}  // namespace fovea
