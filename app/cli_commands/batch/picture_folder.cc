#include "app/cli_commands/batch/picture_folder.h"

#include <cerrno>
#include <cstring>

#include "app/output_files.h"
#include "models/files/atomic_file.h"
#include "models/files/temporary_file.h"
#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

// Removes the file unless it was given its name.
struct Temporary {
  fs::path path;
  ~Temporary() {
    std::error_code ignored;
    fs::remove(path, ignored);
  }
};

}  // namespace

PictureFolder::PictureFolder(fs::path folder) : folder_(std::move(folder)) {
  Prepare(folder_);
}

void PictureFolder::Prepare(const fs::path& folder) {
  const std::lock_guard lock(mutex_);
  if (!prepared_.insert(folder).second) return;
  OutputFiles files;
  files.MakeFolder(folder);
  files.Commit();  // the folder stays
  RemoveLeftTemporaries(folder);
}

Placed PictureFolder::Put(const std::string& name, const Image& image, const PngText& text,
                          bool replace) {
  const fs::path path = PathOf(name), folder = path.parent_path();
  Prepare(folder);
  const Temporary temporary{TemporaryName(folder, ".png")};
  WritePng(temporary.path, image, text);
  if (replace) {
    if (!RenameOver(temporary.path, path)) {
      throw Error(ErrorCode::kBadFile,
                  path.string() + ": cannot be written: " + std::strerror(errno));
    }
  } else if (!RenameToNew(temporary.path, path)) {
    // Another worker had the same job.
    try {
      const Image there = ReadPng(path);
      const bool same =
          there.width == image.width && there.height == image.height && there.rgb == image.rgb;
      return same ? Placed::kSame : Placed::kConflict;
    } catch (const Error&) {
      return Placed::kConflict;
    }
  }
  if (!SyncFolder(folder)) {
    throw Error(ErrorCode::kBadFile,
                folder.string() + ": cannot be written: " + std::strerror(errno));
  }
  return Placed::kNew;
}

}  // namespace fovea
