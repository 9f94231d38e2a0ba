// What windows and reports want to know of an opened pipeline beside its pictures.
#pragma once

#include <string>
#include <vector>

#include "attention/attention_site.h"

namespace fovea {

struct PipelineFacts {
  int width = 512, height = 512;  // of the pictures it was trained on
  int factor = 8;                 // picture pixels a latent pixel
  int latent_channels = 4;
  bool only_repaints = false;        // makes no picture without a given one and a mask
  std::vector<AttentionSite> sites;  // of the denoiser, token layouts at the trained size
};

}  // namespace fovea
