// The inspector's thread: runs a finished picture again, or a Vision Transformer over a picture,
// and keeps the attention calls of one step, so that the window can ask for any row.
//
// It has a model of its own, so that the queue goes on. The newest task wins: it stops the one
// before. Steps that were looked at are kept within a budget of bytes, the oldest go first.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "app/engine/inbox.h"
#include "app/engine/model_access.h"
#include "app/engine/picture_task.h"
#include "ui/inspect_source.h"

namespace fovea {

struct InspectTask {
  int64_t picture = 0;        // of the gallery
  std::string name;           // for people
  GenerateSettings settings;  // resolved, as the picture has them; of diffusion
  GivenInputs given;
  bool vit = false;
  std::string model;  // of a Vision Transformer
  ImagePtr image;     // the picture itself
  int step = -1;      // -1: a late one
};

class Inspector {
 public:
  using Tell = std::function<void(std::shared_ptr<const InspectView>)>;
  Inspector(ModelAccess access, Tell tell);
  ~Inspector();
  void Post(InspectTask task);

 private:
  struct Item {
    InspectTask task;
    std::stop_token stop;
    bool quit = false;
  };
  struct Diffusion;
  struct Vit;
  void Loop();
  void Run(const Item& item);
  void RunDiffusion(const Item& item, InspectView* view);
  void RunVit(const Item& item, InspectView* view);
  void Say(const InspectView& view) { tell_(std::make_shared<InspectView>(view)); }

  ModelAccess access_;
  Tell tell_;
  Inbox<Item> inbox_;
  std::mutex mutex_;  // of current_
  std::stop_source current_;
  std::unique_ptr<Diffusion> diffusion_;
  std::unique_ptr<Vit> vit_;
  std::thread thread_;
};

}  // namespace fovea
