// Where a Vision Transformer sees one class: relevance by gradients (Chefer et al. 2021,
// arXiv:2103.15679, its rule for self-attention).
//
//   R <- I, then from the first layer to the last R <- R + A' R,  A' = mean of heads of
//   relu(dy/dA * A),  A the attention, y the answer that is asked about; shown is the row of the
//   token that y is read from (of DeiT's two: the mean of both rows), which is propagated alone,
//   last layer first: no product of matrices is formed.
// y is the class's logit; of CLIP 100 times the cosine of the picture's and a text's vector.
#pragma once

#include <string>
#include <vector>

#include "models/vit/vit_gradient.h"
#include "pipelines/forward/forward.h"
#include "pipelines/maps/heat_map.h"
#include "pipelines/maps/map_selection.h"

namespace fovea {

// CLIP's largest scale of cosines, which training ends at.
inline constexpr double kClipLogitScale = 100;

struct RelevanceTarget {
  std::string name;         // what the map is called
  int64_t index = 0;        // of the class, of a classifier
  std::vector<float> text;  // of CLIP: the text's vector, of any length but 0
};

// Throws kUsage for a target that the model cannot be asked about, kUnsupported for models without
// classes and texts.
void CheckTarget(const VitConfig& model, const RelevanceTarget& target);

// dy/d pooled, given what the model made of the picture.
std::vector<float> TargetGradient(const VitConfig& model, const RelevanceTarget& target,
                                  std::span<const float> pooled);

// Of one way back, through the chosen layers and heads (all where none is chosen): R; then, where
// maps are told apart by layer or head, that row of A' of each layer, and of relu(dy/dA * A) of
// each head. `kind` and `word` are the caller's to set.
std::vector<AttentionMap> RelevanceOf(Context& ctx, const VisionTransformer& model,
                                      std::span<const Tensor> hidden_states, const VitTape& tape,
                                      std::span<const float> d_pooled,
                                      const MapSelection& selection);

// A pass with `inputs` (pixel_values; sample 0 counts), in f32 whatever `options` say, and one way
// back for each target; "chefer" maps by target. Empty when cancelled. Throws as CheckTarget and
// VitTape do.
std::vector<AttentionMap> GradientMaps(Component& component, Backend& backend,
                                       const NamedTensors& inputs,
                                       std::span<const RelevanceTarget> targets,
                                       const MapSelection& selection,
                                       const ForwardOptions& options);

}  // namespace fovea
