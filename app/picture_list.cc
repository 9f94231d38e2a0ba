#include "app/picture_list.h"

#include <algorithm>
#include <cctype>

#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

bool IsPictureName(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

std::vector<fs::path> PicturesIn(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  if (error) {
    throw Error(ErrorCode::kBadFile, folder.string() + ": " + error.message());
  }
  for (const fs::directory_entry& entry : entries) {
    if (IsPictureName(entry.path()) && !fs::is_directory(entry.path(), error)) {
      found.push_back(entry.path());
    }
  }
  if (found.empty()) {
    throw Error(ErrorCode::kBadFile,
                folder.string() + ": holds no pictures: no .png, .jpg or .jpeg files");
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

std::vector<fs::path> ListPictures(const std::vector<std::string>& names) {
  std::vector<fs::path> list;
  for (const std::string& name : names) {
    std::error_code error;
    if (fs::is_directory(name, error)) {
      const std::vector<fs::path> inside = PicturesIn(name);
      list.insert(list.end(), inside.begin(), inside.end());
    } else if (fs::exists(name, error)) {
      list.emplace_back(name);
    } else {
      throw Error(ErrorCode::kBadFile, name + ": does not exist");
    }
  }
  return list;
}

}  // namespace fovea
