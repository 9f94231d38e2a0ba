// The studio without its window: takes commands, keeps queue, gallery and store, tells the engine
// what to do, and publishes what there is as snapshots.
//
// Three threads: the window's, the desk's own, the engine's. They share inboxes and snapshots, and
// nothing else.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "app/engine/engine.h"
#include "app/engine/inbox.h"
#include "ui/command.h"
#include "ui/snapshot.h"

namespace fovea {

struct DeskOptions {
  std::filesystem::path data;              // folder of studio.db and pictures/; made
  std::vector<std::string> model_folders;  // --models
};

// In the first of DataHomes(). Throws kUsage where there is none.
std::filesystem::path DefaultDataFolder();

class Desk {
 public:
  // `changed` is called after each new snapshot, from the desk's thread. Throws kBadFile for a data
  // folder that cannot be used.
  Desk(DeskOptions options, std::function<void()> changed);
  ~Desk();  // stops the running picture, which stays in the queue
  Desk(const Desk&) = delete;
  Desk& operator=(const Desk&) = delete;

  void Post(StudioCommand command) { inbox_.Post(std::move(command)); }
  SnapshotPtr Current() const;

 private:
  struct Quit {};
  using InspectEvent = std::shared_ptr<const InspectView>;
  using Item = std::variant<StudioCommand, EngineEvent, InspectEvent, Quit>;
  class State;
  void Loop();
  void Publish(SnapshotPtr snapshot);

  std::function<void()> changed_;
  Inbox<Item> inbox_;
  mutable std::mutex mutex_;  // held for a pointer's copy
  SnapshotPtr snapshot_;
  std::unique_ptr<State> state_;  // of the desk's thread, once it runs
  int lock_ = -1;                 // of the data folder, which is one studio's
  std::thread thread_;
};

}  // namespace fovea
