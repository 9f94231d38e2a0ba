// `fovea inspect` without its files: a run that is watched, and the maps that come of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pipelines/generation/text_to_image.h"
#include "pipelines/maps/gradient_relevance.h"
#include "pipelines/maps/grid_maps.h"
#include "pipelines/maps/heat_map.h"
#include "pipelines/maps/map_selection.h"
#include "pipelines/maps/vit_maps.h"
#include "pipelines/maps/word_maps.h"
#include "pipelines/vision/picture_model.h"

namespace fovea {

struct InspectRequest {
  std::vector<std::string> kinds;
  std::vector<std::string> words;  // empty: every word of the prompt
  bool among_words = false;        // as WordMaps
  MapSelection selection;
  // Row and column on the finest grid of the model's image tokens; none: its middle.
  std::optional<std::pair<int, int>> query;
  RolloutOptions rollout;
  std::vector<RelevanceTarget> targets;  // of chefer; empty: the class that the model answers
  // As SegmentOptions::threshold; none: DiffSeg's 0.9, which is for 4096 tokens, in proportion to
  // the tokens of coarser grids, whose rows are flatter.
  std::optional<double> segment_threshold;
};

std::vector<std::string> DiffusionMapKinds();
std::vector<std::string> VitMapKinds();
// Throws kUsage for kinds that nobody has, kUnsupported for those of the other sort of model.
void CheckMapKinds(const std::vector<std::string>& kinds, const std::vector<std::string>& of_model,
                   const std::vector<std::string>& of_others);

struct Inspection {
  bool cancelled = false;
  std::vector<AttentionMap> maps;  // by kind in the order asked for
  TextShares shares;               // where words were looked at
  std::vector<EntropyMaps::Row> entropy;
};

// Runs `settings` (resolved, a batch of one, one pass) with the listeners that the kinds need.
// Nothing of the picture changes by that. Throws kUsage, kUnsupported before the run where words,
// layers, heads, steps or the query are not there.
Inspection InspectRun(TextToImage& pipeline, const GenerateSettings& settings,
                      const GenerateInputs& inputs, const InspectRequest& request,
                      const GenerateHooks& hooks, Generated* generated);

// What `labels` (--label) name: classes of the model, or texts to CLIP, whose text encoder is then
// looked for in `folder`. Throws kUsage, kUnsupported.
std::vector<RelevanceTarget> FindTargets(const ModelFolder& folder, PictureModel& model,
                                         Backend& backend, const std::vector<std::string>& labels,
                                         const ForwardOptions& options);

Inspection InspectPicture(PictureModel& model, Backend& backend, const Image& picture,
                          const InspectRequest& request, const ForwardOptions& options);

}  // namespace fovea
