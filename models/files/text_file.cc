#include "models/files/text_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tensor/error.h"

namespace fovea {

std::string ReadTextFile(const std::filesystem::path& path, size_t limit) {
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorCode::kBadFile, path.string() + ": " + what);
  };
  // O_NONBLOCK: a named pipe must be refused below, not waited for.
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) fail(std::string("cannot be opened: ") + std::strerror(errno));
  struct Closer {
    int descriptor;
    ~Closer() { close(descriptor); }
  } closer{file};
  struct stat status {};
  if (fstat(file, &status) != 0) fail(std::strerror(errno));
  if (!S_ISREG(status.st_mode)) fail("is not a regular file");
  if (static_cast<size_t>(status.st_size) > limit) {
    fail("has " + std::to_string(status.st_size) + " bytes; at most " + std::to_string(limit) +
         " are read");
  }
  std::string text(static_cast<size_t>(status.st_size), '\0');
  size_t filled = 0;
  while (filled < text.size()) {
    const ssize_t got = read(file, text.data() + filled, text.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(std::string("cannot be read: ") + std::strerror(errno));
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  text.resize(filled);
  return text;
}

}  // namespace fovea
