#include "pipelines/settings/two_pass.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tensor/error.h"

namespace fovea {
namespace {

constexpr double kUsualScale = 2;

[[noreturn]] void Bad(std::string_view text, const std::string& what) {
  throw Error(ErrorCode::kUsage, "hires: \"" + std::string(text.substr(0, 80)) + "\": " + what);
}

// To the nearest multiple of the factor, at least one.
int Rounded(double side, int factor) {
  return static_cast<int>(std::max(std::round(side / factor), 1.0)) * factor;
}

}  // namespace

void ResolveTwoPass(const SettingLimits& limits, GenerateSettings* settings) {
  const std::string text = settings->hires;
  const auto request = ParseTwoPass(text);
  if (!request) {
    const GenerateSettings none;
    settings->hires_steps = none.hires_steps;
    settings->hires_cfg = none.hires_cfg;
    settings->hires_shift = none.hires_shift;
    settings->hires_ntk = none.hires_ntk;
    settings->hires_attention = none.hires_attention;
    settings->overlay_pass = none.overlay_pass;
    return;
  }
  if (!settings->image.empty()) {
    throw Error(ErrorCode::kUnsupported,
                "hires: two-pass draws its first picture itself, so it takes no --image; to make a "
                "picture larger, give it with --image, -W, -H and --strength");
  }
  const int base_width = limits.defaults.width.value_or(limits.width);
  const int base_height = limits.defaults.height.value_or(limits.height);
  const double usual = request->scale.value_or(kUsualScale);
  if (settings->width == 0) settings->width = Rounded(base_width * usual, limits.factor);
  if (settings->height == 0) settings->height = Rounded(base_height * usual, limits.factor);
  const double larger = std::sqrt(static_cast<double>(settings->width) * settings->height /
                                  (static_cast<double>(base_width) * base_height));
  const double scale = request->scale.value_or(larger);
  const std::string size = std::to_string(settings->width) + "x" + std::to_string(settings->height);
  if (!(scale > 1 && scale <= kMaxTwoPassScale)) {
    Bad(text, "a picture of " + size + " is " + (scale > 1 ? "far" : "not") +
                  " larger than the model's " + std::to_string(base_width) + "x" +
                  std::to_string(base_height) + "; give another size, or two-pass=SCALE");
  }
  char resolved[64];
  std::snprintf(resolved, sizeof resolved, "two-pass=%.6g,%.6g", scale, request->strength);
  settings->hires = resolved;
  const TwoPassRuns runs = *SplitTwoPass(*settings, limits.factor);
  if (runs.first.width == settings->width && runs.first.height == settings->height) {
    Bad(text, "the first picture would have all the " + size + " pixels; give a larger scale");
  }
}

std::optional<TwoPassRuns> SplitTwoPass(const GenerateSettings& settings, int factor) {
  const auto request = ParseTwoPass(settings.hires);
  if (!request || !request->scale) return std::nullopt;
  TwoPassRuns runs{settings, settings};
  runs.first.hires = runs.second.hires = "off";
  runs.first.width = Rounded(settings.width / *request->scale, factor);
  runs.first.height = Rounded(settings.height / *request->scale, factor);
  GenerateSettings& second = runs.second;
  second.strength = request->strength;
  if (settings.hires_steps != 0) second.steps = settings.hires_steps;
  if (settings.hires_cfg >= 0) second.cfg = settings.hires_cfg;
  if (settings.hires_shift != 0) second.shift = settings.hires_shift;
  if (settings.hires_ntk != 0) second.ntk = settings.hires_ntk;
  if (!settings.hires_attention.empty()) second.attention = settings.hires_attention;
  if (settings.overlay_pass == "second") runs.first.overlay.clear();
  return runs;
}

}  // namespace fovea
