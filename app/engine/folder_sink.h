// Pictures as PNG files of one folder: SEED-NUMBER.png, with all their settings inside.
#pragma once

#include <filesystem>

#include "app/engine/picture_task.h"

namespace fovea {

// Makes the folder when the first picture comes. The name of a picture is its whole path. Throws
// kBadFile.
PictureSink FolderSink(const std::filesystem::path& folder);

}  // namespace fovea
