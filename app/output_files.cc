#include "app/output_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "models/files/atomic_file.h"
#include "models/files/temporary_file.h"
#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void CannotWrite(const fs::path& path, const std::string& why) {
  throw Error(ErrorCode::kBadFile, "cannot write " + path.string() + ": " + why);
}

std::string Reason(int error) {
  return std::strerror(error);
}

// That files can be made in an existing folder. Asks the file system rather than permission bits,
// which do not know read-only mounts or root.
void CheckFolder(const fs::path& folder, const fs::path& for_file) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    CannotWrite(for_file, "there is no folder " + folder.string() + "; make it first");
  }
  const fs::path probe = TemporaryName(folder, "-probe");
  const int file = open(probe.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (file < 0) CannotWrite(for_file, Reason(errno) + "; choose another place");
  close(file);
  unlink(probe.c_str());
}

fs::path FolderOf(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

// The number of "prefixNNNN.suffix", or -1 for other names.
int64_t NumberOf(const std::string& name, const std::string& prefix, const std::string& suffix) {
  if (name.size() < prefix.size() + suffix.size() + 4 ||
      name.compare(0, prefix.size(), prefix) != 0 ||
      name.compare(name.size() - suffix.size(), suffix.size(), suffix) != 0) {
    return -1;
  }
  const std::string digits =
      name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
  const bool number = digits.size() <= 9 && std::all_of(digits.begin(), digits.end(), [](char c) {
                        return c >= '0' && c <= '9';
                      });
  return number ? std::stoll(digits) : -1;
}

int64_t LastNumber(const fs::path& folder, const std::string& prefix, const std::string& suffix) {
  int64_t last = 0;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    last = std::max(last, NumberOf(entry.path().filename().string(), prefix, suffix));
  }
  return last;
}

std::string Numbered(const std::string& prefix, int64_t number, const std::string& suffix) {
  char digits[24];
  std::snprintf(digits, sizeof digits, "%04lld", static_cast<long long>(number));
  return prefix + digits + suffix;
}

}  // namespace

// Renames without replacing: a second name, then the first one goes. File systems without hard
// links are renamed the plain way after a look.
bool RenameToNew(const fs::path& from, const fs::path& to) {
  if (link(from.c_str(), to.c_str()) == 0) {
    unlink(from.c_str());
    return true;
  }
  if (errno == EEXIST) return false;
  std::error_code error;
  if (fs::exists(fs::symlink_status(to, error))) return false;
  if (rename(from.c_str(), to.c_str()) != 0) CannotWrite(to, Reason(errno));
  return true;
}

OutputFiles::~OutputFiles() {
  std::error_code ignored;
  for (const File& file : files_) fs::remove(file.temporary, ignored);
  if (committed_) return;
  // Only empty folders are removed: somebody else may have used them meanwhile.
  for (auto folder = made_folders_.rbegin(); folder != made_folders_.rend(); ++folder) {
    rmdir(folder->c_str());
  }
}

void OutputFiles::MakeFolder(const fs::path& folder) {
  std::vector<fs::path> missing;
  std::error_code error;
  for (fs::path part = folder.has_filename() ? folder : folder.parent_path(); !part.empty();
       part = part.parent_path()) {
    if (fs::exists(part, error)) break;
    if (error && error != std::errc::no_such_file_or_directory) {
      CannotWrite(folder, error.message());
    }
    missing.push_back(part);
    if (part == part.parent_path()) break;
  }
  for (auto part = missing.rbegin(); part != missing.rend(); ++part) {
    if (mkdir(part->c_str(), 0777) != 0) {
      if (errno == EEXIST) continue;
      CannotWrite(folder,
                  "the folder cannot be made (" + Reason(errno) + "); choose another place");
    }
    made_folders_.push_back(*part);
  }
  if (!fs::is_directory(folder, error)) CannotWrite(folder, "it is not a folder");
  CheckFolder(folder, folder);
}

fs::path OutputFiles::Temporary(const fs::path& folder, const std::string& suffix) {
  if (cleaned_.insert(folder).second) RemoveLeftTemporaries(folder);
  return TemporaryName(folder, suffix);
}

fs::path OutputFiles::Replace(const fs::path& path) {
  const fs::path target = OutputTarget(path);
  const fs::path folder = FolderOf(target);
  CheckFolder(folder, target);
  const bool twice = std::any_of(files_.begin(), files_.end(), [&](const File& file) {
    return file.target.lexically_normal() == target.lexically_normal();
  });
  if (twice) {
    throw Error(ErrorCode::kUsage,
                "two outputs are the file " + target.string() + "; name another");
  }
  files_.push_back({Temporary(folder, path.extension().string()), folder, path, target, {}, {}});
  return files_.back().temporary;
}

fs::path OutputFiles::CountUp(const fs::path& folder, const std::string& prefix,
                              const std::string& suffix) {
  CheckFolder(folder, folder / Numbered(prefix, 1, suffix));
  files_.push_back({Temporary(folder, suffix), folder, {}, {}, prefix, suffix});
  return files_.back().temporary;
}

fs::path OutputFiles::GiveName(const File& file) {
  ENSURE(fs::exists(file.temporary), file.temporary.string());
  if (!file.path.empty()) {
    if (!RenameOver(file.temporary, file.target) || !SyncFolder(file.folder)) {
      CannotWrite(file.path, Reason(errno));
    }
    return file.path;
  }
  int64_t number = LastNumber(file.folder, file.prefix, file.suffix);
  fs::path path;
  do {
    path = file.folder / Numbered(file.prefix, ++number, file.suffix);
  } while (!RenameToNew(file.temporary, path));
  if (!SyncFolder(file.folder)) CannotWrite(path, Reason(errno));
  return path;
}

std::vector<fs::path> OutputFiles::Commit(const std::vector<fs::path>& temporaries) {
  std::vector<fs::path> names;
  for (const fs::path& temporary : temporaries) {
    const auto file = std::find_if(files_.begin(), files_.end(),
                                   [&](const File& each) { return each.temporary == temporary; });
    ENSURE(file != files_.end(), temporary.string());
    names.push_back(GiveName(*file));
    files_.erase(file);
  }
  return names;
}

std::vector<fs::path> OutputFiles::Commit() {
  for (const File& file : files_) {
    ENSURE(fs::exists(file.temporary), file.temporary.string());
  }
  std::vector<fs::path> names;
  for (const File& file : files_) names.push_back(GiveName(file));
  files_.clear();
  committed_ = true;
  return names;
}

PictureTarget PictureTarget::Parse(const std::string& output) {
  PictureTarget target;
  target.path = output;
  std::string extension = target.path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::error_code ignored;
  if (!target.path.has_filename() || fs::is_directory(target.path, ignored)) return target;
  constexpr std::array kOtherFormats = {".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"};
  if (std::find(kOtherFormats.begin(), kOtherFormats.end(), extension) != kOtherFormats.end()) {
    throw Error(ErrorCode::kUsage,
                "-o " + output + ": pictures are written as PNG; use a name that ends in .png");
  }
  target.is_folder = extension != ".png" && !fs::is_regular_file(target.path, ignored);
  return target;
}

fs::path PictureTarget::Stage(OutputFiles& files, int count, uint64_t seed) const {
  if (is_folder) {
    files.MakeFolder(path);
    return files.CountUp(path, std::to_string(seed) + "-", ".png");
  }
  if (count == 1) return files.Replace(path);
  return files.CountUp(FolderOf(path), path.stem().string() + "-", path.extension().string());
}

}  // namespace fovea
