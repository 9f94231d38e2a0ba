// What the engine is asked for, and what it tells: plain data, which queues and windows may keep.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

#include "pipelines/generation/text_to_image.h"

namespace fovea {

using ImagePtr = std::shared_ptr<const Image>;

// What a run is given beside its settings, which name it; null: nothing.
struct GivenInputs {
  ImagePtr image, mask;
};

// Stores one finished picture completely and returns its name. Called in the engine's thread,
// before EngineFinished is told. If it throws, the task has failed.
using PictureSink = std::function<std::string(const Generated&)>;

struct PictureTask {
  int64_t job = 0;
  GenerateSettings settings;  // of one picture, with its seed
  GivenInputs given;
  PictureSink sink;
  std::string preview;  // LatentPreview's text, or empty
  bool timed = false;   // its time will be compared: a model that never ran is warmed up first
  std::stop_token stop;
};

struct EngineLoading {  // a model's weights
  int64_t job = 0;
  std::string model;
};
struct EngineStep {
  int64_t job = 0;
  std::string stage;
  int step = 0, steps = 0;
  double step_seconds = 0;
  ImagePtr preview;  // may be null
};
struct EngineFinished {
  int64_t job = 0;
  std::string file;           // as the sink calls it
  GenerateSettings settings;  // resolved
  ImagePtr image;
  double seconds = 0;  // of the run; loading the model is not part of it
  double flops = 0;
  bool first = false;  // of the model: packing its weights is part of the time
  size_t peak_bytes = 0;
  std::vector<AttentionUse> uses;
  std::string preview;  // learnt
};
struct EngineFailed {
  int64_t job = 0;
  bool cancelled = false;
  std::string problem;
};
using EngineEvent = std::variant<EngineLoading, EngineStep, EngineFinished, EngineFailed>;

}  // namespace fovea
