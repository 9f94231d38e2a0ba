#include "pipelines/sampling/schedulers/beta_quantile.h"

#include <cmath>

#include "tensor/error.h"

namespace fovea {
namespace {

// The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method.
double Fraction(double x, double a, double b) {
  constexpr double kTiny = 1e-300;
  const auto away_from_zero = [](double v) { return std::abs(v) < kTiny ? kTiny : v; };
  double c = 1, d = 1 / away_from_zero(1 - (a + b) * x / (a + 1)), value = d;
  for (int m = 1; m < 500; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away_from_zero(1 + even * d);
    c = away_from_zero(1 + even / c);
    value *= c * d;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away_from_zero(1 + odd * d);
    c = away_from_zero(1 + odd / c);
    value *= c * d;
    if (std::abs(c * d - 1) < 1e-16) break;
  }
  return value;
}

// The regularised incomplete beta function: the cumulative distribution at x.
double Cumulative(double x, double a, double b) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front = std::pow(x, a) * std::pow(1 - x, b) / std::beta(a, b);
  // The fraction converges fast on this side of the mean only.
  if (x < (a + 1) / (a + b + 2)) return front * Fraction(x, a, b) / a;
  return 1 - front * Fraction(1 - x, b, a) / b;
}

}  // namespace

double BetaQuantile(double p, double a, double b) {
  ENSURE(p >= 0 && p <= 1 && a > 0 && b > 0);
  if (p <= 0 || p >= 1) return p <= 0 ? 0 : 1;
  double low = 0, high = 1;
  while (true) {
    const double middle = (low + high) / 2;
    if (middle <= low || middle >= high) return middle;  // neighbours in double precision
    (Cumulative(middle, a, b) < p ? low : high) = middle;
  }
}

}  // namespace fovea
