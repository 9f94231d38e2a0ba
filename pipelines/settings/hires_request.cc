#include "pipelines/settings/hires_request.h"

#include <array>
#include <charconv>
#include <cmath>
#include <string>

#include "tensor/error.h"

namespace fovea {
namespace {

constexpr std::string_view kTwoPass = "two-pass";

struct NamedMode {
  HiresMode mode;
  std::string_view name;
};

constexpr std::array kModes = {
    NamedMode{HiresMode::kOff, "off"}, NamedMode{HiresMode::kAuto, "auto"},
    NamedMode{HiresMode::kHidiffusion, "hidiffusion"}, NamedMode{HiresMode::kRaunet, "raunet"}};

[[noreturn]] void Unknown(std::string_view text) {
  throw Error(ErrorCode::kUsage,
              "hires: \"" + std::string(text.substr(0, 80)) +
                  "\" is not among off, auto, hidiffusion, raunet and two-pass; behind the "
                  "middle three may stand =sd, =sdxl, =sdxl-plain or =sdxl-turbo, behind two-pass "
                  "=SCALE or =SCALE,STRENGTH");
}

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

}  // namespace

HiresRequest ParseHires(std::string_view text) {
  if (ParseTwoPass(text)) return {HiresMode::kTwoPass, std::nullopt};
  const size_t equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  for (const NamedMode& each : kModes) {
    if (each.name != name) continue;
    HiresRequest request{each.mode, std::nullopt};
    if (equals == std::string_view::npos) return request;
    request.schedule = ParseRaunetSchedule(text.substr(equals + 1));
    if (!request.schedule || each.mode == HiresMode::kOff) Unknown(text);
    return request;
  }
  Unknown(text);
}

std::optional<TwoPassRequest> ParseTwoPass(std::string_view text) {
  if (!text.starts_with(kTwoPass)) return std::nullopt;
  TwoPassRequest request;
  const std::string_view rest = text.substr(kTwoPass.size());
  if (rest.empty()) return request;
  if (rest.front() != '=') return std::nullopt;
  const std::string_view numbers = rest.substr(1);
  const size_t comma = numbers.find(',');
  request.scale = Number(numbers.substr(0, comma), text, "the scale");
  if (!(*request.scale > 1 && *request.scale <= kMaxTwoPassScale)) {
    Bad(text, "the scale must lie above 1 and be at most 16");
  }
  if (comma == std::string_view::npos) return request;
  request.strength = Number(numbers.substr(comma + 1), text, "the strength");
  if (!(request.strength > 0 && request.strength <= 1)) {
    Bad(text, "the strength must lie above 0 and be at most 1");
  }
  return request;
}

}  // namespace fovea
