#include "tensor/machine/cpu_quota.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>

namespace fovea {
namespace {

namespace fs = std::filesystem;

// "QUOTA PERIOD" of cgroup v2; a quota of "max" is no number: no limit.
std::optional<double> QuotaV2(const fs::path& group) {
  std::ifstream in(group / "cpu.max");
  double quota = 0, period = 0;
  if (in >> quota >> period && quota > 0 && period > 0) return quota / period;
  return std::nullopt;
}

// A quota of -1 is no limit.
std::optional<double> QuotaV1(const fs::path& group) {
  double quota = 0, period = 0;
  std::ifstream(group / "cpu.cfs_quota_us") >> quota;
  std::ifstream(group / "cpu.cfs_period_us") >> period;
  if (quota > 0 && period > 0) return quota / period;
  return std::nullopt;
}

bool Lists(const std::string& controllers, const std::string& wanted) {
  return ("," + controllers + ",").find("," + wanted + ",") != std::string::npos;
}

// The least along a group and its parents. Inside a container the path of the group may not exist
// below the mount; its root then is the container's own group.
template <class Quota>
void TakeLeast(const fs::path& mount, const std::string& path, const Quota& quota,
               std::optional<double>* least) {
  const auto take = [&](const fs::path& group) {
    const auto here = quota(group);
    if (here) *least = std::min(*here, least->value_or(*here));
  };
  take(mount);
  for (fs::path group = fs::path(path).relative_path(); !group.empty();
       group = group.parent_path()) {
    take(mount / group);
  }
}

}  // namespace

std::optional<double> CpuQuota(const fs::path& root) {
  const fs::path mount = root / "sys/fs/cgroup";
  std::optional<double> least;
  std::ifstream groups(root / "proc/self/cgroup");  // lines "ID:CONTROLLERS:PATH"
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty()) {
      TakeLeast(mount, path, QuotaV2, &least);
    } else if (Lists(controllers, "cpu")) {
      // The mount has the name of all its controllers, and mostly a link "cpu" beside it.
      const fs::path own = mount / controllers;
      std::error_code error;
      TakeLeast(fs::is_directory(own, error) ? own : mount / "cpu", path, QuotaV1, &least);
    }
  }
  return least;
}

int GrantedThreads(int available) {
  int granted = available;
  if (const auto quota = CpuQuota("/")) {
    granted = static_cast<int>(std::min<double>(granted, std::ceil(*quota)));
  }
  if (const char* slurm = std::getenv("SLURM_CPUS_PER_TASK")) {
    const int task = std::atoi(slurm);
    if (task > 0) granted = std::min(granted, task);
  }
  return std::max(1, granted);
}

}  // namespace fovea
