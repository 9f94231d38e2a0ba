// What the settings of A1111's web UI mean for us, and ours for it. Names of samplers and schedules
// are A1111's; the text around them is a1111_text.h's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "pipelines/metadata/metadata.h"

namespace fovea {

// The `parameters` text of one picture with these resolved settings.
std::string A1111Parameters(const GenerateSettings& settings, const Provenance& provenance);

// The settings of a text that A1111, Forge or another program of that habit wrote; `where` names
// the picture in messages. What has no counterpart of ours becomes a problem of the setting that it
// stands for, what would be left out an entry of `unused`. Throws kBadFile for a text without
// settings. Pure; fuzzed.
PictureSettings ReadA1111Parameters(std::string_view text, const std::string& where);

}  // namespace fovea
