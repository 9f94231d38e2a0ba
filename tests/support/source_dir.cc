#include "tests/support/source_dir.h"

namespace fovea {

const std::filesystem::path& SourceDir() {
  static const std::filesystem::path path = FOVEA_SOURCE_DIR;
  return path;
}

}  // namespace fovea
