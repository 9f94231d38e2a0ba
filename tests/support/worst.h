// How far are computed values from the wanted ones, at worst? NaN is never forgotten.
#pragma once

#include <cmath>
#include <limits>

namespace fovea {

// Gathers |got - want|. The answer is NaN where any value was NaN, or where nothing was compared:
// every comparison with it (`<= limit` as well as `> limit`) then fails. Infinities agree with
// those of the same sign alone; otherwise they are infinitely far.
class Worst {
 public:
  // `unit` is what the distance is counted in: the magnitude of `want` where errors are relative,
  // or a limit of this one value.
  void Add(double got, double want, double unit = 1) {
    const bool same_infinity = std::isinf(want) && got == want;
    Keep(&worst_, (same_infinity ? 0 : std::abs(got - want)) / unit);
    Keep(&largest_, std::abs(want));
  }

  double Value() const { return worst_ < 0 ? std::numeric_limits<double>::quiet_NaN() : worst_; }
  // Over the largest |want|; NaN where all are zero.
  double Relative() const { return Value() / largest_; }
  double LargestWanted() const { return largest_; }

 private:
  // Once NaN, always NaN: no number is larger than it.
  static void Keep(double* largest, double value) {
    if (std::isnan(value) || value > *largest) *largest = value;
  }

  double worst_ = -1, largest_ = 0;
};

}  // namespace fovea
