// RAU-Net: at which steps which feature maps of a U-Net are made smaller than its layers make them.
//
// Zhang et al., "HiDiffusion: Unlocking Higher-Resolution Creativity and Efficiency in Pretrained
// Diffusion Models" (2024), thresholds and places as in the authors' code. At the early steps of a
// picture larger than those that the model was trained on, the deep levels are brought back to
// sizes near the trained ones, which keeps objects from being drawn twice:
//   conv: a downsampler runs with stride 4, padding 2 and dilation 2, on the same weights; the
//         matching upsampler goes up to the size of its skip, as upsamplers always do.
//   pool: the first pair (resnet, transformer) of a down block is followed by a 2x2 average, which
//         also becomes the skip; the last pair but one of the matching up block, which takes the
//         last skip of that size, by a bicubic resize back.
// The stage is a pure function of the numbers below, so that layers keep no counters.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fovea {

struct UNetConfig;

// Which of the published schedules.
enum class RaunetSchedule : uint8_t {
  kSd,         // four levels: Stable Diffusion 1.x and 2.x
  kSdxl,       // three levels, first conv, then pool ("aggressive")
  kSdxlPlain,  // three levels, pool alone: inpainting and Playground models
  kSdxlTurbo,  // three levels, pool alone for half of the steps
};
std::string_view Name(RaunetSchedule schedule);  // "sd", "sdxl", "sdxl-plain", "sdxl-turbo"
std::optional<RaunetSchedule> ParseRaunetSchedule(std::string_view name);

// What this U-Net takes, told by where its config has attention: SD's four levels, SDXL's three,
// with 9 input channels (inpainting) the plain one. A Turbo model looks like any SDXL and must be
// named by the user. Without a schedule, `reason` says why.
struct RaunetFit {
  std::optional<RaunetSchedule> schedule;
  std::string reason;
  // Whether `other` can be asked for instead: schedules of the same levels.
  bool Allows(RaunetSchedule other) const;
};
RaunetFit FitRaunet(const UNetConfig& config);

// What the authors' code tells apart beyond the model. Their text-to-image ControlNet pipeline
// keeps the maps of SDXL small for longer.
enum class RaunetTask : uint8_t { kPlain, kControlNetTextToImage };

struct RaunetRun {
  RaunetSchedule schedule = RaunetSchedule::kSd;
  int steps = 1;                                    // of the actual list of timesteps
  int64_t height = 64, width = 64;                  // of the latent
  int64_t trained_height = 64, trained_width = 64;  // sample_size
  RaunetTask task = RaunetTask::kPlain;
};

// Where the maps change during one pass of the U-Net; -1: nowhere.
struct RaunetStage {
  int conv_down = -1;                // the down block whose downsampler is re-dilated
  int pool_down = -1, pool_up = -1;  // the down block that pools, the up block that undoes it

  bool Active() const { return conv_down >= 0 || pool_down >= 0; }
  bool operator==(const RaunetStage&) const = default;
};
std::string Name(const RaunetStage& stage);  // "off", "conv", "pool", "conv+pool"

// Both sides reach 4 times the trained ones: then the schedules shrink more, and for longer.
bool IsExtreme(const RaunetRun& run);
RaunetStage StageAt(const RaunetRun& run, int step);  // 0-based

}  // namespace fovea
