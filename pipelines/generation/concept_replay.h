// One step of a run twice more: with the prompt, and with concepts in its place
// (maps/concept_maps.h).
#pragma once

#include <span>
#include <string>

#include "pipelines/generation/pipeline_stages.h"
#include "pipelines/generation/replay.h"
#include "pipelines/maps/concept_maps.h"

namespace fovea {

// Without guidance and of one picture, on a network with joint attention. A concept is read by the
// model's own text encoders; the state of its last token stands for it. Takes of ctx.arena what a
// step of the run takes, and ConceptBytes. False: cancelled.
bool ReplayConcepts(Context& ctx, const DiffusionModel& model, const GenerateSettings& settings,
                    const Start& start, const StoredStep& step,
                    std::span<const std::string> concepts, ImageStreamKeeper& keeper,
                    ConceptReader& reader);
size_t ConceptBytes(const DiffusionModel& model, const GenerateSettings& settings, size_t concepts);

}  // namespace fovea
