// Two-pass high resolution (--hires two-pass): a picture of about the trained size, resized with
// Lanczos, then image to image at the size that is wanted, with settings of its own where hires_*
// and overlay_pass say so. docs/image_to_image.md says why the picture is resized and not the
// latents.
#pragma once

#include <optional>

#include "pipelines/settings/hires_request.h"
#include "pipelines/settings/resolve_settings.h"
#include "pipelines/settings/settings.h"

namespace fovea {

// Settings whose hires is a two-pass: fills in the wanted size (the trained one times the scale) or
// the scale (so that both first and trained picture have as many pixels), and writes both into
// `hires`. Throws kUsage, and kUnsupported where a picture is given, too. All others lose their
// settings of a second pass.
void ResolveTwoPass(const SettingLimits& limits, GenerateSettings* settings);

// The two runs that resolved settings ask for; none where they ask for one. Each is what `generate`
// would do with these settings alone, the second with the first's resized picture as its image.
struct TwoPassRuns {
  GenerateSettings first, second;
};
std::optional<TwoPassRuns> SplitTwoPass(const GenerateSettings& settings, int factor);

}  // namespace fovea
