// The quantile function of the beta distribution.
#pragma once

namespace fovea {

// x in [0, 1] at which the cumulative distribution reaches p, to about 1e-15. a, b > 0.
double BetaQuantile(double p, double a, double b);

}  // namespace fovea
