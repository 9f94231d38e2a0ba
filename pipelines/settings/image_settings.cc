#include "pipelines/settings/image_settings.h"

#include <algorithm>
#include <cstdio>

#include "pipelines/pictures/picture_file.h"
#include "pipelines/settings/two_pass.h"

namespace fovea {
namespace {

// diffusers' defaults of image to image and of inpainting.
constexpr double kImageStrength = 0.8, kMaskStrength = 1;

[[noreturn]] void Bad(const std::string& what) {
  throw Error(ErrorCode::kUsage, what);
}

void CheckStepsLeft(const char* name, int steps, double strength, bool flow) {
  if (StepsOfStrength(steps, strength, flow) >= 1) return;
  char text[32];
  std::snprintf(text, sizeof text, "%g", strength);
  Bad(std::string(name) + ": " + text + " of " + std::to_string(steps) +
      " steps leaves none; give more steps or a higher strength");
}

int SideOf(int side, const GenerateSettings& settings, int factor) {
  if (side < factor) {
    Bad("image: " + settings.image.substr(0, settings.image.find('-')) + " is smaller than " +
        std::to_string(factor) + "x" + std::to_string(factor) + "; give --width and --height");
  }
  return side - side % factor;
}

}  // namespace

int StepsOfStrength(int steps, double strength, bool flow) {
  const double left = std::min(steps * strength, static_cast<double>(steps));
  return flow ? steps - static_cast<int>(steps - left) : static_cast<int>(left);
}

void ResolveImageSettings(const SettingLimits& limits, GenerateSettings* settings) {
  GenerateSettings& s = *settings;
  ResolveTwoPass(limits, settings);
  if (const auto runs = SplitTwoPass(s, limits.factor)) {
    CheckStepsLeft("hires: the second pass at strength", runs->second.steps, runs->second.strength,
                   limits.flow);
  }
  if (s.mask_paste != "on" && s.mask_paste != "off") {
    Bad("mask-paste: \"" + s.mask_paste.substr(0, 80) + "\" is not among on, off");
  }
  if (s.image.empty()) {
    if (!s.mask.empty()) Bad("mask: there is no picture to repaint; give --image");
    if (s.strength >= 0) Bad("strength: there is no picture to start from; give --image");
    return;
  }
  if (s.strength < 0) s.strength = s.mask.empty() ? kImageStrength : kMaskStrength;
  if (!(s.strength > 0 && s.strength <= 1)) Bad("strength: must lie above 0 and be at most 1");
  CheckStepsLeft("strength", s.steps, s.strength, limits.flow);
  const PictureSize size = SizeOfDigest(s.image, "image");
  if (!s.mask.empty()) SizeOfDigest(s.mask, "mask");
  if (s.width == 0) s.width = SideOf(size.width, s, limits.factor);
  if (s.height == 0) s.height = SideOf(size.height, s, limits.factor);
}

}  // namespace fovea
