// What --hires asks for, as text: HiDiffusion (sampling/hires.h) or two passes (two_pass.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "models/unet/raunet.h"

namespace fovea {

enum class HiresMode : uint8_t { kOff, kAuto, kHidiffusion, kRaunet, kTwoPass };

// "off", "auto", "hidiffusion", "raunet"; all but "off" may end in "=SCHEDULE", a name of
// models/unet/raunet.h for models whose structure does not tell them apart. Or a
// two-pass (below); each pass then runs as usual.
struct HiresRequest {
  HiresMode mode = HiresMode::kOff;
  std::optional<RaunetSchedule> schedule;
};
HiresRequest ParseHires(std::string_view text);  // throws kUsage

constexpr double kMaxTwoPassScale = 16;

struct TwoPassRequest {
  std::optional<double> scale;  // wanted size over first size, above 1; none: by the trained size
  double strength = 0.5;        // of the second pass
};
// "two-pass", "two-pass=2", "two-pass=2,0.4"; none for texts that begin otherwise. Throws kUsage.
std::optional<TwoPassRequest> ParseTwoPass(std::string_view text);

}  // namespace fovea
