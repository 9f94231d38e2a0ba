// Comparisons: which relation of which type.
#include <map>

#include "tests/ptx/forms.h"
#include "tests/ptx/lanes.h"

namespace fovea::ptx {
namespace {

enum class Cmp { kEq, kNe, kLt, kLe, kGt, kGe, kEqu, kNeu, kLtu, kLeu, kGtu, kGeu, kNum, kNan };

template <class T, Cmp kCmp>
bool Holds(T a, T b) {
  const bool unordered = a != a || b != b;
  switch (kCmp) {
    case Cmp::kEq:
      return a == b;
    case Cmp::kNe:
      return a != b && !unordered;
    case Cmp::kLt:
      return a < b;
    case Cmp::kLe:
      return a <= b;
    case Cmp::kGt:
      return a > b;
    case Cmp::kGe:
      return a >= b;
    case Cmp::kEqu:
      return a == b || unordered;
    case Cmp::kNeu:
      return a != b;
    case Cmp::kLtu:
      return a < b || unordered;
    case Cmp::kLeu:
      return a <= b || unordered;
    case Cmp::kGtu:
      return a > b || unordered;
    case Cmp::kGeu:
      return a >= b || unordered;
    case Cmp::kNum:
      return !unordered;
    case Cmp::kNan:
      return unordered;
  }
  return false;
}

template <class T, Cmp kCmp>
void Compare(Warp& w, const Instr& in, uint32_t lanes) {
  const auto *a = w.Reg<Stored<T>>(in.s[0]), *b = w.Reg<Stored<T>>(in.s[1]);
  uint32_t yes = 0;
  for (int lane = 0; lane < kLanes; ++lane) {
    yes |= uint32_t{Holds<T, kCmp>(static_cast<T>(a[lane]), static_cast<T>(b[lane]))} << lane;
  }
  uint32_t no = ~yes;
  const uint32_t other = in.mode == kNoCombine ? 0 : w.predicates[in.s[2]];
  if (in.mode == kCombineAnd) yes &= other, no &= other;
  if (in.mode == kCombineOr) yes |= other, no |= other;
  if (in.mode == kCombineXor) yes ^= other, no ^= other;
  SetPredicate(w, in.d[0], lanes, yes);
  if (in.nd > 1) SetPredicate(w, in.d[1], lanes, no);
}

template <class T, size_t... I>
Execute Pick(size_t which, std::index_sequence<I...>) {
  constexpr Execute all[] = {Compare<T, static_cast<Cmp>(I)>...};
  return all[which];
}

}  // namespace

void PutPredicate(Warp& w, const Instr& in, uint32_t lanes) {
  SetPredicate(w, in.d[0], lanes, in.offset ? kAllLanes : 0);
}

Execute FindComparison(const std::string& comparison, const std::string& type) {
  static const std::map<std::string, size_t> names = {
      {"eq", 0},  {"ne", 1},  {"lt", 2},   {"le", 3},   {"gt", 4},   {"ge", 5},
      {"lo", 2},  {"ls", 3},  {"hi", 4},   {"hs", 5},   {"equ", 6},  {"neu", 7},
      {"ltu", 8}, {"leu", 9}, {"gtu", 10}, {"geu", 11}, {"num", 12}, {"nan", 13}};
  const auto it = names.find(comparison);
  if (it == names.end()) return nullptr;
  const std::make_index_sequence<14> all;
  if (type == "f32") return Pick<float>(it->second, all);
  if (type == "f64") return Pick<double>(it->second, all);
  if (it->second >= 6) return nullptr;
  if (type == "s32") return Pick<int32_t>(it->second, all);
  if (type == "u32" || type == "b32") return Pick<uint32_t>(it->second, all);
  if (type == "s64") return Pick<int64_t>(it->second, all);
  if (type == "u64" || type == "b64") return Pick<uint64_t>(it->second, all);
  if (type == "s16") return Pick<int16_t>(it->second, all);
  if (type == "u16" || type == "b16") return Pick<uint16_t>(it->second, all);
  return nullptr;
}

}  // namespace fovea::ptx
