// `fovea inspect -i PICTURES --analytics`: numbers about the heads and tokens of a Vision
// Transformer over many pictures, and whether its maps show what the pictures are about.
//
// Beside a picture NAME.png may stand NAME.txt, its caption, and masks/NAME.png, white where its
// subject is; for the same-object probe every grey value but 0 is an object. The answers that a
// model is asked for: its classes, the right one being what it says of the untouched picture; of
// CLIP, which of all captions belongs to the picture, or, without captions, which of all pictures
// it is.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/cli_commands/inspect_outputs.h"
#include "models/model_folder.h"
#include "pipelines/vision/picture_model.h"

namespace fovea {

struct AnalyticsRequest {
  std::vector<std::string> kinds;  // of AnalyticsKinds()
  const ModelFolder& folder;
  PictureModel& model;
  Backend& backend;
  std::vector<std::filesystem::path> files;
  ForwardOptions options;
};

std::vector<std::string> AnalyticsKinds();
// Adds tables and sheets. Throws kUsage where pictures are too few, Cancelled.
void AddAnalytics(const AnalyticsRequest& request, InspectOutputs* outputs);

}  // namespace fovea
