// What a pipeline folder says beside its components: fovea.json, and the settings that
// StableDiffusionPipeline overrides in its scheduler.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "models/config.h"

namespace fovea {

// The optional fovea.json; what it leaves out is empty.
struct ModelDefaults {
  std::optional<int> width, height, steps, max_sequence_length;
  std::optional<double> cfg, cfg_rescale;
  std::string sampler, prompt;
};

// Reads `folder`/fovea.json if there is one. Throws kBadFile for unknown fields and broken values.
ModelDefaults ReadModelDefaults(const std::filesystem::path& folder);

// The scheduler's config as StableDiffusionPipeline leaves it: steps_offset 1, clip_sample false,
// whatever the file says; for a sampler taken over by name only where the file says something
// (diffusers' from_config drops defaults). With a mask it is StableDiffusionInpaintPipeline, which
// leaves clip_sample alone and sets PNDM's skip_prk_steps. `warn` is told what differs from the
// file.
Config StableDiffusionScheduler(const Config& config, bool named, bool inpaints,
                                const std::function<void(const std::string&)>& warn);

}  // namespace fovea
