// Flow attention: what flows in and out of each token is conserved.
#include <algorithm>
#include <cmath>

#include "attention/ops/linear/linear_attention.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {
    {"eps", "core", "where the published code adds 1e-6: core, or cv (its vision network)"}};

using Rows = std::vector<double>;  // (tokens, dim)

double Sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

class Flow final : public LinearForm {
 public:
  explicit Flow(bool cv) : more_(cv ? 1e-6 : 0) {}

  LinearFeatures Of(const LinearHead& head) const override {
    const auto n = static_cast<size_t>(head.tokens), d = static_cast<size_t>(head.dim);
    LinearFeatures f{Rows(head.q.begin(), head.q.end()), Rows(head.k.begin(), head.k.end())};
    for (double& x : f.q) x = Sigmoid(x);
    for (double& x : f.k) x = Sigmoid(x);
    const Rows ones(n, 1);
    Rows in = Flows(f.q, Sums(f.k, ones, d), d), out = Flows(f.k, Sums(f.q, ones, d), d);
    for (double& x : in) x = 1 / (x + more_);
    for (double& x : out) x = 1 / (x + more_);
    // What each token takes and gives once the other side is conserved.
    const Rows taken = Flows(f.q, Sums(f.k, out, d), d), given = Flows(f.k, Sums(f.q, in, d), d);
    Rows share(n);
    double sum = 0;
    for (size_t j = 0; j < n; ++j)
      sum += share[j] = std::exp(std::clamp(given[j] + more_, -1.0, 1.0));
    for (size_t i = 0; i < n; ++i) {
      const double gate = Sigmoid(taken[i] + more_) * in[i];
      const double weight = share[i] / sum * double(n);
      for (size_t c = 0; c < d; ++c) f.q[i * d + c] *= gate, f.k[i * d + c] *= weight;
    }
    return f;
  }

 private:
  static constexpr double kSmall = 1e-6;

  // By channel: the sum over tokens of x times a weight of each token, and a little.
  static Rows Sums(const Rows& x, const Rows& weights, size_t d) {
    Rows sums(d, kSmall);
    for (size_t t = 0; t < weights.size(); ++t) {
      for (size_t c = 0; c < d; ++c) sums[c] += x[t * d + c] * weights[t];
    }
    return sums;
  }
  static Rows Flows(const Rows& x, const Rows& sums, size_t d) {
    Rows flows(x.size() / d);
    for (size_t t = 0; t < flows.size(); ++t) {
      for (size_t c = 0; c < d; ++c) flows[t] += (x[t * d + c] + kSmall) * sums[c];
    }
    return flows;
  }

  double more_;
};

}  // namespace

const LinearEntry kFlow = {
    "flow",
    {"sigmoid features, queries and keys scaled so that what flows in and out is conserved",
     "Wu et al. 2022, Flowformer, arXiv:2202.06258", "4 d^2 FLOPs a query",
     "cross-attention, causal attention; has no lse"},
    kArgs,
    [](const OpArgs& args) -> std::unique_ptr<const LinearForm> {
      return std::make_unique<Flow>(args.Word("eps", {"core", "cv"}) == "cv");
    }};

}  // namespace fovea
