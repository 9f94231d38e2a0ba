// What --image, --mask, --strength and --hires two-pass make of the other settings.
#include "pipelines/settings/image_settings.h"

#include <cmath>

#include <catch2/catch.hpp>

#include "pipelines/generation/image_start.h"
#include "pipelines/sampling/hires.h"
#include "pipelines/settings/two_pass.h"
#include "tensor/error.h"

namespace fovea {
namespace {

const char* const kPicture = "85x61-0123456789abcdef";

GenerateSettings Asked() {
  GenerateSettings settings;
  settings.steps = 10;
  return settings;
}

GenerateSettings Resolved(GenerateSettings settings) {
  SettingLimits limits;
  limits.width = limits.height = 64;
  ResolveImageSettings(limits, &settings);
  return settings;
}

// The message of the refusal; empty if there is none.
std::string Refusal(const GenerateSettings& settings, ErrorCode code = ErrorCode::kUsage) {
  try {
    Resolved(settings);
  } catch (const Error& error) {
    CHECK(error.code == code);
    return error.what();
  }
  return {};
}

std::string TwoPassText(const std::string& hires, int width = 0, int height = 0) {
  GenerateSettings settings = Asked();
  settings.hires = hires;
  settings.width = width;
  settings.height = height;
  settings = Resolved(settings);
  const TwoPassRuns runs = *SplitTwoPass(settings, 8);
  const auto size = [](const GenerateSettings& s) {
    return std::to_string(s.width) + "x" + std::to_string(s.height);
  };
  CHECK(runs.first.hires == "off");
  CHECK(runs.second.hires == "off");
  CHECK(runs.second.width == settings.width);
  return settings.hires + ": " + size(runs.first) + ", " + size(settings);
}

}  // namespace

TEST_CASE("a picture gives the size that nobody asked for, and the strength") {
  GenerateSettings settings = Asked();
  settings.image = kPicture;
  CHECK(Resolved(settings).width == 80);
  CHECK(Resolved(settings).height == 56);
  CHECK(Resolved(settings).strength == 0.8);
  settings.mask = "9x9-0123456789abcdef";
  CHECK(Resolved(settings).strength == 1);
  settings.strength = 0.25;
  settings.height = 128;
  CHECK(Resolved(settings).strength == 0.25);
  CHECK(Resolved(settings).width == 80);
  CHECK(Resolved(settings).height == 128);
  CHECK(Resolved(Asked()).strength == -1);
  CHECK(Resolved(Asked()).width == 0);
}

TEST_CASE("strength leaves the last steps, as diffusers counts them") {
  CHECK(StepsOfStrength(10, 0.6, false) == 6);
  CHECK(StepsOfStrength(10, 0.09, false) == 0);
  CHECK(StepsOfStrength(50, 0.58, false) == 28);  // 28.999999999999996
  CHECK(StepsOfStrength(10, 1, false) == 10);
  // Flow matching rounds up.
  CHECK(StepsOfStrength(10, 0.6, true) == 6);
  CHECK(StepsOfStrength(10, 0.61, true) == 7);
  CHECK(StepsOfStrength(10, 0.09, true) == 1);
  CHECK(StepsOfStrength(10, 1, true) == 10);
}

TEST_CASE("pictures, masks and strengths that fit nothing are refused") {
  GenerateSettings settings = Asked();
  settings.mask = kPicture;
  CHECK(Refusal(settings).find("mask: there is no picture") == 0);
  settings = Asked();
  settings.strength = 0.5;
  CHECK(Refusal(settings).find("strength: there is no picture") == 0);
  settings.image = kPicture;
  CHECK(Refusal(settings).empty());
  settings.strength = 0.05;
  CHECK(Refusal(settings) ==
        "strength: 0.05 of 10 steps leaves none; give more steps or a higher strength");
  for (const double strength : {0.0, 1.01, std::nan("")}) {
    settings.strength = strength;
    CHECK(Refusal(settings).find("strength: ") == 0);
  }
  settings.strength = 1;
  settings.image = "85x7-0123456789abcdef";
  CHECK(Refusal(settings).find("image: 85x7 is smaller than 8x8") == 0);
  settings.height = 8;
  CHECK(Refusal(settings).empty());
  settings.image = "no digest";
  CHECK(Refusal(settings, ErrorCode::kBadFile).find("image: \"no digest\"") == 0);
  settings = Asked();
  settings.mask_paste = "maybe";
  CHECK(Refusal(settings).find("mask-paste: \"maybe\"") == 0);
}

TEST_CASE("two passes: sizes and what is remembered") {
  CHECK(TwoPassText("two-pass") == "two-pass=2,0.5: 64x64, 128x128");
  CHECK(TwoPassText("two-pass=1.5,0.3") == "two-pass=1.5,0.3: 64x64, 96x96");
  CHECK(TwoPassText("two-pass", 128, 128) == "two-pass=2,0.5: 64x64, 128x128");
  // As many pixels as the trained picture has, in the shape that is wanted.
  CHECK(TwoPassText("two-pass", 256, 64) == "two-pass=2,0.5: 128x32, 256x64");
  CHECK(TwoPassText("two-pass", 200, 136) == "two-pass=2.57694,0.5: 80x56, 200x136");
  CHECK(TwoPassText("two-pass=4", 64, 64) == "two-pass=4,0.5: 16x16, 64x64");
  CHECK(TwoPassText("two-pass=1.3,1", 16, 80) == "two-pass=1.3,1: 16x64, 16x80");
  // Resolved settings stay as they are, for pictures that are rendered again.
  CHECK(TwoPassText("two-pass=2.57694,0.5", 200, 136) == "two-pass=2.57694,0.5: 80x56, 200x136");
}

TEST_CASE("two passes that make no sense are refused") {
  const auto refusal = [](const std::string& hires, int width = 0, int height = 0) {
    GenerateSettings settings = Asked();
    settings.hires = hires;
    settings.width = width;
    settings.height = height;
    return Refusal(settings);
  };
  CHECK(refusal("two-pass", 64, 64).find("is not larger than the model's 64x64") !=
        std::string::npos);
  CHECK(refusal("two-pass", 1 << 20, 1 << 20).find("is far larger") != std::string::npos);
  CHECK(refusal("two-pass=1.01", 64, 64).find("give a larger scale") != std::string::npos);
  CHECK(refusal("two-pass=2,0.01").find("leaves none") != std::string::npos);
  for (const char* bad : {"two-pass=1", "two-pass=17", "two-pass=nan", "two-pass=", "two-pass=2,",
                          "two-pass=2,0", "two-pass=2,1.5", "two-pass=2,0.5,1", "two-pass=2x"}) {
    CAPTURE(bad);
    CHECK(refusal(bad).find("hires: \"two-pass") == 0);
    CHECK_THROWS_AS(ParseHires(bad), Error);
  }
  CHECK_FALSE(ParseTwoPass("two-passes"));
  CHECK_THROWS_AS(ParseHires("two-passes"), Error);
  CHECK(ParseHires("two-pass=2").mode == HiresMode::kTwoPass);

  GenerateSettings settings = Asked();
  settings.hires = "two-pass";
  settings.image = kPicture;
  CHECK(Refusal(settings, ErrorCode::kUnsupported).find("takes no --image") != std::string::npos);
}

}  // namespace fovea
