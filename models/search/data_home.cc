#include "models/search/data_home.h"

#include <cstdlib>

namespace fovea {

std::vector<std::filesystem::path> DataHomes() {
  std::vector<std::filesystem::path> homes;
  const auto add = [&](const char* variable, const char* below) {
    const char* text = std::getenv(variable);
    const std::filesystem::path folder = text != nullptr ? text : "";
    if (folder.is_absolute()) homes.push_back(folder / below);
  };
  add("XDG_DATA_HOME", "");
  add("HOME", ".local/share");
  return homes;
}

}  // namespace fovea
