// The gates of RAU-Net, step by step, against the counts that the authors' code gives; and which
// U-Nets take which schedule. Whole passes are compared in raunet_golden_test.cc.
#include "models/unet/raunet.h"

#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include "models/unet/unet_config.h"

namespace fovea {
namespace {

using nlohmann::json;

struct Counts {
  int conv = 0, pool = 0;  // steps
  int first_conv = -1, first_pool = -1;
};

Counts Count(RaunetRun run) {
  Counts counts;
  for (int i = 0; i < run.steps; ++i) {
    const RaunetStage stage = StageAt(run, i);
    if (stage.conv_down >= 0 && counts.conv++ == 0) counts.first_conv = i;
    if (stage.pool_down >= 0 && counts.pool++ == 0) counts.first_pool = i;
  }
  return counts;
}

RaunetRun Run(RaunetSchedule schedule, int steps, int64_t side) {
  const int64_t trained = schedule == RaunetSchedule::kSd ? 64 : 128;
  return {schedule, steps, side, side, trained, trained, RaunetTask::kPlain};
}

constexpr int kSteps[] = {50, 30, 25, 20, 10, 4};

TEST_CASE("SD shrinks by convolution for 0.4 of the steps") {
  const int conv[] = {20, 12, 10, 8, 4, 1};
  for (size_t k = 0; k < std::size(kSteps); ++k) {
    const Counts counts = Count(Run(RaunetSchedule::kSd, kSteps[k], 128));
    INFO(kSteps[k]);
    CHECK(counts.conv == conv[k]);
    CHECK(counts.first_conv == 0);
    CHECK(counts.pool == 0);
  }
}

TEST_CASE("extreme sizes shrink twice for 0.3 of the steps, once for 0.7") {
  const int longer[] = {35, 21, 17, 14, 7, 2}, shorter[] = {15, 9, 7, 6, 3, 1};
  for (size_t k = 0; k < std::size(kSteps); ++k) {
    INFO(kSteps[k]);
    const Counts sd = Count(Run(RaunetSchedule::kSd, kSteps[k], 256));
    CHECK(sd.conv == longer[k]);
    CHECK(sd.pool == shorter[k]);
    for (const RaunetSchedule schedule : {RaunetSchedule::kSdxl, RaunetSchedule::kSdxlPlain}) {
      const Counts xl = Count(Run(schedule, kSteps[k], 512));
      CHECK(xl.conv == shorter[k]);
      CHECK(xl.pool == longer[k]);
      CHECK(xl.first_pool == 0);
    }
  }
}

TEST_CASE("SDXL shrinks by convolution, then by pooling, never by both") {
  const int head[] = {8, 4, 4, 3, 1, 0}, end[] = {20, 12, 10, 8, 4, 1};
  for (size_t k = 0; k < std::size(kSteps); ++k) {
    INFO(kSteps[k]);
    const Counts counts = Count(Run(RaunetSchedule::kSdxl, kSteps[k], 256));
    CHECK(counts.conv == head[k]);
    CHECK(counts.first_conv == (head[k] > 0 ? 0 : -1));
    CHECK(counts.first_pool == head[k]);
    CHECK(counts.pool == end[k] - head[k]);
  }
}

TEST_CASE("SDXL for inpainting pools alone, Turbo for half of the steps") {
  const int plain[] = {20, 12, 10, 8, 4, 1}, turbo[] = {25, 15, 12, 10, 5, 2};
  for (size_t k = 0; k < std::size(kSteps); ++k) {
    INFO(kSteps[k]);
    const Counts inpaint = Count(Run(RaunetSchedule::kSdxlPlain, kSteps[k], 256));
    CHECK(inpaint.conv == 0);
    CHECK(inpaint.pool == plain[k]);
    for (const int64_t side : {64, 128, 512}) {  // whatever the size
      const Counts counts = Count(Run(RaunetSchedule::kSdxlTurbo, kSteps[k], side));
      CHECK(counts.conv == 0);
      CHECK(counts.pool == turbo[k]);
    }
  }
}

TEST_CASE("a ControlNet keeps SDXL's maps small for longer, except at extreme sizes") {
  RaunetRun run = Run(RaunetSchedule::kSdxl, 50, 256);
  run.task = RaunetTask::kControlNetTextToImage;
  CHECK(Count(run).conv == 8);
  CHECK(Count(run).pool == 25 - 8);
  run.width = run.height = 512;
  CHECK(Count(run).pool == 35);
}

// int(N * 0.7) in double precision is one below the exact floor here.
TEST_CASE("shares of the steps are cut in double precision") {
  for (const int steps : {90, 170, 180}) {
    CHECK(Count(Run(RaunetSchedule::kSd, steps, 256)).conv == steps * 7 / 10 - 1);
  }
  CHECK(Count(Run(RaunetSchedule::kSd, 100, 256)).conv == 70);
}

TEST_CASE("a size is extreme where both sides reach four times the trained ones") {
  RaunetRun run = Run(RaunetSchedule::kSd, 50, 256);
  CHECK(IsExtreme(run));
  run.width = 255;
  CHECK_FALSE(IsExtreme(run));
  run.width = 1024;
  CHECK(IsExtreme(run));
  run.trained_height = run.trained_width = 96;  // 256 is enough for a model trained at 64 only
  CHECK_FALSE(IsExtreme(run));
  run.trained_height = 16;
  run.trained_width = 256;
  CHECK(IsExtreme(run));
}

TEST_CASE("RAU-Net has no lower bound") {
  CHECK(Count(Run(RaunetSchedule::kSd, 50, 64)).conv == 20);
  CHECK(Count(Run(RaunetSchedule::kSd, 50, 8)).conv == 20);
}

TEST_CASE("stages name where they act") {
  const RaunetStage sd = StageAt(Run(RaunetSchedule::kSd, 50, 256), 0);
  CHECK(sd == RaunetStage{0, 1, 2});
  CHECK(Name(sd) == "conv+pool");
  CHECK(StageAt(Run(RaunetSchedule::kSd, 50, 256), 20) == RaunetStage{0, -1, -1});
  CHECK(StageAt(Run(RaunetSchedule::kSd, 50, 256), 35) == RaunetStage{});
  CHECK(Name(RaunetStage{}) == "off");
  CHECK(StageAt(Run(RaunetSchedule::kSdxl, 50, 256), 7) == RaunetStage{1, -1, -1});
  CHECK(StageAt(Run(RaunetSchedule::kSdxl, 50, 256), 8) == RaunetStage{-1, 1, 1});
  CHECK(Name(StageAt(Run(RaunetSchedule::kSdxl, 50, 256), 7)) == "conv");
  CHECK(Name(StageAt(Run(RaunetSchedule::kSdxl, 50, 256), 8)) == "pool");
  for (const auto schedule : {RaunetSchedule::kSd, RaunetSchedule::kSdxl,
                              RaunetSchedule::kSdxlPlain, RaunetSchedule::kSdxlTurbo}) {
    CHECK(ParseRaunetSchedule(Name(schedule)) == schedule);
  }
  CHECK_FALSE(ParseRaunetSchedule("SDXL"));
}

const json kXl = {
    {"block_out_channels", {32, 64, 128}},
    {"down_block_types", {"DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"}},
    {"up_block_types", {"CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"}}};

RaunetFit Fit(json fields, const json& more = json::object()) {
  fields.update(more);
  return FitRaunet(ReadUNetConfig(Config::Parse(fields.dump(), "unet/config.json")));
}

TEST_CASE("the structure of a U-Net tells its schedule") {
  const RaunetFit sd = Fit(json::object());
  CHECK(sd.schedule == RaunetSchedule::kSd);
  CHECK(sd.Allows(RaunetSchedule::kSd));
  CHECK_FALSE(sd.Allows(RaunetSchedule::kSdxlTurbo));
  CHECK(Fit(json::object(), {{"in_channels", 9}}).schedule == RaunetSchedule::kSd);
  CHECK(Fit(json::object(), {{"layers_per_block", 1}}).schedule == RaunetSchedule::kSd);
  const RaunetFit xl = Fit(kXl);
  CHECK(xl.schedule == RaunetSchedule::kSdxl);
  CHECK(xl.Allows(RaunetSchedule::kSdxlTurbo));
  CHECK(xl.Allows(RaunetSchedule::kSdxlPlain));
  CHECK_FALSE(xl.Allows(RaunetSchedule::kSd));
  CHECK(Fit(kXl, {{"in_channels", 9}}).schedule == RaunetSchedule::kSdxlPlain);
}

TEST_CASE("other U-Nets take no schedule, and it is said why") {
  const json refiner = {
      {"down_block_types",
       {"DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"}},
      {"up_block_types", {"UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"}}};
  const auto reason = [](const RaunetFit& fit) {
    CHECK_FALSE(fit.schedule);
    CHECK_FALSE(fit.Allows(RaunetSchedule::kSd));
    return fit.reason;
  };
  CHECK(reason(Fit(refiner)).find("refiner") != std::string::npos);
  CHECK(reason(Fit(json::object(), {{"downsample_padding", 0}})).find("downsample_padding") !=
        std::string::npos);
  const json no_attention = {{"down_block_types", {"DownBlock2D", "DownBlock2D"}},
                             {"up_block_types", {"UpBlock2D", "UpBlock2D"}},
                             {"block_out_channels", {32, 64}}};
  CHECK(reason(Fit(no_attention)).find("SDXL") != std::string::npos);
}

}  // namespace
}  // namespace fovea
