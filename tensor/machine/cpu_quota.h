// How many processors this process may keep busy: containers and batch systems grant less than the
// machine has.
#pragma once

#include <filesystem>
#include <optional>

namespace fovea {

// The least quota of processor time along this process's control groups (cgroup v1 and v2), as a
// number of processors, 2.5 for 250 ms in 100 ms; none where there is no limit. `root` is "/"
// besides in tests.
std::optional<double> CpuQuota(const std::filesystem::path& root);

// At most `available`: what is left of it by the quota, rounded up, and by SLURM_CPUS_PER_TASK. At
// least 1.
int GrantedThreads(int available);

}  // namespace fovea
