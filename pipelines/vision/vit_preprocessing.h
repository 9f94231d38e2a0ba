// A picture as a Vision Transformer takes it: resized, cropped, scaled, normalised.
//
// As preprocessor_config.json says, with the numbers of transformers' image processors in their
// Pillow form; for timm's models as `pretrained_cfg` says, with those of its evaluation transform.
#pragma once

#include <array>
#include <filesystem>

#include "models/config.h"
#include "models/model_folder.h"
#include "pipelines/pictures/image.h"
#include "pipelines/pictures/resample.h"
#include "tensor/memory/host_tensor.h"

namespace fovea {

struct VitPreprocessing {
  enum class Fit {
    kNone,          // as it is
    kExact,         // to height x width
    kShortestEdge,  // the shorter side to `shortest`, the longer in proportion
  };
  Fit fit = Fit::kExact;
  int height = 224, width = 224, shortest = 224;
  int longest = 0;  // of kShortestEdge: the longer side is at most this; 0: no bound
  ResampleFilter filter = ResampleFilter::kBilinear;
  bool crop = false;  // the middle; what lies outside of the picture is black
  int crop_height = 224, crop_width = 224;
  bool crop_rounds_to_even = false;  // where the rest is odd: timm's rule, else down
  double scale = 1.0 / 255;
  std::array<double, 3> mean{0, 0, 0}, std{1, 1, 1};

  // (1,3,h,w) f32. Throws kBadFile for a picture that is too long and thin to resize.
  HostTensor Apply(const Image& image) const;
};

// Looks for preprocessor_config.json in the component's folder and, of a pipeline's component, in
// the pipeline's and its "feature_extractor"; a timm folder has everything in config.json. Throws
// kBadFile, kUnsupported.
VitPreprocessing ReadVitPreprocessing(const ComponentFolder& component);
// Pure; fuzzed. `class_name` is the model's: it says what the fields that are missing mean, where
// the file does not name its processor.
VitPreprocessing ParseVitPreprocessing(const Config& config, const std::string& class_name);
VitPreprocessing ParseTimmPreprocessing(const Config& config);

}  // namespace fovea
