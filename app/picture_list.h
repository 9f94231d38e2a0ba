// The pictures that a command line names: files, and folders for all that they hold.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "pipelines/pictures/image.h"

namespace fovea {

struct ListedPicture {
  std::filesystem::path file;
  bool named = true;  // one by one, not as part of a folder
};

// Files as they are named; a folder's pictures by name, its subfolders and hidden files not (macOS
// leaves a file ._NAME beside each picture on foreign disks). Says in a warning what pictures of a
// folder are of formats that are not read. Throws kBadFile for what does not exist and for a folder
// without pictures.
std::vector<ListedPicture> ListPictures(const std::vector<std::string>& names);

// Reads pictures one by one. A picture of a folder that cannot be read is told in a warning and
// skipped; one that was named throws.
class PictureListReader {
 public:
  std::optional<Image> Read(const ListedPicture& picture);
  // Files of those that can be read; reads all of a folder's.
  std::vector<std::filesystem::path> Readable(const std::vector<ListedPicture>& pictures);
  const std::vector<std::filesystem::path>& Skipped() const { return skipped_; }
  // kExitDone, or kExitSomeFailed with a note that counts the skipped ones. Throws kBadFile where
  // none of `all` was read.
  int ExitCode(size_t all) const;

 private:
  std::vector<std::filesystem::path> skipped_;
};

}  // namespace fovea
