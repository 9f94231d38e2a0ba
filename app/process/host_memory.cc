#include "app/process/host_memory.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string_view>

#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

// A line "Name:   123 kB" of a file under /proc, in bytes.
std::optional<size_t> ReadProcLine(const char* file, std::string_view name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.compare(0, name.size(), name) != 0) continue;
    std::istringstream words(line.substr(name.size()));
    size_t kilobytes = 0;
    if (words >> kilobytes) return kilobytes * 1024;
  }
  return std::nullopt;
}

std::optional<size_t> ReadNumber(const fs::path& file) {
  std::ifstream in(file);
  size_t value = 0;
  if (in >> value) return value;  // "max" is no number: no limit
  return std::nullopt;
}

// A word and its number in a memory.stat.
size_t ReadStat(const fs::path& file, std::string_view name) {
  std::ifstream in(file);
  std::string word;
  for (size_t value = 0; in >> word >> value;) {
    if (word == name) return value;
  }
  return 0;
}

// What one group leaves; page cache that can be dropped is not counted as used.
size_t LeftInGroup(const fs::path& group, const char* limit_file, const char* usage_file,
                   const char* inactive) {
  const auto limit = ReadNumber(group / limit_file);
  const auto usage = ReadNumber(group / usage_file);
  if (!limit || !usage) return std::numeric_limits<size_t>::max();
  const size_t droppable = ReadStat(group / "memory.stat", inactive);
  const size_t used = *usage > droppable ? *usage - droppable : 0;
  return *limit > used ? *limit - used : 0;
}

// The smallest rest along a group and its parents, which limit it too. Inside a container the path
// of the group may not exist below the mount; its root then is the container's own group.
template <class Left>
size_t LeftUpwards(const fs::path& mount, const std::string& path, const Left& left) {
  size_t least = left(mount);
  for (fs::path group = fs::path(path).relative_path(); !group.empty();
       group = group.parent_path()) {
    least = std::min(least, left(mount / group));
  }
  return least;
}

size_t LeftInControlGroups() {
  const fs::path mount = "/sys/fs/cgroup";
  size_t least = std::numeric_limits<size_t>::max();
  std::ifstream groups("/proc/self/cgroup");  // lines "ID:CONTROLLERS:PATH"
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty()) {
      least = std::min(least, LeftUpwards(mount, path, [](const fs::path& group) {
                         return LeftInGroup(group, "memory.max", "memory.current", "inactive_file");
                       }));
    } else if (controllers == "memory") {
      least = std::min(least, LeftUpwards(mount / "memory", path, [](const fs::path& group) {
                         return LeftInGroup(group, "memory.limit_in_bytes", "memory.usage_in_bytes",
                                            "total_inactive_file");
                       }));
    }
  }
  return least;
}

// Under `ulimit -d`.
size_t LeftOfDataLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_DATA, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
    return std::numeric_limits<size_t>::max();
  }
  const size_t used = ReadProcLine("/proc/self/status", "VmData:").value_or(0);
  return limit.rlim_cur > used ? limit.rlim_cur - used : 0;
}

}  // namespace

size_t PeakMemoryBytes() {
  return ReadProcLine("/proc/self/status", "VmHWM:").value_or(0);
}

size_t CurrentMemoryBytes() {
  return ReadProcLine("/proc/self/status", "VmRSS:").value_or(0);
}

size_t AvailableMemoryBytes() {
  const auto system = ReadProcLine("/proc/meminfo", "MemAvailable:");
  const size_t left = std::min({system.value_or(std::numeric_limits<size_t>::max()),
                                LeftInControlGroups(), LeftOfDataLimit()});
  const size_t own = ReadProcLine("/proc/self/status", "VmRSS:").value_or(0);
  return left > std::numeric_limits<size_t>::max() - own ? left : left + own;
}

std::string FormatBytes(double bytes) {
  char text[32];
  if (bytes >= 1e9) {
    std::snprintf(text, sizeof text, "%.2f GB", bytes / 1e9);
  } else {
    std::snprintf(text, sizeof text, "%.0f MB", bytes / 1e6);
  }
  return text;
}

void RequireMemory(size_t needed, const std::string& advice) {
  const size_t available = AvailableMemoryBytes();
  if (needed <= available) return;
  throw Error(ErrorCode::kOutOfMemory,
              "this run needs " + FormatBytes(static_cast<double>(needed)) + " of memory and " +
                  FormatBytes(static_cast<double>(available)) + " are available; " + advice);
}

}  // namespace fovea
