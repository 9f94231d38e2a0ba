// What image, mask, strength and two-pass mean for the other settings, checked before a run.
#pragma once

#include "pipelines/resolve_settings.h"
#include "pipelines/settings.h"

namespace fovea {

// Fills in the strength, and a size that was not asked for: the picture's, cut down to multiples of
// the VAE's factor, as diffusers does it. Steps are resolved already. Throws kUsage naming the
// setting, and kUnsupported.
void ResolveImageSettings(const SettingLimits& limits, GenerateSettings* settings);

}  // namespace fovea
