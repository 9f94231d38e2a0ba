// Integer and float arithmetic, comparisons, moves: one table of names.
#include <algorithm>
#include <cfenv>
#include <cmath>
#include <functional>
#include <limits>
#include <map>

#include "tensor/machine/instruction_set.h"
#include "tests/ptx/forms.h"
#include "tests/ptx/half.h"
#include "tests/ptx/lanes.h"

namespace fovea::ptx {
namespace {

#define FOVEA_OP(Name, ...)                \
  struct Name {                            \
    template <class... T>                  \
    auto operator()(T... operands) const { \
      return Of(operands...);              \
    }                                      \
    __VA_ARGS__                            \
  };

// Wraps around, as the device does.
template <class T>
using Unsigned = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;

FOVEA_OP(
    OpAdd, template <class T> static T Of(T a, T b) {
      if constexpr (std::is_integral_v<T>) {
        return static_cast<T>(static_cast<Unsigned<T>>(a) + static_cast<Unsigned<T>>(b));
      } else {
        return a + b;
      }
    })
FOVEA_OP(
    OpSub, template <class T> static T Of(T a, T b) {
      if constexpr (std::is_integral_v<T>) {
        return static_cast<T>(static_cast<Unsigned<T>>(a) - static_cast<Unsigned<T>>(b));
      } else {
        return a - b;
      }
    })
FOVEA_OP(
    OpMul, template <class T> static T Of(T a, T b) {
      if constexpr (std::is_integral_v<T>) {
        return static_cast<T>(static_cast<Unsigned<T>>(a) * static_cast<Unsigned<T>>(b));
      } else {
        return a * b;
      }
    })
FOVEA_OP(
    OpMad, template <class T> static T Of(T a, T b, T c) {
      return static_cast<T>(static_cast<Unsigned<T>>(a) * static_cast<Unsigned<T>>(b) +
                            static_cast<Unsigned<T>>(c));
    })
FOVEA_OP(
    OpMulHi, template <class T> static T Of(T a, T b) {
      if constexpr (sizeof(T) == 8) {
        __extension__ using Wide =
            std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>;
        return static_cast<T>(static_cast<Wide>(a) * b >> 64);
      } else {
        using Wide = std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>;
        return static_cast<T>(static_cast<Wide>(a) * b >> 32);
      }
    })
template <class T>
using Twice =
    std::conditional_t<sizeof(T) == 4, std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>,
                       std::conditional_t<std::is_signed_v<T>, int32_t, uint32_t>>;
FOVEA_OP(
    OpMulWide, template <class T> static Twice<T> Of(T a, T b) {
      return static_cast<Twice<T>>(a) * static_cast<Twice<T>>(b);
    })
FOVEA_OP(
    OpMadWide, template <class T, class W> static W Of(T a, T b, W c) {
      return static_cast<W>(static_cast<Unsigned<W>>(static_cast<W>(a) * static_cast<W>(b)) +
                            static_cast<Unsigned<W>>(c));
    })
FOVEA_OP(
    OpDiv, template <class T> static T Of(T a, T b) {
      if constexpr (std::is_integral_v<T>) {
        if (b == 0) return static_cast<T>(-1);
        if (std::is_signed_v<T> && b == static_cast<T>(-1)) {
          return static_cast<T>(0 - static_cast<Unsigned<T>>(a));
        }
      }
      return a / b;
    })
FOVEA_OP(
    OpRem, template <class T> static T Of(T a, T b) {
      if (b == 0) return a;
      if (std::is_signed_v<T> && b == static_cast<T>(-1)) return 0;
      return a % b;
    })
// Of a number and NaN, the number.
FOVEA_OP(
    OpMin, template <class T> static T Of(T a, T b) {
      if (a != a) return b;
      if (b != b) return a;
      return a < b ? a : b;
    })
FOVEA_OP(
    OpMax, template <class T> static T Of(T a, T b) {
      if (a != a) return b;
      if (b != b) return a;
      return a > b ? a : b;
    })
FOVEA_OP(
    OpNeg, template <class T> static T Of(T a) {
      if constexpr (std::is_integral_v<T>) return static_cast<T>(0 - static_cast<Unsigned<T>>(a));
      return -a;
    })
FOVEA_OP(
    OpAbs, template <class T> static T Of(T a) {
      if constexpr (std::is_floating_point_v<T>) return std::fabs(a);
      return a < 0 ? static_cast<T>(0 - static_cast<Unsigned<T>>(a)) : a;
    })
FOVEA_OP(
    OpAnd, template <class T> static T Of(T a, T b) { return a & b; })
FOVEA_OP(
    OpOr, template <class T> static T Of(T a, T b) { return a | b; })
FOVEA_OP(
    OpXor, template <class T> static T Of(T a, T b) { return a ^ b; })
FOVEA_OP(
    OpNot, template <class T> static T Of(T a) { return static_cast<T>(~a); })
FOVEA_OP(
    OpShl, template <class T> static T Of(T a, uint32_t by) {
      return by >= 8 * sizeof(T) ? T{0} : static_cast<T>(a << by);
    })
FOVEA_OP(
    OpShr, template <class T> static T Of(T a, uint32_t by) {
      const uint32_t most = 8 * sizeof(T) - 1;
      if (by > most) return std::is_signed_v<T> ? static_cast<T>(a >> most) : T{0};
      return static_cast<T>(a >> by);
    })
FOVEA_OP(
    OpCopy, template <class T> static T Of(T a) { return a; })
FOVEA_OP(
    OpFma, template <class T> static T Of(T a, T b, T c) { return std::fma(a, b, c); })
FOVEA_OP(
    OpFmaDown, static float Of(float a, float b, float c) {
      // The product of two floats is exact in double; the sum's error decides the last bit.
      const double product = static_cast<double>(a) * b, sum = product + c;
      const double part = sum - product, error = (product - (sum - part)) + (c - part);
      float rounded = static_cast<float>(sum);
      const double gap = static_cast<double>(rounded) - sum;
      if (gap > 0 || (gap == 0 && error < 0)) {
        rounded = std::nextafter(rounded, -std::numeric_limits<float>::infinity());
      }
      return rounded;
    })
inline float Flush(float x) {
  return std::fabs(x) < 1.17549435e-38f ? std::copysign(0.f, x) : x;
}
FOVEA_OP(
    OpExp2, static float Of(float a) { return std::exp2(a); })
FOVEA_OP(
    OpExp2Flush, static float Of(float a) { return Flush(std::exp2(Flush(a))); })
FOVEA_OP(
    OpLog2, static float Of(float a) { return std::log2(a); })
FOVEA_OP(
    OpLog2Flush, static float Of(float a) { return std::log2(Flush(a)); })
FOVEA_OP(
    OpReciprocal, static float Of(float a) { return 1.f / a; })
FOVEA_OP(
    OpReciprocalFlush, static float Of(float a) { return Flush(1.f / Flush(a)); })
FOVEA_OP(
    OpSqrt, static float Of(float a) { return std::sqrt(a); })
FOVEA_OP(
    OpRsqrt, static float Of(float a) { return 1.f / std::sqrt(a); })
FOVEA_OP(
    OpTanh, static float Of(float a) { return std::tanh(a); })
FOVEA_OP(
    OpCopySign, static float Of(float a, float b) { return std::copysign(b, a); })
FOVEA_OP(
    OpPopc,
    template <class T> static uint32_t Of(T a) { return static_cast<uint32_t>(std::popcount(a)); })
FOVEA_OP(
    OpClz, template <class T>
           static uint32_t Of(T a) { return static_cast<uint32_t>(std::countl_zero(a)); })
FOVEA_OP(
    OpBitInsert, template <class T> static T Of(T a, T b, uint32_t at, uint32_t count) {
      at &= 255;
      count &= 255;
      T r = b;
      for (uint32_t i = 0; i < count && at + i < 8 * sizeof(T); ++i) {
        const T bit = T{1} << (at + i);
        r = (r & ~bit) | ((a >> std::min<uint32_t>(i, 8 * sizeof(T) - 1) & 1) ? bit : T{0});
      }
      return r;
    })
FOVEA_OP(
    OpBitExtract, template <class T> static T Of(T a, uint32_t at, uint32_t count) {
      using U = std::make_unsigned_t<T>;
      const uint32_t width = 8 * sizeof(T);
      at &= 255;
      count &= 255;
      U v = at >= width ? U{0} : static_cast<U>(static_cast<U>(a) >> at);
      const bool sign = std::is_signed_v<T> && count > 0 &&
                        (static_cast<U>(a) >> std::min(at + count - 1, width - 1) & 1);
      if (count < width) {
        v &= (U{1} << count) - 1;
        if (sign) v |= static_cast<U>(~((U{1} << count) - 1));
      }
      return static_cast<T>(v);
    })
FOVEA_OP(
    OpPermute, static uint32_t Of(uint32_t a, uint32_t b, uint32_t selectors) {
      const uint64_t bytes = a | uint64_t{b} << 32;
      uint32_t r = 0;
      for (uint32_t i = 0; i < 4; ++i) {
        const uint32_t s = selectors >> 4 * i & 15;
        uint32_t byte = static_cast<uint32_t>(bytes >> 8 * (s & 7)) & 255;
        if (s & 8) byte = byte & 128 ? 255 : 0;
        r |= byte << 8 * i;
      }
      return r;
    })
FOVEA_OP(
    OpFunnel, static uint32_t Of(uint32_t low, uint32_t high, uint32_t by) {
      return static_cast<uint32_t>(((uint64_t{high} << 32 | low) << (by & 31)) >> 32);
    })

// The hottest ones with the processor's own instruction.
#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) void FmaAvx2(Warp& w, const Instr& in, uint32_t lanes) {
  const float *a = w.Reg<float>(in.s[0]), *b = w.Reg<float>(in.s[1]), *c = w.Reg<float>(in.s[2]);
  float result[kLanes];
  for (int i = 0; i < kLanes; ++i) result[i] = __builtin_fmaf(a[i], b[i], c[i]);
  float* const to = w.Reg<float>(in.d[0]);
  if (lanes == kAllLanes) {
    std::memcpy(to, result, sizeof result);
  } else {
    ForLanes(lanes, [&](int lane) { to[lane] = result[lane]; });
  }
}
Execute FmaF32() {
  return ProcessorInstructionSet() >= InstructionSet::kAvx2
             ? FmaAvx2
             : Map<OpFma, float, float, float, float>;
}
#else
Execute FmaF32() {
  return Map<OpFma, float, float, float, float>;
}
#endif

template <class T>
void Select(Warp& w, const Instr& in, uint32_t lanes) {
  T* const to = w.Reg<T>(in.d[0]);
  const T *a = w.Reg<T>(in.s[0]), *b = w.Reg<T>(in.s[1]);
  const uint32_t first = w.predicates[in.s[2]];
  ForLanes(lanes, [&](int lane) { to[lane] = first >> lane & 1 ? a[lane] : b[lane]; });
}

void PredicateCopy(Warp& w, const Instr& in, uint32_t m) {
  SetPredicate(w, in.d[0], m, w.predicates[in.s[0]]);
}
void PredicateNot(Warp& w, const Instr& in, uint32_t m) {
  SetPredicate(w, in.d[0], m, ~w.predicates[in.s[0]]);
}
template <class F>
void PredicateOf(Warp& w, const Instr& in, uint32_t m) {
  SetPredicate(w, in.d[0], m, F{}(w.predicates[in.s[0]], w.predicates[in.s[1]]));
}

using Table = std::map<std::string, Form>;

template <class T>
void AddIntegers(Table& t, const std::string& type) {
  const bool wide = sizeof(T) == 8;
  const char *one = wide ? "8=8" : "4=4", *two = wide ? "8=88" : "4=44";
  const char* three = wide ? "8=888" : "4=444";
  t["add." + type] = {two, Map<OpAdd, T, T, T>};
  t["sub." + type] = {two, Map<OpSub, T, T, T>};
  t["mul.lo." + type] = {two, Map<OpMul, T, T, T>};
  t["mul.hi." + type] = {two, Map<OpMulHi, T, T, T>};
  t["mad.lo." + type] = {three, Map<OpMad, T, T, T, T>};
  t["div." + type] = {two, Map<OpDiv, T, T, T>};
  t["rem." + type] = {two, Map<OpRem, T, T, T>};
  t["min." + type] = {two, Map<OpMin, T, T, T>};
  t["max." + type] = {two, Map<OpMax, T, T, T>};
  t["shr." + type] = {wide ? "8=84" : "4=44", Map<OpShr, T, T, uint32_t>};
  t["bfe." + type] = {wide ? "8=844" : "4=444", Map<OpBitExtract, T, T, uint32_t, uint32_t>};
  t["mov." + type] = {one, Map<OpCopy, T, T>};
  if (std::is_signed_v<T>) {
    t["neg." + type] = {one, Map<OpNeg, T, T>};
    t["abs." + type] = {one, Map<OpAbs, T, T>};
  }
  if constexpr (sizeof(T) == 4) {
    t["mul.wide." + type] = {"8=44", Map<OpMulWide, Twice<T>, T, T>};
    t["mad.wide." + type] = {"8=448", Map<OpMadWide, Twice<T>, T, T, Twice<T>>};
  }
}

template <class T>
void AddBits(Table& t, const std::string& type) {
  const bool wide = sizeof(T) == 8, narrow = sizeof(T) == 2;
  const char* one = wide ? "8=8" : narrow ? "2=2" : "4=4";
  const char* two = wide ? "8=88" : narrow ? "2=22" : "4=44";
  t["mov." + type] = {one, Map<OpCopy, T, T>};
  t["and." + type] = {two, Map<OpAnd, T, T, T>};
  t["or." + type] = {two, Map<OpOr, T, T, T>};
  t["xor." + type] = {two, Map<OpXor, T, T, T>};
  t["not." + type] = {one, Map<OpNot, T, T>};
  t["shl." + type] = {wide ? "8=84" : narrow ? "2=24" : "4=44", Map<OpShl, T, T, uint32_t>};
  t["selp." + type] = {wide ? "8=88p" : narrow ? "2=22p" : "4=44p", Select<Stored<T>>};
  if constexpr (sizeof(T) >= 4) {
    t["popc." + type] = {wide ? "4=8" : "4=4", Map<OpPopc, uint32_t, T>};
    t["clz." + type] = {wide ? "4=8" : "4=4", Map<OpClz, uint32_t, T>};
    t["bfi." + type] = {wide ? "8=8844" : "4=4444", Map<OpBitInsert, T, T, T, uint32_t, uint32_t>};
  }
}

template <class T>
void AddFloats(Table& t, const std::string& type) {
  const bool wide = sizeof(T) == 8;
  const char *one = wide ? "8=8" : "4=4", *two = wide ? "8=88" : "4=44";
  for (const std::string rounding : {"", ".rn"}) {
    t["add" + rounding + "." + type] = {two, Map<OpAdd, T, T, T>};
    t["sub" + rounding + "." + type] = {two, Map<OpSub, T, T, T>};
    t["mul" + rounding + "." + type] = {two, Map<OpMul, T, T, T>};
  }
  t["div.rn." + type] = {two, Map<OpDiv, T, T, T>};
  t["min." + type] = {two, Map<OpMin, T, T, T>};
  t["max." + type] = {two, Map<OpMax, T, T, T>};
  t["neg." + type] = {one, Map<OpNeg, T, T>};
  t["abs." + type] = {one, Map<OpAbs, T, T>};
  t["mov." + type] = {one, Map<OpCopy, T, T>};
  t["selp." + type] = {wide ? "8=88p" : "4=44p", Select<T>};
  t["fma.rn." + type] = {wide ? "8=888" : "4=444", Map<OpFma, T, T, T, T>};
}

Table MakeTable() {
  Table t;
  AddIntegers<int32_t>(t, "s32");
  AddIntegers<uint32_t>(t, "u32");
  AddIntegers<int64_t>(t, "s64");
  AddIntegers<uint64_t>(t, "u64");
  AddBits<uint32_t>(t, "b32");
  AddBits<uint64_t>(t, "b64");
  AddBits<uint16_t>(t, "b16");
  AddFloats<float>(t, "f32");
  AddFloats<double>(t, "f64");
  for (const std::string type : {"s16", "u16"}) {
    t["mov." + type] = {"2=2", Map<OpCopy, uint16_t, uint16_t>};
    t["add." + type] = {"2=22", Map<OpAdd, uint16_t, uint16_t, uint16_t>};
    t["sub." + type] = {"2=22", Map<OpSub, uint16_t, uint16_t, uint16_t>};
    t["mul.lo." + type] = {"2=22", Map<OpMul, uint16_t, uint16_t, uint16_t>};
  }
  t["selp.s32"] = t["selp.u32"] = t["selp.b32"];
  t["selp.s64"] = t["selp.u64"] = t["selp.b64"];
  t["selp.s16"] = t["selp.u16"] = t["selp.b16"];
  t["shr.b32"] = t["shr.u32"];
  t["shr.b64"] = t["shr.u64"];
  t["shr.u16"] = {"2=24", Map<OpShr, uint16_t, uint16_t, uint32_t>};
  t["mul.wide.u16"] = {"4=22", Map<OpMulWide, uint32_t, uint16_t, uint16_t>};
  t["mul.wide.s16"] = {"4=22", Map<OpMulWide, int32_t, int16_t, int16_t>};
  t["fma.rn.f32"] = {"4=444", FmaF32()};
  t["fma.rm.f32"] = {"4=444", Map<OpFmaDown, float, float, float, float>};
  t["ex2.approx.f32"] = {"4=4", Map<OpExp2, float, float>};
  t["ex2.approx.ftz.f32"] = {"4=4", Map<OpExp2Flush, float, float>};
  t["lg2.approx.f32"] = {"4=4", Map<OpLog2, float, float>};
  t["lg2.approx.ftz.f32"] = {"4=4", Map<OpLog2Flush, float, float>};
  t["rcp.rn.f32"] = t["rcp.approx.f32"] = {"4=4", Map<OpReciprocal, float, float>};
  t["rcp.approx.ftz.f32"] = {"4=4", Map<OpReciprocalFlush, float, float>};
  t["sqrt.rn.f32"] = t["sqrt.approx.f32"] = {"4=4", Map<OpSqrt, float, float>};
  t["rsqrt.approx.f32"] = {"4=4", Map<OpRsqrt, float, float>};
  t["tanh.approx.f32"] = {"4=4", Map<OpTanh, float, float>};
  t["div.full.f32"] = t["div.approx.f32"] = t["div.rn.f32"];
  t["copysign.f32"] = {"4=44", Map<OpCopySign, float, float, float>};
  t["prmt.b32"] = {"4=444", Map<OpPermute, uint32_t, uint32_t, uint32_t, uint32_t>};
  t["shf.l.wrap.b32"] = {"4=444", Map<OpFunnel, uint32_t, uint32_t, uint32_t, uint32_t>};
  t["cvta.to.global.u64"] = t["cvta.global.u64"] = t["mov.u64"];
  t["cvta.to.shared.u64"] = {"8=8", ToShared};
  t["cvta.shared.u64"] = {"8=8", OfShared};
  t["mov.pred"] = {"p=p", PredicateCopy};
  t["not.pred"] = {"p=p", PredicateNot};
  t["and.pred"] = {"p=pp", PredicateOf<std::bit_and<uint32_t>>};
  t["or.pred"] = {"p=pp", PredicateOf<std::bit_or<uint32_t>>};
  t["xor.pred"] = {"p=pp", PredicateOf<std::bit_xor<uint32_t>>};
  t["membar.gl"] = t["membar.cta"] = t["fence.acq_rel.gpu"] = {"=", Nothing};
  return t;
}

}  // namespace

const Form* FindArithmetic(const std::string& name) {
  static const Table table = MakeTable();
  const auto it = table.find(name);
  return it == table.end() ? nullptr : &it->second;
}

// ---- moves of parts ----------------------------------------------------------------------------

// bytes: of the halves.
void SplitHalves(Warp& w, const Instr& in, uint32_t lanes) {
  ForLanes(lanes, [&](int lane) {
    if (in.bytes == 4) {
      const uint64_t v = w.Reg<uint64_t>(in.s[0])[lane];
      w.Reg<uint32_t>(in.d[0])[lane] = static_cast<uint32_t>(v);
      w.Reg<uint32_t>(in.d[1])[lane] = static_cast<uint32_t>(v >> 32);
    } else {
      const uint32_t v = w.Reg<uint32_t>(in.s[0])[lane];
      w.Reg<uint32_t>(in.d[0])[lane] = v & 0xffff;
      w.Reg<uint32_t>(in.d[1])[lane] = v >> 16;
    }
  });
}

void JoinHalves(Warp& w, const Instr& in, uint32_t lanes) {
  ForLanes(lanes, [&](int lane) {
    const uint32_t low = w.Reg<uint32_t>(in.s[0])[lane], high = w.Reg<uint32_t>(in.s[1])[lane];
    if (in.bytes == 4) {
      w.Reg<uint64_t>(in.d[0])[lane] = low | uint64_t{high} << 32;
    } else {
      w.Reg<uint32_t>(in.d[0])[lane] = (low & 0xffff) | high << 16;
    }
  });
}

void ReadSpecial(Warp& w, const Instr& in, uint32_t lanes) {
  const Block& b = *w.block;
  ForLanes(lanes, [&](int lane) {
    const uint32_t thread = static_cast<uint32_t>(w.id * kLanes + lane);
    const uint32_t values[] = {thread % b.threads.x,
                               thread / b.threads.x % b.threads.y,
                               thread / b.threads.x / b.threads.y,
                               b.threads.x,
                               b.threads.y,
                               b.threads.z,
                               b.id.x,
                               b.id.y,
                               b.id.z,
                               b.grid.x,
                               b.grid.y,
                               b.grid.z,
                               static_cast<uint32_t>(lane),
                               static_cast<uint32_t>(w.id)};
    w.Reg<uint32_t>(in.d[0])[lane] = values[in.mode];
  });
}

}  // namespace fovea::ptx
