// Keys normalised over the tokens, channel by channel: one scan in any number of dimensions.
#include <algorithm>
#include <cmath>

#include "attention/ops/linear/linear_attention.h"

namespace fovea {
namespace {

class LightNet final : public LinearForm {
 public:
  LinearFeatures Of(const LinearHead& head) const override {
    const auto n = static_cast<size_t>(head.tokens), d = static_cast<size_t>(head.dim);
    LinearFeatures f{{head.q.begin(), head.q.end()}, {head.k.begin(), head.k.end()}};
    for (double& x : f.q) x /= 1 + std::exp(-x);
    for (size_t c = 0; c < d; ++c) {
      double largest = -INFINITY, sum = 0;
      for (size_t t = 0; t < n; ++t) largest = std::max(largest, f.k[t * d + c]);
      for (size_t t = 0; t < n; ++t) sum += f.k[t * d + c] = std::exp(f.k[t * d + c] - largest);
      for (size_t t = 0; t < n; ++t) f.k[t * d + c] /= sum;
    }
    return f;
  }
};

}  // namespace

const LinearEntry kLightNet = {
    "lightnet",
    {"silu(q) (softmax(k)T v), the softmax over tokens for each channel",
     "Qin et al. 2024, LightNet, arXiv:2405.21022", "4 d^2 FLOPs a query",
     "cross-attention, causal attention; has no lse"},
    {},
    [](const OpArgs&) -> std::unique_ptr<const LinearForm> {
      return std::make_unique<LightNet>();
    }};

}  // namespace fovea
