// Plans by text, by file and by the name of a preset; and the presets themselves.
#include "pipelines/settings/plan_source.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "attention/attention_op.h"
#include "tests/support/source_dir.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

const std::filesystem::path kPlans = SourceDir() / "assets" / "plans";

std::string Write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
  return "@" + path.string();
}

ErrorCode CodeOf(const std::string& argument, const std::filesystem::path& presets,
                 std::string* message) {
  try {
    ReadPlan(argument, presets);
  } catch (const Error& error) {
    *message = error.what();
    return error.code;
  }
  FAIL("no error for " + argument);
  return ErrorCode::kInternal;
}

TEST_CASE("a plan is its text, a file or a preset") {
  const TempDir temp;
  CHECK(ReadPlan(" *: clear(r=8) ", kPlans).Text() == "*: clear(r=8)");
  CHECK(ReadPlan("", kPlans).Empty());
  const std::string file =
      Write(temp / "my.plan",
            "# a comment: with; separators\r\n\n  # another\n*attn1@0-4#0,2:\r\n"
            "  gna(window=5,\n stride=2)\n else dense;\nhalo # no comment\n");
  CHECK_THROWS_WITH(ReadPlan(file, kPlans), Catch::Contains("my.plan"));
  Write(temp / "my.plan",
        "# a comment: with; separators\r\n\n  # another\n*attn1@0-4#0,2:\r\n"
        "  gna(window=5,\n stride=2)\n else dense;\nhalo");
  const AttentionPlan plan = ReadPlan(file, kPlans);
  REQUIRE(plan.Rules().size() == 2);
  CHECK(plan.Rules()[0].op.Text() == "gna(window=5,stride=2)");
  CHECK(plan.Rules()[0].otherwise->Text() == "dense");
  CHECK(plan.Text().find('\n') == std::string::npos);
  CHECK(AttentionPlan::Parse(plan.Text()).Text() == plan.Text());
  const std::string json = Write(temp / "a.json", " {\"rules\":[\n{\"operator\":\"halo\"}]}\n");
  CHECK(ReadPlan(json, kPlans).Text() == "halo");
  CHECK(ReadPlan("preset:clear-8", kPlans).Text() == "clear(r=8)");
}

TEST_CASE("plans that cannot be read say why") {
  const TempDir temp;
  std::string message;
  CHECK(CodeOf("@" + (temp / "absent").string(), kPlans, &message) == ErrorCode::kBadFile);
  CHECK(message.find("absent") != std::string::npos);
  CHECK(CodeOf(Write(temp / "empty.plan", "# nothing\n\n"), kPlans, &message) ==
        ErrorCode::kBadFile);
  CHECK(message.find("empty.plan") != std::string::npos);
  CHECK(CodeOf(Write(temp / "bad.plan", "*: clear(r=8"), kPlans, &message) == ErrorCode::kUsage);
  CHECK(message.find("bad.plan") != std::string::npos);
  CHECK(CodeOf(Write(temp / "large.plan", std::string(1 << 20, '#')), kPlans, &message) ==
        ErrorCode::kBadFile);
  CHECK(CodeOf("preset:clear", kPlans, &message) == ErrorCode::kUsage);
  CHECK(message.find("clear-8, ") != std::string::npos);
  CHECK(message.find("radial-2d") != std::string::npos);
  CHECK(CodeOf("preset:../plans/clear-8", kPlans, &message) == ErrorCode::kUsage);
  CHECK(CodeOf("preset:", kPlans, &message) == ErrorCode::kUsage);
  CHECK(CodeOf("preset:clear-8", temp / "absent", &message) == ErrorCode::kUsage);
}

TEST_CASE("every preset parses, says what it is for and gives its operators what they take") {
  const std::vector<PlanPreset> presets = ListPlanPresets(kPlans);
  CHECK(presets.size() >= 12);
  for (const PlanPreset& preset : presets) {
    CAPTURE(preset.name);
    CHECK(preset.about.size() > 20);
    const AttentionPlan plan = ReadPlan("preset:" + preset.name, kPlans);
    AttentionSpec spec;
    spec.q = spec.kv = GridLayout(256, 256);
    for (const PlanRule& rule : plan.Rules()) {
      const Support support = FindAttentionOp(rule.op.name).Bind(rule.op.params)->Supports(spec);
      CHECK(support.reason == "");
    }
  }
}

}  // namespace
}  // namespace fovea
