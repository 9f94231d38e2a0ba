// The objectives of a hunt: what --score names.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/flags/common_flags.h"
#include "app/process/stop_signals.h"
#include "pipelines/hunt/hunt_records.h"
#include "pipelines/hunt/picture_scorer.h"

namespace fovea {

// "clip", "clip:FOLDER", "command:COMMAND" or "saturation", each with "@WEIGHT" behind it or 1.
struct Objective {
  std::string kind, value;  // value: the folder or command; else empty
  double weight = 1;
  std::string Text() const;  // without the weight
  // Throws kUsage.
  static Objective Parse(const std::string& text);
};

class Objectives {
 public:
  // `text`: what CLIP compares pictures with, "{}" in it being the prompt. Opens models; `backend`
  // must outlive it.
  Objectives(const std::vector<Objective>& objectives, const std::string& text,
             const CommonFlags& common, const ModelFlags& models, const StopSignals& signals,
             Backend& backend);
  // Throws Cancelled.
  std::vector<HuntScores> Score(const std::vector<ScoredPicture>& pictures);

 private:
  const StopSignals& signals_;
  std::vector<std::unique_ptr<PictureScorer>> scorers_;
};

}  // namespace fovea
