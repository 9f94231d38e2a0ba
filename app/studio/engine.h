// The engine's thread: one model, one picture at a time. It alone computes with tensors at length.
//
// It takes tasks from an inbox and tells what happens through `tell`, which must be safe to call
// from its thread. A finished picture is on the disk, complete, before it is told of.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <variant>

#include "app/studio/inbox.h"
#include "app/studio/model_access.h"
#include "ui/snapshot.h"

namespace fovea {

struct PictureTask {
  int64_t job = 0;
  GenerateSettings settings;  // of one picture, with its seed
  GivenInputs given;
  std::filesystem::path folder;
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
  std::string file;
  GenerateSettings settings;  // resolved
  ImagePtr image;
  double seconds = 0;  // of the run; loading the model is not part of it
  double flops = 0;
  bool first = false;  // of the model: packing its weights is part of the time
  size_t peak_bytes = 0;
  std::vector<SiteUse> uses;
  std::string preview;  // learnt
};
struct EngineFailed {
  int64_t job = 0;
  bool cancelled = false;
  std::string problem;
};
using EngineEvent = std::variant<EngineLoading, EngineStep, EngineFinished, EngineFailed>;

class Engine {
 public:
  Engine(ModelAccess access, std::function<void(EngineEvent)> tell);
  ~Engine();  // stops what runs, waits for it
  void Post(PictureTask task) { inbox_.Post({std::move(task), false}); }

 private:
  struct Item {
    PictureTask task;
    bool quit = false;
  };
  struct Model;
  void Loop();
  void Run(const PictureTask& task);
  Model& Load(const PictureTask& task);

  ModelAccess access_;
  std::function<void(EngineEvent)> tell_;
  Inbox<Item> inbox_;
  std::stop_source quit_;
  std::unique_ptr<Model> model_;  // of the engine's thread
  std::thread thread_;
};

std::vector<SiteUse> UsesOf(const std::vector<struct AttentionUse>& uses);

}  // namespace fovea
