#include "models/files/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>

#include "tensor/error.h"

namespace fovea {

AtomicFile::AtomicFile(const std::filesystem::path& target) : target_(target) {
  std::error_code error;
  // A link keeps pointing where it does: the file behind it is replaced, not the link.
  if (std::filesystem::is_symlink(target, error)) {
    const auto real = std::filesystem::canonical(target, error);
    if (!error) target_ = real;
  }
  const auto status = std::filesystem::status(target_, error);
  if (std::filesystem::is_directory(status)) Fail(EISDIR);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw Error(ErrorCode::kBadFile,
                target_.string() + ": cannot be written: it exists and is not a regular file");
  }
  static std::atomic<unsigned> counter{0};
  std::string name = target_.filename().string();
  name.insert(name.begin(), '.');
  name.append(".").append(std::to_string(getpid()));
  name.append(".").append(std::to_string(counter++)).append(".tmp");
  const auto temporary = target_.parent_path() / name;
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
  descriptor_ = -1;
  if (close(descriptor) != 0) Fail(errno);
  if (rename(temporary_.c_str(), target_.c_str()) != 0) Fail(errno);
  temporary_.clear();
}

void AtomicFile::Fail(int error) const {
  throw Error(ErrorCode::kBadFile,
              target_.string() + ": cannot be written: " + std::strerror(error));
}

}  // namespace fovea
