// Golden cases of the official HiDiffusion code: tools/golden/hidiffusion.py says what they hold.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "models/unet/unet.h"
#include "tests/support/golden_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {

struct HidiffusionCase {
  std::string name, schedule;
  int step = 0, steps = 1, trained = 64, batch = 1;
  bool raunet = true, windows = true;
  uint64_t seed = 0;
  float timestep = 0;
  NamedTensors inputs;
  HostTensor output;
  double reference_f32_error = 0;
  std::vector<std::pair<int64_t, int64_t>> sizes;  // of the 3x3 convolutions, in order
  std::vector<int> quarters;                       // of the windows

  // "raunet=sdxl-turbo" or "off"; windows of the official draw are a plan of their own.
  std::string Hires() const;
};

// A whole run of DDIM with guidance.
struct HidiffusionLoop {
  std::string name, schedule, scheduler_config;  // JSON
  int steps = 1, trained = 64;
  uint64_t seed = 0;
  double cfg = 1;
  NamedTensors inputs;                // batch of two: negative, positive
  std::map<int, HostTensor> latents;  // after some steps
  std::map<int, double> reference_f32_error;
};

struct HidiffusionModel {
  std::string name;
  std::vector<HidiffusionCase> cases;
  std::vector<HidiffusionLoop> loops;

  static HidiffusionModel Read(const std::string& name);
  // The model as trained at this size of latent.
  std::unique_ptr<UNet2DConditionModel> Load(int trained) const;

 private:
  std::shared_ptr<TempDir> folder_;
};

}  // namespace fovea
