// Conversions: one table of names.
#include <cmath>
#include <limits>
#include <map>

#include "tests/ptx/forms.h"
#include "tests/ptx/half.h"
#include "tests/ptx/lanes.h"

namespace fovea::ptx {
namespace {

using Table = std::map<std::string, Form>;

// Integers of any sizes are cut, or extended by the source's sign.
struct Resize {
  template <class T>
  T operator()(T x) const {
    return x;
  }
};

enum class Round { kNear, kZero, kDown, kUp };
template <Round kRound>
double RoundTo(double x) {
  switch (kRound) {
    case Round::kNear:
      return std::nearbyint(x);
    case Round::kZero:
      return std::trunc(x);
    case Round::kDown:
      return std::floor(x);
    case Round::kUp:
      return std::ceil(x);
  }
  return x;
}

template <class D, Round kRound>
struct FloatToInteger {
  template <class S>
  D operator()(S from) const {
    const double x = RoundTo<kRound>(from);
    if (x != x) return 0;
    if (x <= static_cast<double>(std::numeric_limits<D>::min())) {
      return std::numeric_limits<D>::min();
    }
    if (x >= static_cast<double>(std::numeric_limits<D>::max())) {
      return std::numeric_limits<D>::max();
    }
    return static_cast<D>(x);
  }
};
template <Round kRound>
struct FloatToWhole {
  template <class S>
  S operator()(S x) const {
    return static_cast<S>(RoundTo<kRound>(x));
  }
};
template <class D>
struct As {
  template <class S>
  D operator()(S x) const {
    return static_cast<D>(x);
  }
};
struct Saturate {  // NaN becomes 0
  float operator()(float x) const { return x > 0 ? x < 1 ? x : 1.f : 0.f; }
};
struct FloatToBf16 {
  uint16_t operator()(float x) const { return static_cast<uint16_t>(ToBf16(x)); }
};
struct FloatToF16 {
  uint16_t operator()(float x) const { return static_cast<uint16_t>(ToF16(x)); }
};
struct Bf16ToFloat {
  float operator()(uint16_t x) const { return FromBf16(x); }
};
struct F16ToFloat {
  float operator()(uint16_t x) const { return FromF16(x); }
};
struct PackBf16 {
  uint32_t operator()(float high, float low) const { return ToBf16(high) << 16 | ToBf16(low); }
};
struct PackF16 {
  uint32_t operator()(float high, float low) const { return ToF16(high) << 16 | ToF16(low); }
};
struct ToTf32 {  // round to nearest, ties away
  uint32_t operator()(float x) const {
    return (std::bit_cast<uint32_t>(x) + 0x1000u) & 0xffffe000u;
  }
};

template <class D, class S>
void AddInteger(Table& t, const std::string& to, const std::string& from) {
  static const std::map<size_t, char> sizes = {{1, '1'}, {2, '2'}, {4, '4'}, {8, '8'}};
  // Registers of 8-bit numbers are 16 or 32 bits wide; '1' takes either.
  static std::map<std::string, std::string> specs;
  std::string& spec = specs[to + from];
  spec = {sizes.at(sizeof(D)), '=', sizes.at(sizeof(S))};
  t["cvt." + to + "." + from] = {spec.c_str(), Map<Resize, D, S>};
}

template <class D>
void AddIntegersTo(Table& t, const std::string& to) {
  AddInteger<D, uint8_t>(t, to, "u8");
  AddInteger<D, int8_t>(t, to, "s8");
  AddInteger<D, uint16_t>(t, to, "u16");
  AddInteger<D, int16_t>(t, to, "s16");
  AddInteger<D, uint32_t>(t, to, "u32");
  AddInteger<D, int32_t>(t, to, "s32");
  AddInteger<D, uint64_t>(t, to, "u64");
  AddInteger<D, int64_t>(t, to, "s64");
}

template <class I>
void AddFloat(Table& t, const std::string& type) {
  const bool wide = sizeof(I) == 8;
  const char *to = wide ? "8=4" : "4=4", *from = wide ? "4=8" : "4=4";
  t["cvt.rni." + type + ".f32"] = {to, Map<FloatToInteger<I, Round::kNear>, I, float>};
  t["cvt.rzi." + type + ".f32"] = {to, Map<FloatToInteger<I, Round::kZero>, I, float>};
  t["cvt.rmi." + type + ".f32"] = {to, Map<FloatToInteger<I, Round::kDown>, I, float>};
  t["cvt.rpi." + type + ".f32"] = {to, Map<FloatToInteger<I, Round::kUp>, I, float>};
  t["cvt.rn.f32." + type] = {from, Map<As<float>, float, I>};
  t["cvt.rzi." + type + ".f64"] = {wide ? "8=8" : "4=8",
                                   Map<FloatToInteger<I, Round::kZero>, I, double>};
  t["cvt.rmi." + type + ".f64"] = {wide ? "8=8" : "4=8",
                                   Map<FloatToInteger<I, Round::kDown>, I, double>};
  t["cvt.rn.f64." + type] = {wide ? "8=8" : "8=4", Map<As<double>, double, I>};
}

Table MakeTable() {
  Table t;
  AddIntegersTo<uint8_t>(t, "u8");
  AddIntegersTo<uint16_t>(t, "u16");
  AddIntegersTo<int16_t>(t, "s16");
  AddIntegersTo<uint32_t>(t, "u32");
  AddIntegersTo<int32_t>(t, "s32");
  AddIntegersTo<uint64_t>(t, "u64");
  AddIntegersTo<int64_t>(t, "s64");
  AddFloat<int32_t>(t, "s32");
  AddFloat<uint32_t>(t, "u32");
  AddFloat<int64_t>(t, "s64");
  AddFloat<uint64_t>(t, "u64");
  t["cvt.rn.f32.u16"] = {"4=2", Map<As<float>, float, uint16_t>};
  t["cvt.rn.f32.s16"] = {"4=2", Map<As<float>, float, int16_t>};
  t["cvt.rni.f32.f32"] = {"4=4", Map<FloatToWhole<Round::kNear>, float, float>};
  t["cvt.rzi.f32.f32"] = {"4=4", Map<FloatToWhole<Round::kZero>, float, float>};
  t["cvt.rmi.f32.f32"] = {"4=4", Map<FloatToWhole<Round::kDown>, float, float>};
  t["cvt.rpi.f32.f32"] = {"4=4", Map<FloatToWhole<Round::kUp>, float, float>};
  t["cvt.sat.f32.f32"] = {"4=4", Map<Saturate, float, float>};
  t["cvt.f64.f32"] = {"8=4", Map<As<double>, double, float>};
  t["cvt.rn.f32.f64"] = {"4=8", Map<As<float>, float, double>};
  t["cvt.rmi.f64.f64"] = {"8=8", Map<FloatToWhole<Round::kDown>, double, double>};
  t["cvt.rzi.f64.f64"] = {"8=8", Map<FloatToWhole<Round::kZero>, double, double>};
  t["cvt.rn.bf16.f32"] = {"2=4", Map<FloatToBf16, uint16_t, float>};
  t["cvt.rn.f16.f32"] = {"2=4", Map<FloatToF16, uint16_t, float>};
  t["cvt.f32.bf16"] = {"4=2", Map<Bf16ToFloat, float, uint16_t>};
  t["cvt.f32.f16"] = {"4=2", Map<F16ToFloat, float, uint16_t>};
  t["cvt.rn.bf16x2.f32"] = {"4=44", Map<PackBf16, uint32_t, float, float>};
  t["cvt.rn.f16x2.f32"] = {"4=44", Map<PackF16, uint32_t, float, float>};
  t["cvt.rna.tf32.f32"] = {"4=4", Map<ToTf32, uint32_t, float>};
  return t;
}

}  // namespace

const Form* FindConversion(const std::string& name) {
  static const Table table = MakeTable();
  const auto it = table.find(name);
  return it == table.end() ? nullptr : &it->second;
}

}  // namespace fovea::ptx
