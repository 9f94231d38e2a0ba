#include "models/unet/raunet.h"

#include <algorithm>
#include <array>

#include "models/unet/unet_config.h"
#include "tensor/error.h"

namespace fovea {
namespace {

struct NamedSchedule {
  RaunetSchedule schedule;
  std::string_view name;
};

constexpr std::array kSchedules = {NamedSchedule{RaunetSchedule::kSd, "sd"},
                                   NamedSchedule{RaunetSchedule::kSdxl, "sdxl"},
                                   NamedSchedule{RaunetSchedule::kSdxlPlain, "sdxl-plain"},
                                   NamedSchedule{RaunetSchedule::kSdxlTurbo, "sdxl-turbo"}};

constexpr int kExtreme = 4;  // times the trained size

// Shares of the steps: T1, and T2 at extreme sizes.
constexpr double kLong = 0.4, kLongControlNet = 0.5, kLongTurbo = 0.5;
constexpr double kLongExtreme = 0.7, kShortExtreme = 0.3;
constexpr double kHead = 8.0 / 50;  // of SDXL's conv alone

// Whether exactly these levels have attention, from the largest maps down.
bool HasAttention(const UNetConfig& config, std::initializer_list<bool> wanted) {
  return std::equal(config.levels.begin(), config.levels.end(), wanted.begin(), wanted.end(),
                    [](const UNetLevel& level, bool attention) {
                      return level.down_attention == attention && level.up_attention == attention;
                    });
}

}  // namespace

std::string_view Name(RaunetSchedule schedule) {
  for (const NamedSchedule& each : kSchedules) {
    if (each.schedule == schedule) return each.name;
  }
  ENSURE(false, "a schedule without a name");
  return {};
}

std::optional<RaunetSchedule> ParseRaunetSchedule(std::string_view name) {
  for (const NamedSchedule& each : kSchedules) {
    if (each.name == name) return each.schedule;
  }
  return std::nullopt;
}

bool RaunetFit::Allows(RaunetSchedule other) const {
  return schedule && (*schedule == RaunetSchedule::kSd) == (other == RaunetSchedule::kSd);
}

RaunetFit FitRaunet(const UNetConfig& config) {
  if (config.downsample_padding != 1) {
    return {{},
            "its downsample_padding is " + std::to_string(config.downsample_padding) + ", not 1"};
  }
  if (HasAttention(config, {true, true, true, false})) return {RaunetSchedule::kSd, {}};
  if (HasAttention(config, {false, true, true})) {
    constexpr int64_t kInpainting = 9;  // latent, mask, latent of the masked picture
    return {config.in_channels == kInpainting ? RaunetSchedule::kSdxlPlain : RaunetSchedule::kSdxl,
            {}};
  }
  if (HasAttention(config, {false, true, true, false})) {
    return {{}, "it has the levels of SDXL's refiner, for which no schedule was published"};
  }
  return {{},
          "schedules exist for four levels, all but the last with attention (SD 1 and 2), and for "
          "three, all but the first (SDXL)"};
}

std::string Name(const RaunetStage& stage) {
  if (!stage.Active()) return "off";
  if (stage.conv_down < 0) return "pool";
  return stage.pool_down < 0 ? "conv" : "conv+pool";
}

bool IsExtreme(const RaunetRun& run) {
  return run.height >= kExtreme * run.trained_height && run.width >= kExtreme * run.trained_width;
}

RaunetStage StageAt(const RaunetRun& run, int step) {
  const auto before = [&](double share) { return step < static_cast<int>(run.steps * share); };
  const bool extreme = IsExtreme(run);
  const double longer = extreme                                          ? kLongExtreme
                        : run.task == RaunetTask::kControlNetTextToImage ? kLongControlNet
                                                                         : kLong;
  const double shorter = extreme ? kShortExtreme : 0;
  bool conv = false, pool = false;
  switch (run.schedule) {
    case RaunetSchedule::kSd:
      conv = before(extreme ? kLongExtreme : kLong);
      pool = before(shorter);
      break;
    case RaunetSchedule::kSdxl:
      conv = before(extreme ? shorter : kHead);
      pool = before(longer) && (extreme || !conv);
      break;
    case RaunetSchedule::kSdxlPlain:
      conv = before(shorter);
      pool = before(longer);
      break;
    case RaunetSchedule::kSdxlTurbo:
      pool = before(kLongTurbo);
      break;
  }
  const bool sd = run.schedule == RaunetSchedule::kSd;
  RaunetStage stage;
  if (conv) stage.conv_down = sd ? 0 : 1;
  if (pool) {
    stage.pool_down = 1;
    stage.pool_up = sd ? 2 : 1;
  }
  return stage;
}

}  // namespace fovea
