#include "app/built_in_models.h"

#include <cstdlib>
#include <system_error>

namespace fovea {

namespace fs = std::filesystem;

namespace {

fs::path AssetFolder(const char* name) {
  if (const char* assets = std::getenv("FOVEA_ASSETS"); assets != nullptr && *assets != '\0') {
    return fs::path(assets) / name;
  }
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const fs::path installed = program.parent_path().parent_path() / "share" / "fovea" / name;
  if (!error && fs::is_directory(installed, error)) return installed;
  return fs::path(FOVEA_ASSETS) / name;
}

}  // namespace

fs::path BuiltInModelsFolder() {
  return AssetFolder("models");
}

fs::path BuiltInConfigsFolder() {
  return AssetFolder("configs");
}

fs::path BuiltInPlansFolder() {
  return AssetFolder("plans");
}

fs::path BuiltInPerturbsFolder() {
  return AssetFolder("perturbs");
}

}  // namespace fovea
