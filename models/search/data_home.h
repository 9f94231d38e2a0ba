// Where a person's data lie: the one place that reads XDG_DATA_HOME and HOME.
#pragma once

#include <filesystem>
#include <vector>

namespace fovea {

// Folders of data, the first one to write to: XDG_DATA_HOME, which its specification says to ignore
// unless it is absolute, then ~/.local/share. Empty where the environment names neither.
std::vector<std::filesystem::path> DataHomes();

}  // namespace fovea
