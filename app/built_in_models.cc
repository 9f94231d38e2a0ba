#include "app/built_in_models.h"

#include <cstdlib>
#include <system_error>

namespace fovea {

namespace fs = std::filesystem;

fs::path BuiltInModelsFolder() {
  if (const char* assets = std::getenv("FOVEA_ASSETS"); assets != nullptr && *assets != '\0') {
    return fs::path(assets) / "models";
  }
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const fs::path installed = program.parent_path().parent_path() / "share" / "fovea" / "models";
  if (!error && fs::is_directory(installed, error)) return installed;
  return fs::path(FOVEA_ASSETS) / "models";
}

}  // namespace fovea
