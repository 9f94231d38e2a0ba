// What a picture is worth to a hunt: an objective, and the one that CLIP is.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/model_folder.h"
#include "pipelines/forward/forward.h"
#include "pipelines/pictures/image.h"

namespace fovea {

struct ScoredPicture {
  const Image* image = nullptr;
  std::string prompt;
};

class PictureScorer {
 public:
  virtual ~PictureScorer() = default;
  // One finite number a picture, higher is better; a picture's does not depend on its neighbours.
  virtual std::vector<double> Score(const std::vector<ScoredPicture>& pictures) = 0;
};

// Cosine of the picture and a text, by any folder that holds both towers of CLIP. `text`: what the
// picture is compared with, "{}" in it being its prompt. `backend` must outlive it. Throws
// kBadFile, kUnsupported.
std::unique_ptr<PictureScorer> MakeClipScorer(const ModelFolder& folder, const std::string& text,
                                              const ForwardOptions& options, Backend& backend);

// Mean of (max - min) / max of each pixel's channels, 0 to 1; black counts 0.
double SaturationOf(const Image& image);
// Root of the mean squared difference of their channels, 0 to 255; of equal sizes.
double PictureDistance(const Image& a, const Image& b);

}  // namespace fovea
