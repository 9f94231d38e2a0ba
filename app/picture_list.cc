#include "app/picture_list.h"

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <string_view>

#include "app/flags/common_flags.h"
#include "app/process/exit_code.h"
#include "pipelines/pictures/picture_file.h"
#include "pipelines/pictures/picture_format.h"
#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

std::string SmallExtension(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

bool IsOneOf(const std::string& extension, std::initializer_list<std::string_view> known) {
  return std::find(known.begin(), known.end(), extension) != known.end();
}

bool IsPictureName(const fs::path& path) {
  return IsOneOf(SmallExtension(path), {".png", ".jpg", ".jpeg", ".webp", ".gif", ".tif", ".tiff",
                                        ".bmp", ".psd", ".hdr", ".pnm", ".ppm", ".pgm", ".tga"});
}

bool IsOtherPictureName(const fs::path& path) {
  return IsOneOf(SmallExtension(path), {".avif", ".heic", ".heif", ".jxl", ".jp2", ".svg", ".exr",
                                        ".pbm", ".pcx", ".ico", ".dng", ".cr2", ".nef", ".arw"});
}

std::vector<ListedPicture> PicturesIn(const fs::path& folder) {
  std::vector<ListedPicture> found;
  std::vector<fs::path> others;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  if (error) {
    throw Error(ErrorCode::kBadFile, folder.string() + ": " + error.message());
  }
  for (const fs::directory_entry& entry : entries) {
    const fs::path& path = entry.path();
    if (path.filename().string().starts_with('.') || fs::is_directory(path, error)) continue;
    if (IsPictureName(path)) found.push_back({path, false});
    if (IsOtherPictureName(path)) others.push_back(path);
  }
  if (!others.empty()) {
    std::sort(others.begin(), others.end());
    PrintWarning(folder.string() + ": " + std::to_string(others.size()) +
                 (others.size() == 1 ? " picture" : " pictures") +
                 " of formats that are not read: " + others.front().filename().string() +
                 (others.size() == 1 ? "" : ", ..."));
  }
  if (found.empty()) {
    throw Error(ErrorCode::kBadFile, folder.string() + ": holds no pictures, which are " +
                                         std::string(ReadFormats()) + " by their names");
  }
  std::sort(found.begin(), found.end(),
            [](const ListedPicture& a, const ListedPicture& b) { return a.file < b.file; });
  return found;
}

}  // namespace

std::vector<ListedPicture> ListPictures(const std::vector<std::string>& names) {
  std::vector<ListedPicture> list;
  for (const std::string& name : names) {
    std::error_code error;
    if (fs::is_directory(name, error)) {
      const std::vector<ListedPicture> inside = PicturesIn(name);
      list.insert(list.end(), inside.begin(), inside.end());
    } else if (fs::exists(name, error)) {
      list.push_back({name, true});
    } else {
      throw Error(ErrorCode::kBadFile, name + ": does not exist");
    }
  }
  return list;
}

std::optional<Image> PictureListReader::Read(const ListedPicture& picture) {
  if (picture.named) return ReadPicture(picture.file);
  try {
    return ReadPicture(picture.file);
  } catch (const Error& error) {
    skipped_.push_back(picture.file);
    PrintWarning(std::string("skipped: ") + error.what());
    return std::nullopt;
  }
}

std::vector<fs::path> PictureListReader::Readable(const std::vector<ListedPicture>& pictures) {
  std::vector<fs::path> files;
  for (const ListedPicture& each : pictures) {
    if (each.named || Read(each)) files.push_back(each.file);
  }
  if (files.empty()) ExitCode(pictures.size());
  return files;
}

int PictureListReader::ExitCode(size_t all) const {
  if (skipped_.empty()) return kExitDone;
  const std::string count =
      std::to_string(skipped_.size()) + " of " + std::to_string(all) + " pictures";
  if (skipped_.size() == all) {
    throw Error(ErrorCode::kBadFile, count + " could not be read, and so none was");
  }
  PrintNote("fovea: " + count + " were skipped, because they cannot be read");
  return kExitSomeFailed;
}

}  // namespace fovea
