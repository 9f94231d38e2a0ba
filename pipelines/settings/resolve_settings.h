// From what was asked for to what will be done: defaults filled in, every value checked.
#pragma once

#include "models/config.h"
#include "pipelines/settings/model_defaults.h"
#include "pipelines/settings/settings.h"

namespace fovea {

// What the limits of the settings depend on.
struct SettingLimits {
  ModelDefaults defaults;
  int width = 512, height = 512;  // of pictures the model was trained on
  int factor = 8;                 // what widths and heights are multiples of
  double cfg = 7.5;               // where the model's defaults say nothing
  int max_clip_skip = 12;
  int text_length = 0;  // default of max-sequence-length; 0: the model has no such thing
  bool flow = false;    // flow matching, whose strengths round their steps up
};

// Throws kUsage naming the setting. The sampler stays empty where the model's own is meant; sampler
// and steps are checked by making the scheduler.
GenerateSettings ResolveSettings(const GenerateSettings& asked, const SettingLimits& limits);

}  // namespace fovea
