// A batch as groups of pictures that are made side by side, so that each group is on disk before
// the next begins and memory does not grow with the batch.
#pragma once

#include <optional>

#include "pipelines/generation/text_to_image.h"

namespace fovea {

struct PictureGroups {
  int at_once = 1;        // pictures of a group; the last group may have fewer
  Prediction prediction;  // of memory: the largest group's; of work: all groups'
};

// Small pictures go several at once, large ones alone, fewer where memory is short; all at once
// with `together`. `settings` are resolved. Throws kOutOfMemory where not even one picture, or all
// together, fit, and what DryRun throws.
PictureGroups PlanGroups(TextToImage& pipeline, const GenerateSettings& settings,
                         const GenerateInputs& inputs, bool together);

// The settings of the pictures from `first` on, `count` of them: their own seeds.
GenerateSettings GroupSettings(const GenerateSettings& all, int first, int count);

// Rows [first, first + count) of a tensor of the whole batch.
HostTensor GroupRows(const HostTensor& all, int first, int count);

// What several groups made, as one run: times and calls add up, pictures are left out, and latents
// are kept where `keep_latents` says so.
void AddGroup(const Generated& group, bool keep_latents, std::optional<Generated>* all);

}  // namespace fovea
