// Which of the known configs fits an original checkpoint, told by shapes of its U-Net or
// transformer.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/files/safetensors.h"

namespace fovea {

// sd15, sd15-inpaint, sd21-v, sd21, sdxl, sdxl-refiner, sd3, sd35-medium, sd35-large, flux-dev,
// flux-schnell: folders of assets/configs.
std::vector<std::string> ConfigNames();

struct ConfigFit {
  bool has_denoiser = false;
  std::vector<std::string> names;  // of the configs that fit, the likeliest first
  std::string seen;                // "4 input channels, text states of 768 channels"
};
// sd21-v and sd21 differ in what the U-Net predicts, which no shape tells; 2.1 predicts v. Pure.
ConfigFit FitConfigs(const SafetensorsHeader& header);

}  // namespace fovea
