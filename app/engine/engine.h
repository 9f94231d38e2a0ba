// The engine's thread: one model, one picture at a time. It alone computes with tensors at length.
//
// It takes tasks from an inbox and tells what happens through `tell`, which must be safe to call
// from its thread. The order of tasks, and who waits for a result, are the caller's business: a
// window's desk, a list of jobs, a server.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <thread>

#include "app/engine/inbox.h"
#include "app/engine/model_access.h"
#include "app/engine/picture_task.h"

namespace fovea {

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

}  // namespace fovea
