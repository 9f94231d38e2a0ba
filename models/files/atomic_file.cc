#include "models/files/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "models/files/temporary_file.h"
#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

constexpr int kMostLinks = 40;            // as the kernel follows
constexpr long kProcFileSystem = 0x9fa0;  // PROC_SUPER_MAGIC of linux/magic.h

// Links in /proc name open files, which a rename would cut off from those who hold them.
bool IsInProc(const fs::path& path) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  struct statfs system {};
  return statfs(folder.c_str(), &system) == 0 && system.f_type == kProcFileSystem;
}

[[noreturn]] void CannotWrite(const fs::path& path, const std::string& why) {
  throw Error(ErrorCode::kBadFile, path.string() + ": cannot be written: " + why);
}

}  // namespace

fs::path OutputTarget(const fs::path& path) {
  fs::path target = path;
  std::error_code error;
  for (int links = 0; fs::is_symlink(fs::symlink_status(target, error)); ++links) {
    if (links == kMostLinks) CannotWrite(path, "it is a link that leads to itself");
    if (IsInProc(target)) {
      CannotWrite(path, "it is an open file of a process, as /dev/stdout is; name a file");
    }
    const fs::path next = fs::read_symlink(target, error);
    if (error) CannotWrite(path, error.message());
    target = target.parent_path() / next;  // an absolute one replaces the whole
  }
  const fs::file_status status = fs::status(target, error);
  if (!target.has_filename() || fs::is_directory(status)) {
    CannotWrite(path, "it is a folder; name a file in it");
  }
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    CannotWrite(path, "it exists and is not a regular file");
  }
  return target;
}

bool RenameOver(const fs::path& temporary, const fs::path& target) {
  struct stat old {};
  if (stat(target.c_str(), &old) == 0 && chmod(temporary.c_str(), old.st_mode & 07777) != 0) {
    return false;
  }
  return rename(temporary.c_str(), target.c_str()) == 0;
}

AtomicFile::AtomicFile(const fs::path& target) : target_(OutputTarget(target)) {
  const fs::path temporary = TemporaryName(target_.parent_path(), ".tmp");
  descriptor_ = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor_ < 0) Fail(errno);
  temporary_ = temporary;
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void AtomicFile::Write(const void* data, size_t bytes) {
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = write(descriptor_, next, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) Fail(errno);
    next += written;
    bytes -= static_cast<size_t>(written);
  }
}

void AtomicFile::Commit() {
  const int descriptor = descriptor_;
  // First the bytes, then the name: a power cut must not leave a name with nothing behind it.
  if (!SyncFile(descriptor)) Fail(errno);
  descriptor_ = -1;
  if (close(descriptor) != 0) Fail(errno);
  if (!RenameOver(temporary_, target_)) Fail(errno);
  temporary_.clear();
  if (!SyncFolder(target_.parent_path())) Fail(errno);
}

void AtomicFile::Fail(int error) const {
  throw Error(ErrorCode::kBadFile,
              target_.string() + ": cannot be written: " + std::strerror(error));
}

}  // namespace fovea
