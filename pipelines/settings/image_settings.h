// What image, mask, strength and two-pass mean for the other settings, checked before a run.
#pragma once

#include "pipelines/settings/resolve_settings.h"
#include "pipelines/settings/settings.h"

namespace fovea {

// How many of the steps a strength leaves: the last ones, fewer the weaker it is; 0: none. Of a
// step in part diffusers' pipelines of flow matching keep the whole, the others nothing.
int StepsOfStrength(int steps, double strength, bool flow);

// Fills in the strength, and a size that was not asked for: the picture's, cut down to multiples of
// the VAE's factor, as diffusers does it. Steps are resolved already. Throws kUsage naming the
// setting, and kUnsupported.
void ResolveImageSettings(const SettingLimits& limits, GenerateSettings* settings);

}  // namespace fovea
