// Pictures that appear in a folder whole, once, and never over one that is there.
#pragma once

#include <filesystem>
#include <mutex>
#include <set>
#include <string>

#include "pipelines/pictures/formats/png_file.h"

namespace fovea {

enum class Placed : uint8_t {
  kNew,
  kSame,      // one with the same pixels was there
  kConflict,  // one with other pixels was there; it stays
};

// Any thread.
class PictureFolder {
 public:
  // Makes the folder, proves that it can be written, and removes what stopped programs left in it.
  // Throws kBadFile.
  explicit PictureFolder(std::filesystem::path folder);
  const std::filesystem::path& Path() const { return folder_; }
  std::filesystem::path PathOf(const std::string& name) const { return folder_ / name; }
  // `replace`: what has the name is broken or of other settings. Throws kBadFile: nothing can be
  // written here any more.
  Placed Put(const std::string& name, const Image& image, const PngText& text, bool replace);

 private:
  void Prepare(const std::filesystem::path& folder);

  std::filesystem::path folder_;
  std::mutex mutex_;
  std::set<std::filesystem::path> prepared_;
};

}  // namespace fovea
