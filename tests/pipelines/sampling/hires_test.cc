// What --hires means: modes, thresholds, refusals, the steps of change, the rules of the windows.
#include "pipelines/sampling/hires.h"

#include <catch2/catch.hpp>

#include "attention/attention_runtime.h"
#include "tensor/error.h"

namespace fovea {
namespace {

DenoiserTraits SdTraits() {
  DenoiserTraits traits;
  traits.class_name = "UNet2DConditionModel";
  traits.raunet = {RaunetSchedule::kSd, {}};
  return traits;
}

ErrorCode CodeOf(std::string_view text, const DenoiserTraits& traits = SdTraits()) {
  try {
    Hires(text, traits, 128, 128, 10);
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find(std::string(text)) != std::string::npos);
    return error.code;
  }
  return ErrorCode::kInternal;  // none was thrown
}

TEST_CASE("hires takes its modes and schedules and nothing else") {
  CHECK(ParseHires("off").mode == HiresMode::kOff);
  CHECK(ParseHires("auto").mode == HiresMode::kAuto);
  CHECK(ParseHires("raunet").mode == HiresMode::kRaunet);
  const HiresRequest turbo = ParseHires("hidiffusion=sdxl-turbo");
  CHECK(turbo.mode == HiresMode::kHidiffusion);
  CHECK(turbo.schedule == RaunetSchedule::kSdxlTurbo);
  for (const char* bad : {"", "on", "Auto", "off=sd", "raunet=", "raunet=sd3", "auto = sd"}) {
    INFO(bad);
    CHECK_THROWS_AS(ParseHires(bad), Error);
  }
  CHECK(CodeOf("on") == ErrorCode::kUsage);
}

TEST_CASE("auto acts above 1.25 times the trained size") {
  const DenoiserTraits traits = SdTraits();  // trained at 64
  const auto active = [&](const char* mode, int64_t h, int64_t w) {
    return Hires(mode, traits, h, w, 10).Active();
  };
  CHECK_FALSE(active("auto", 64, 64));
  CHECK_FALSE(active("auto", 80, 80));
  CHECK(active("auto", 81, 64));
  CHECK(active("auto", 32, 128));
  CHECK(active("raunet", 64, 64));
  CHECK(active("hidiffusion", 8, 8));
  CHECK_FALSE(active("off", 512, 512));
}

TEST_CASE("models without a schedule are refused by name") {
  DenoiserTraits other = SdTraits();
  other.raunet = {{}, "it has three eyes"};
  CHECK(CodeOf("raunet", other) == ErrorCode::kUnsupported);
  CHECK(CodeOf("auto", other) == ErrorCode::kUnsupported);
  CHECK_NOTHROW(Hires("off", other, 128, 128, 10));
  CHECK_NOTHROW(Hires("auto", other, 64, 64, 10));
  CHECK(CodeOf("hidiffusion=sdxl") == ErrorCode::kUnsupported);
  CHECK_NOTHROW(Hires("hidiffusion=sd", SdTraits(), 128, 128, 10));
}

TEST_CASE("spans cover all steps, and a dry run visits the first of each") {
  const Hires large("raunet", SdTraits(), 256, 256, 50);
  const auto spans = large.Spans();
  REQUIRE(spans.size() == 3);
  CHECK(spans[0].first == 0);
  CHECK(spans[0].last == 14);
  CHECK(Name(spans[0].stage) == "conv+pool");
  CHECK(spans[1].first == 15);
  CHECK(spans[1].last == 34);
  CHECK(Name(spans[1].stage) == "conv");
  CHECK(spans[2].first == 35);
  CHECK(spans[2].last == 49);
  CHECK(Name(spans[2].stage) == "off");
  CHECK(large.StepsOfChange() == std::vector<int>{0, 15, 35});
  CHECK(Hires().StepsOfChange() == std::vector<int>{0});
  CHECK(Hires().Spans().empty());
  CHECK(Merged({0, 4, 15}, large.StepsOfChange()) == std::vector<int>{0, 4, 15, 35});
  CHECK_FALSE(large.Windows());
}

TEST_CASE("the rule of the windows comes last and names the blocks of the official list") {
  const Hires hires("hidiffusion", SdTraits(), 128, 128, 10);
  REQUIRE(hires.Windows());
  const AttentionPlan plan = hires.With(AttentionPlan::Parse("down_blocks.0.*: dense"));
  REQUIRE(plan.Rules().size() == 2);
  CHECK(plan.Rules()[0].op.name == "dense");
  CHECK(plan.Rules()[1].op.name == "window");
  CHECK(hires.With({}).Rules().size() == 1);
  CHECK(Hires("raunet", SdTraits(), 128, 128, 10).With({}).Empty());

  const auto matches = [](RaunetSchedule schedule, const std::string& path) {
    return AttentionPlan::Parse(WindowRule(schedule)).Rules()[0].MatchesPath(path);
  };
  const auto path = [](const std::string& block, int attention, int layer, const char* which) {
    return block + ".attentions." + std::to_string(attention) + ".transformer_blocks." +
           std::to_string(layer) + "." + which;
  };
  for (const RaunetSchedule schedule : {RaunetSchedule::kSd, RaunetSchedule::kSdxlTurbo}) {
    const bool sd = schedule == RaunetSchedule::kSd;
    int found = 0;
    for (const std::string part : {"down_blocks.", "up_blocks."}) {
      for (int block = 0; block < (sd ? 4 : 3); ++block) {
        for (int attention = 0; attention < (part == "down_blocks." ? 2 : 3); ++attention) {
          for (int layer = 0; layer < (sd ? 1 : block == 2 ? 10 : 2); ++layer) {
            const std::string at = part + std::to_string(block);
            const bool wanted = sd ? at == "down_blocks.0" || at == "up_blocks.3"
                                   : at == "down_blocks.1" || at == "up_blocks.1";
            CHECK(matches(schedule, path(at, attention, layer, "attn1")) == wanted);
            CHECK_FALSE(matches(schedule, path(at, attention, layer, "attn2")));
            found += wanted;
          }
        }
      }
    }
    CHECK(found == (sd ? 5 : 10));
    CHECK_FALSE(matches(schedule, "mid_block.attentions.0.transformer_blocks.0.attn1"));
  }
  CHECK(AttentionPlan::Parse(WindowRule(RaunetSchedule::kSdxl, "schedule=upstream"))
            .Rules()[0]
            .op.Text() == "window(schedule=upstream)");
}

}  // namespace
}  // namespace fovea
