// What a Vision Transformer's class token looks at: its attention, and attention followed through
// all layers.
//
//   cls        rows of the class token (Caron et al. 2021, DINO); the mean of the patches' rows
//   where a
//              model has none
//   rollout    r <- r A~, from the last layer to the first, A~ = (A + I) / 2 with rows that sum to
//   1,
//              A the mean over heads (Abnar & Zuidema 2020, arXiv:2005.00928); options as
//              jacobgil's vit-explain: the largest or smallest head instead of the mean, the
//              smallest weights of each layer left out
//   relevance  rollout with every weight times the norm of the value that it carries, head by head
//              (after Kobayashi et al. 2020, arXiv:2004.10102, before the output projection):
//              tokens that are looked at but say nothing fade. No gradients: it is about the
//              model's state, not about one class.
// Only the class token's row of the product is propagated; no product of matrices is formed.
#pragma once

#include <memory>
#include <vector>

#include "attention/probe/kept_attention.h"
#include "pipelines/maps/heat_map.h"
#include "pipelines/maps/map_selection.h"

namespace fovea {

enum class HeadFusion : uint8_t { kMean, kMax, kMin };

struct RolloutOptions {
  HeadFusion fusion = HeadFusion::kMean;
  double discard = 0;  // share of each layer's smallest weights that are taken as 0
};

// "mean", "max,0.9". Throws kUsage.
RolloutOptions ParseRollout(const std::string& text);

// Keeps queries, keys and values of every self-attention of a pass.
class LayerKeeper final : public AttentionListener {
 public:
  void Attended(Context& ctx, const AttentionCall& call) override;
  const std::vector<std::unique_ptr<KeptAttention>>& Layers() const { return layers_; }
  // Hands them over; none is left.
  std::vector<std::shared_ptr<const KeptAttention>> TakeLayers() {
    std::vector<std::shared_ptr<const KeptAttention>> taken;
    for (auto& each : layers_) taken.push_back(std::move(each));
    layers_.clear();
    return taken;
  }

 private:
  std::vector<std::unique_ptr<KeptAttention>> layers_;
};

// Of sample 0. Layers and heads as chosen; of no layer chosen, the last one.
std::vector<AttentionMap> ClassMaps(Context& ctx, const LayerKeeper& kept,
                                    const MapSelection& selection);
// Through the chosen layers and heads; all where none is chosen.
AttentionMap RolloutMap(Context& ctx, const LayerKeeper& kept, const MapSelection& selection,
                        const RolloutOptions& options);
AttentionMap RelevanceMap(Context& ctx, const LayerKeeper& kept, const MapSelection& selection);

}  // namespace fovea
