// Quotas of control groups, from made-up trees.
#include "tensor/machine/cpu_quota.h"

#include <cstdlib>
#include <fstream>

#include <catch2/catch.hpp>

#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

struct Tree {
  TempDir temp;
  void Write(const std::string& path, const std::string& text) const {
    fs::create_directories((temp / path).parent_path());
    std::ofstream(temp / path) << text;
  }
  std::optional<double> Quota() const { return CpuQuota(temp.Path()); }
};

TEST_CASE("the least quota along a v2 group counts, in a container the mount's own") {
  const Tree tree;
  CHECK_FALSE(tree.Quota().has_value());
  tree.Write("proc/self/cgroup", "0::/a/b\n");
  tree.Write("sys/fs/cgroup/a/cpu.max", "250000 100000\n");
  tree.Write("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  CHECK(tree.Quota() == 2.5);
  tree.Write("sys/fs/cgroup/a/b/cpu.max", "50000 100000\n");
  CHECK(tree.Quota() == 0.5);
  const Tree container;
  container.Write("proc/self/cgroup", "0::/../other\n");
  container.Write("sys/fs/cgroup/cpu.max", "150000 100000\n");
  CHECK(container.Quota() == 1.5);
}

TEST_CASE("v1 groups of the processor count, others and broken files do not") {
  const Tree tree;
  tree.Write("proc/self/cgroup", "5:memory:/m\n4:cpu,cpuacct:/job\nbroken\n");
  tree.Write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "300000");
  tree.Write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000");
  CHECK(tree.Quota() == 3.0);
  tree.Write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "-1");
  CHECK_FALSE(tree.Quota().has_value());
  tree.Write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "many");
  CHECK_FALSE(tree.Quota().has_value());
}

TEST_CASE("a batch system's share lowers the threads, and never below one") {
  CHECK(GrantedThreads(1) == 1);
  CHECK(GrantedThreads(0) == 1);
  const int before = GrantedThreads(64);
  setenv("SLURM_CPUS_PER_TASK", "1", 1);
  CHECK(GrantedThreads(64) == 1);
  setenv("SLURM_CPUS_PER_TASK", "x", 1);
  CHECK(GrantedThreads(64) == before);
  unsetenv("SLURM_CPUS_PER_TASK");
}

}  // namespace
}  // namespace fovea
