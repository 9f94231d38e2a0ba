// ConceptAttention: which parts of a picture a diffusion transformer takes for which concept.
//
// Helbling et al., "ConceptAttention: Diffusion Transformers Learn Highly Interpretable Features"
// (2025), arXiv:2502.04320. Concepts ride along the text stream and read the picture, which never
// sees them: o_c = softmax(q_c [k_c; k_x]) [v_c; v_x] beside the picture's own o_x, which reads the
// prompt. The score of a concept and an image token is <o_c, o_x> over all heads; a map is the
// softmax over concepts, averaged over layers and steps.
//
// No network knows of concepts. It runs twice on the same latents: with the prompt, when
// ImageStreamKeeper keeps what the attention gives to the picture, and with the concepts in the
// prompt's place, when ConceptReader puts this back, layer by layer. Everything else is done token
// by token, so the picture's stream is the first run's to the last bit. Unlike the published code,
// the concepts' modulation is the prompt's.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "pipelines/maps/map_sums.h"
#include "tensor/memory/host_tensor.h"

namespace fovea {

// The outputs of joint attention at image tokens, of the prompt's sample.
class ImageStreamKeeper final : public AttentionListener {
 public:
  void Attended(Context& ctx, const AttentionCall& call) override;
  const HostTensor* Find(int site) const;  // (tokens,heads,d) in the dtype of the run, or null
  bool Empty() const { return kept_.empty(); }
  void Clear() { kept_.clear(); }

 private:
  std::map<int, HostTensor> kept_;
};

class ConceptReader final : public AttentionListener {
 public:
  // `layers` of the selection count, its heads, too; empty: all joint attention of two streams and
  // of one. The text of the second run must be one token for each concept, in this order.
  ConceptReader(std::vector<std::string> concepts, const ImageStreamKeeper& image,
                const MapSelection& selection);
  void Attended(Context& ctx, const AttentionCall& call) override;
  std::vector<AttentionMap> Finish() const { return sums_.Finish(false); }
  bool Empty() const { return sums_.Empty(); }

 private:
  size_t count_;
  const ImageStreamKeeper& image_;
  MapSelection selection_;
  MapSums sums_;
};

}  // namespace fovea
