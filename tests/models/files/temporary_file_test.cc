// Names of files in the making: none twice, and what dead programs left goes away.
#include "models/files/temporary_file.h"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <set>

#include <catch2/catch.hpp>

#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

TEST_CASE("no two temporary names are alike, and they end as asked") {
  std::set<fs::path> names;
  for (int i = 0; i < 1000; ++i) names.insert(TemporaryName("folder", ".png"));
  CHECK(names.size() == 1000);
  for (const fs::path& name : names) {
    CHECK(name.parent_path() == "folder");
    CHECK(name.extension() == ".png");
    CHECK(name.filename().string().starts_with(".fovea-"));
  }
}

TEST_CASE("what dead or ancient writers left is removed, all else stays") {
  const TempDir temp;
  // A name as a process that has ended would have made it.
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    const std::string name = TemporaryName(temp.Path(), ".png").string();
    _exit(write(ends[1], name.data(), name.size()) == static_cast<ssize_t>(name.size()) ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  char buffer[4096];
  const ssize_t length = read(ends[0], buffer, sizeof buffer);
  REQUIRE(length > 0);
  const fs::path dead(std::string(buffer, static_cast<size_t>(length)));
  close(ends[0]);
  close(ends[1]);

  const fs::path ours = TemporaryName(temp.Path(), ".png");
  const fs::path elsewhere = temp / ".fovea-0123456789abcdef-00000000-1.png";
  const fs::path ancient = temp / ".fovea-0123456789abcdee-00000000-1.png";
  const fs::path picture = temp / "a.png", hidden = temp / ".hidden";
  for (const fs::path& path : {dead, ours, elsewhere, ancient, picture, hidden}) {
    std::ofstream(path) << "x";
  }
  const auto two_hours_ago = fs::file_time_type::clock::now() - std::chrono::hours(2);
  for (const fs::path& path : {ancient, picture, hidden}) fs::last_write_time(path, two_hours_ago);
  RemoveLeftTemporaries(temp.Path());
  CHECK_FALSE(fs::exists(dead));
  CHECK_FALSE(fs::exists(ancient));
  for (const fs::path& path : {ours, elsewhere, picture, hidden}) CHECK(fs::exists(path));
  RemoveLeftTemporaries(temp / "absent");  // nothing to remove
}

}  // namespace
}  // namespace fovea
