// Which heads matter: what becomes of a model's answers when heads are ablated.
//
// The metrics are those of "How Does Attention Work in Vision Transformers? A Visual Analytics
// Attempt" (Li et al., arXiv:2303.13731) as far as they are known to us: its text gives no formulas
// that we could read, so these are ours, with p the answer's distribution before and q after:
//   loss         ln p_y - ln q_y of the right answer y
//   probability  p_y - q_y
//   js           Jensen-Shannon divergence of p and q, nats, 0 to ln 2; needs no right answer
//   drift        1 - the cosine of the model's output vectors
//   local drift  1 - the cosine of the states right after the head's own block, token by token, of
//                class tokens and of patches; after the last block with the model's last norm, if
//                any
//   flips        whether the most probable answer changed
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "pipelines/analytics/head_ablation.h"

namespace fovea {

struct PictureReading {
  std::vector<double> p = {};      // of the answers, sums to 1
  std::vector<float> vector = {};  // the model's output
  std::vector<float> states = {};  // (tokens, width) after the last layer; empty: not known
};
// Runs the model over one picture with these listeners.
using PictureReader =
    std::function<PictureReading(size_t picture, const std::vector<AttentionListener*>& listeners)>;

inline constexpr double kUnknownDrift = std::numeric_limits<double>::quiet_NaN();

struct AblationEffect {  // means over pictures
  double loss = 0, probability = 0, js = 0, drift = 0, flips = 0;
  double accuracy = 0;    // of what is left: how often y is the most probable answer
  double left_loss = 0;   // -ln q_y
  double loss_error = 0;  // of the mean of `loss`: 1.96 standard errors
  // NaN where several heads are ablated, states are not known or there are no such tokens.
  double class_drift = kUnknownDrift, patch_drift = kUnknownDrift;
};
AblationEffect EffectOf(std::span<const PictureReading> before,
                        std::span<const PictureReading> after, std::span<const size_t> right);

// What each block of one pass was given.
class BlockStates final : public AttentionListener {
 public:
  void Attended(Context& ctx, const AttentionCall& call) override;
  // What left the block of this site: what the next one was given, or `last`.
  const std::vector<float>& After(int site, const std::vector<float>& last) const;
  const TokenLayout& Layout() const { return layout_; }

 private:
  std::map<int, std::vector<float>> given_;  // by site: (tokens, width)
  TokenLayout layout_;
};

// A set of pictures read once intact, ready for ablations. Keeps of each what its heads put out and
// what its blocks were given: layers * 2 * tokens * width floats.
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
  std::vector<BlockStates> states_;  // of the intact passes
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
