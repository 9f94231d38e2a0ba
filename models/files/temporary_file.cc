#include "models/files/temporary_file.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <random>
#include <string_view>

namespace fovea {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = ".fovea-";
constexpr size_t kRandomDigits = 16, kPlaceDigits = 8;
constexpr auto kLongest = std::chrono::hours(1);  // that writing a file may take

std::string Hex(uint64_t value, int digits) {
  char text[24];
  std::snprintf(text, sizeof text, "%0*llx", digits, static_cast<unsigned long long>(value));
  return text;
}

// Of this boot of this machine and this namespace of processes: where a process number means one
// process. Empty where the system does not say.
const std::string& Place() {
  static const std::string place = [] {
    std::string boot;
    std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
    std::error_code error;
    const std::string space = fs::read_symlink("/proc/self/ns/pid", error).string();
    if (boot.empty() || error) return std::string();
    uint32_t hash = 0x811c9dc5;  // FNV-1a
    for (const char c : boot + space) hash = (hash ^ static_cast<unsigned char>(c)) * 0x01000193;
    return Hex(hash, kPlaceDigits);
  }();
  return place;
}

// Whether the process that a name tells is known to be gone.
bool IsWriterGone(std::string_view name) {
  name.remove_prefix(kPrefix.size());
  if (name.size() < kRandomDigits + kPlaceDigits + 3 || Place().empty()) return false;
  if (name.substr(kRandomDigits + 1, kPlaceDigits) != Place()) return false;
  name.remove_prefix(kRandomDigits + kPlaceDigits + 2);
  int process = 0;
  const auto read = std::from_chars(name.data(), name.data() + name.size(), process);
  return read.ec == std::errc() && process > 0 && process != getpid() && kill(process, 0) != 0 &&
         errno == ESRCH;
}

bool IsRefusal(int error) {
  return error != EINVAL && error != ENOTSUP && error != ENOSYS && error != EROFS;
}

}  // namespace

fs::path TemporaryName(const fs::path& folder, const std::string& suffix) {
  std::random_device random;  // the system's, no seed
  const uint64_t bits = uint64_t{random()} << 32 | random();
  const std::string& place = Place();
  return folder / (std::string(kPrefix) + Hex(bits, kRandomDigits) + "-" +
                   (place.empty() ? std::string(kPlaceDigits, '0') : place) + "-" +
                   std::to_string(getpid()) + suffix);
}

void RemoveLeftTemporaries(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code ignored;
    if (!name.starts_with(kPrefix) || !entry->is_regular_file(ignored)) continue;
    const auto age = fs::file_time_type::clock::now() - entry->last_write_time(ignored);
    if (ignored) continue;
    if (age > kLongest || IsWriterGone(name)) fs::remove(entry->path(), ignored);
  }
}

bool SyncFile(int descriptor) {
  while (fsync(descriptor) != 0) {
    if (errno != EINTR) return !IsRefusal(errno);
  }
  return true;
}

bool SyncFolder(const fs::path& folder) {
  const fs::path path = folder.empty() ? fs::path(".") : folder;
  const int descriptor = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return errno == EACCES;  // one may write into a folder that one may not list
  const bool done = SyncFile(descriptor);
  const int error = errno;
  close(descriptor);
  errno = error;
  return done;
}

}  // namespace fovea
