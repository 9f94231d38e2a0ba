// Grouping of what ran where.
#include "pipelines/metadata/attention_report.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tensor/error.h"

namespace fovea {
namespace {

AttentionUse Use(const std::string& path, const std::string& op,
                 std::vector<std::pair<int, int>> steps) {
  return {path, op, "", std::move(steps), 0.25, 0.5, ""};
}

TEST_CASE("what is the same at several layers is one group") {
  std::vector<AttentionUse> uses = {Use("a", "halo", {{0, 3}, {8, 8}}), Use("b", "dense", {{0, 9}}),
                                    Use("c", "halo", {{0, 3}, {8, 8}}), Use("d", "halo", {{0, 3}})};
  uses[1].refusal = "no grid";
  const auto groups = GroupUses(uses);
  REQUIRE(groups.size() == 3);
  CHECK(groups[0].layers == std::vector<std::string>{"a", "c"});
  CHECK(groups[0].steps == "0-3,8");
  CHECK(groups[2].steps == "0-3");
  const auto lines = Lines(groups);
  CHECK(lines[0] == "halo in 2 layers, steps 0-3,8: density 0.25, visits 0.5");
  CHECK(lines[1] == "  a");
  CHECK(lines[3].find("left dense, since no grid") != std::string::npos);
  CHECK(lines[4] == "  b");
}

TEST_CASE("groups survive JSON") {
  std::vector<AttentionUse> uses = {Use("a", "halo", {{0, 3}}), Use("b", "dense", {{0, 9}})};
  uses[0].heads = "1-2";
  uses[1].refusal = "no grid";
  const auto json = ToJson(GroupUses(uses));
  const auto back = GroupsFromJson(nlohmann::json::parse(json.dump()), "x.png");
  CHECK(ToJson(back) == json);
  CHECK_THROWS_AS(GroupsFromJson(nlohmann::json::parse("[{\"operator\":1}]"), "x.png"), Error);
  CHECK_THROWS_AS(GroupsFromJson(nlohmann::json::parse("7"), "x.png"), Error);
}

TEST_CASE("what a dry run saw at a change holds until the next one") {
  const std::vector<int> changes = {0, 4, 6};
  const auto held =
      UntilNextChange({Use("a", "halo", {{0, 0}, {6, 6}}), Use("a", "dense", {{4, 4}}),
                       Use("b", "halo", {{0, 0}, {4, 4}, {6, 6}})},
                      changes, 10);
  CHECK(held[0].steps == std::vector<std::pair<int, int>>{{0, 3}, {6, 9}});
  CHECK(held[1].steps == std::vector<std::pair<int, int>>{{4, 5}});
  CHECK(held[2].steps == std::vector<std::pair<int, int>>{{0, 9}});
}

}  // namespace
}  // namespace fovea
