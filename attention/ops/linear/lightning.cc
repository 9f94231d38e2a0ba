// SiLU features without a normaliser, with or without decay over the distance.
#include <cmath>

#include "attention/ops/linear/linear_attention.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {
    {"decay", "off",
     "on: weights fall with the distance in the sequence, by a slope of each head"}};

// Slopes of Press et al. 2021 (ALiBi, arXiv:2108.12409), for any number of heads.
double Slope(int head, int heads) {
  int power = 1;
  while (2 * power <= heads) power *= 2;
  if (head < power) return std::exp2(-8.0 * (head + 1) / power);
  return std::exp2(-8.0 * (2 * (head - power) + 1) / (2 * power));
}

class Lightning final : public LinearForm {
 public:
  explicit Lightning(bool decays) : decays_(decays) {}
  LinearFeatures Of(const LinearHead& head) const override {
    LinearFeatures f{{head.q.begin(), head.q.end()}, {head.k.begin(), head.k.end()}};
    for (auto* rows : {&f.q, &f.k}) {
      for (double& x : *rows) x /= 1 + std::exp(-x);
    }
    if (decays_) f.decay = std::exp(-Slope(head.layer_head, head.layer_heads));
    return f;
  }

 private:
  bool decays_;
};

}  // namespace

const LinearEntry kLightning = {
    "lightning",
    {"silu(q) (silu(k)T v), without scale or normaliser: a norm follows in its network",
     "Qin et al. 2024, Lightning Attention, arXiv:2401.04658, arXiv:2405.17381 (decay in both "
     "directions is ours)",
     "4 d^2 FLOPs a query", "cross-attention, causal attention; has no lse"},
    kArgs,
    [](const OpArgs& args) -> std::unique_ptr<const LinearForm> {
      return std::make_unique<Lightning>(args.Word("decay", {"off", "on"}) == "on");
    }};

}  // namespace fovea
