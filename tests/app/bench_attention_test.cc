// `fovea bench attention`: its JSON, its pictures and what it refuses.
#include <tuple>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "pipelines/pictures/formats/png_file.h"
#include "tests/support/cli_checks.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

ProgramResult Bench(const TempDir& temp, std::vector<std::string> more, const char* heads = "2") {
  std::vector<std::string> words = {"bench", "attention", "--heads", heads, "--repeat", "1"};
  words.insert(words.end(), more.begin(), more.end());
  return RunFovea(words, {.folder = temp.Path()});
}

TEST_CASE("bench attention lists every operator on every grid and head size") {
  const TempDir temp;
  const ProgramResult result =
      Bench(temp, {"--grid", "8x8,2x3x5", "--dim", "8,16", "--operators", "dense; gna(window=3)",
                   "--json", "-t", "1", "--plot", "all.png"});
  CheckDone(result);
  const auto list = nlohmann::ordered_json::parse(result.out);
  REQUIRE(list.size() == 8);
  const std::vector<std::string> keys = {"operator",      "grid",        "heads",   "dim",
                                         "dtype",         "threads",     "seconds", "gflops",
                                         "visited_tiles", "ideal_tiles", "density", "bound_seconds",
                                         "share_of_bound"};
  for (const auto& each : list) {
    std::vector<std::string> found;
    for (const auto& [key, value] : each.items()) found.push_back(key);
    CHECK(found == keys);
    CHECK(each.at("seconds").get<double>() > 0);
    CHECK(each.at("threads") == 1);
  }
  CHECK((list[0].at("grid") == "8x8" && list[0].at("dim") == 8));
  CHECK((list[7].at("grid") == "2x3x5" && list[7].at("operator") == "gna(window=3)"));
  CHECK(ReadPng(temp / "all.png").width > 1000);

  const ProgramResult table = Bench(temp, {"--grid", "4x4", "--operators", "dense", "--plot", "p"});
  CheckDone(table);
  CHECK_THAT(table.out, Catch::Contains("grid 4x4, 2 heads of 64, f32"));
  CHECK(NamesIn(temp / "p") == std::vector<std::string>{"attention-d64.png"});
}

TEST_CASE("bench attention refuses what it cannot do") {
  const TempDir temp;
  const std::vector<std::tuple<std::vector<std::string>, int, std::string>> refusals = {
      {{"--grid", "8"}, 2, "--grid"},
      {{"--grid", "8x8,"}, 2, "--grid"},
      {{"--dim", "a"}, 2, "--dim"},
      {{"--dim", "12"}, 4, "multiple of 8"},
      {{"--operators", "*: dense"}, 2, "rule"},
      {{"--operators", ""}, 2, "--operators"},
      {{"--operators", "magic"}, 2, "magic"},
      {{"--operators", "clear(q=1)"}, 2, "no argument"},
      {{"--grid", "9x9", "--operators", "clear(down=2)"}, 4, "9x9"},
      {{"--plot", "absent/x.png"}, 3, "absent"},
  };
  for (const auto& [flags, code, says] : refusals) CheckFails(Bench(temp, flags), code, says);
  CheckFails(Bench(temp, {"--grid", "1024x1024", "--operators", "dense"}, "1024"), 5, "memory");
  CHECK(NamesIn(temp.Path()).empty());
}

}  // namespace
}  // namespace fovea
