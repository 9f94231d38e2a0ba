// Which tokens stand out in the hidden states that attention layers are given: large norms
// (registers), massive activations, sinks.
//
//   registers  grid tokens whose norm is above a cutoff (Darcet et al. 2023, arXiv:2309.16588): 150
//              as published for DINOv2 giant and large, 30 for OpenCLIP B/16, and, as cutoffs are
//              each model's own, Otsu's on ln norm
//   massive    |x| > 100 and at least 1000 times the median of |x| over the pass's hidden states
//              (Sun et al. 2024, arXiv:2402.17762)
//   sinks      phi = max over dimensions of |RMSNorm(x)| > 20, no gain, eps 1e-6 (Kang et al. 2025,
//              arXiv:2503.03321), over all dimensions instead of given ones; phi is at most the
//              root of the width, so a network narrower than 401 cannot have one
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "attention/attention_listener.h"

namespace fovea {

struct TokenCounts {  // by kind of token
  int64_t grid = 0, cls = 0, registers = 0, text = 0;
};

// Of one layer, over all passes.
struct TokenPattern {
  std::string layer;
  int site = 0;
  int64_t passes = 0, grid_tokens = 0, width = 0;
  double median_norm = 0, max_norm = 0;  // of grid tokens
  double single_norm = 0;                // median of class and register tokens; 0: there are none
  double otsu_cut = 0;                   // a norm
  double otsu_separation = 0;  // share of the variance of ln norm between both sides of the cut
  double above_otsu = 0, above_150 = 0, above_30 = 0;  // shares of grid tokens
  double median_value = 0, max_value = 0;              // of |x|: mean over passes, largest of all
  TokenCounts massive;                                 // activations
  std::set<int64_t> massive_dims;
  TokenCounts sinks;  // tokens
  std::set<int64_t> sink_dims;
  double max_phi = 0;
};

// Looks at self and joint attention whose AttentionIo::hidden is given.
class TokenStatistics final : public AttentionListener {
 public:
  void Attended(Context& ctx, const AttentionCall& call) override;
  std::vector<TokenPattern> Finish() const;  // in order of the layers

 private:
  struct Layer {
    TokenPattern pattern;
    double medians = 0;
    std::vector<float> grid_norms, single_norms;
  };
  std::map<int, Layer> layers_;
};

// Hidden states (b,t,c) of any float type as f32, dense. `hidden` is dense and on the host.
std::vector<float> HiddenStates(const Tensor& hidden);

struct OtsuCut {
  double cut = 0, separation = 0;
};
// The cut in two that has the largest variance between them (Otsu 1979), exact, in the middle of
// the two values that it parts. All equal, or fewer than 2 values: the largest, separation 0.
OtsuCut FindOtsuCut(std::span<const float> values);

}  // namespace fovea
