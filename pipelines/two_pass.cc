#include "pipelines/two_pass.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "tensor/error.h"

namespace fovea {
namespace {

constexpr std::string_view kName = "two-pass";
constexpr double kMaxScale = 16, kUsualScale = 2;

[[noreturn]] void Bad(std::string_view text, const std::string& what) {
  throw Error(ErrorCode::kUsage, "hires: \"" + std::string(text.substr(0, 80)) + "\": " + what);
}

double Number(std::string_view part, std::string_view text, const char* name) {
  double value = 0;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
  if (error != std::errc() || end != part.data() + part.size() || !std::isfinite(value)) {
    Bad(text, std::string(name) + " is not a number; as in two-pass=2,0.5");
  }
  return value;
}

// To the nearest multiple of the factor, at least one.
int Rounded(double side, int factor) {
  return static_cast<int>(std::max(std::round(side / factor), 1.0)) * factor;
}

}  // namespace

std::optional<TwoPassRequest> ParseTwoPass(std::string_view text) {
  if (!text.starts_with(kName)) return std::nullopt;
  TwoPassRequest request;
  const std::string_view rest = text.substr(kName.size());
  if (rest.empty()) return request;
  if (rest.front() != '=') return std::nullopt;
  const std::string_view numbers = rest.substr(1);
  const size_t comma = numbers.find(',');
  request.scale = Number(numbers.substr(0, comma), text, "the scale");
  if (!(*request.scale > 1 && *request.scale <= kMaxScale)) {
    Bad(text, "the scale must lie above 1 and be at most 16");
  }
  if (comma == std::string_view::npos) return request;
  request.strength = Number(numbers.substr(comma + 1), text, "the strength");
  if (!(request.strength > 0 && request.strength <= 1)) {
    Bad(text, "the strength must lie above 0 and be at most 1");
  }
  return request;
}

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
  if (!(scale > 1 && scale <= kMaxScale)) {
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
