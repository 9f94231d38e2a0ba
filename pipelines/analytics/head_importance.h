// Which heads matter: what becomes of a model's answers when heads are ablated.
//
// The metrics are those of "How Does Attention Work in Vision Transformers? A Visual Analytics
// Attempt" (Li et al., arXiv:2303.13731) as far as they are known to us: its text gives no formulas
// that we could read, so these are ours, with p the answer's distribution before and q after:
//   loss         ln p_y - ln q_y of the right answer y
//   probability  p_y - q_y
//   js           Jensen-Shannon divergence of p and q, nats, 0 to ln 2; needs no right answer
//   drift        1 - the cosine of the model's output vectors
//   flips        whether the most probable answer changed
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "pipelines/analytics/head_ablation.h"

namespace fovea {

struct PictureReading {
  std::vector<double> p;      // of the answers, sums to 1
  std::vector<float> vector;  // the model's output
};
// Runs the model over one picture with these listeners.
using PictureReader =
    std::function<PictureReading(size_t picture, const std::vector<AttentionListener*>& listeners)>;

struct AblationEffect {  // means over pictures
  double loss = 0, probability = 0, js = 0, drift = 0, flips = 0;
  double accuracy = 0;    // of what is left: how often y is the most probable answer
  double left_loss = 0;   // -ln q_y
  double loss_error = 0;  // of the mean of `loss`: 1.96 standard errors
};
AblationEffect EffectOf(std::span<const PictureReading> before,
                        std::span<const PictureReading> after, std::span<const size_t> right);

// A set of pictures read once intact, ready for ablations.
class HeadStudy {
 public:
  // right[i] is the answer of picture i. Reads every picture once.
  HeadStudy(std::vector<size_t> right, PictureReader reader);

  const HeadOutputs& Outputs() const { return outputs_; }
  std::vector<HeadId> Heads() const { return outputs_.Heads(); }
  // What becomes of `pictures` (numbers) without `heads`.
  AblationEffect Ablate(Ablation ablation, const std::vector<HeadId>& heads,
                        std::span<const size_t> pictures) const;

 private:
  std::vector<size_t> right_;
  PictureReader reader_;
  HeadOutputs outputs_;
  std::vector<PictureReading> intact_;
};

// Whether a ranking means something: heads are removed together, the most important first, the
// least important first, and in random orders; on other pictures than the ranking was made on.
struct RemovalPoint {
  int removed = 0;
  AblationEffect top, bottom;
  double random_loss = 0, random_accuracy = 0;   // means over random orders
  double random_lowest = 0, random_highest = 0;  // of left_loss
};
// `ranked`: all heads, the most important first. Random orders come of `seed`.
std::vector<RemovalPoint> RemovalCurve(const HeadStudy& study, Ablation ablation,
                                       const std::vector<HeadId>& ranked,
                                       std::span<const size_t> pictures, int random_orders,
                                       uint64_t seed);

}  // namespace fovea
