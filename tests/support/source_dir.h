// Where the tree that the tests read goldens and models from lies. One source knows it, so that the
// objects of all others are the same in every clone and a compiler's cache can serve them.
#pragma once

#include <filesystem>

namespace fovea {

// The absolute path of the repository's root.
const std::filesystem::path& SourceDir();

}  // namespace fovea
