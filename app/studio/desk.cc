#include "app/studio/desk.h"

#include <cstdlib>
#include <utility>

#include "app/exit_code.h"
#include "app/studio/desk_state.h"

namespace fovea {

std::filesystem::path DefaultDataFolder() {
  if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && *data != '\0') {
    return std::filesystem::path(data) / "fovea";
  }
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home != nullptr && *home != '\0' ? home : ".") / ".local" / "share" /
         "fovea";
}

Desk::Desk(DeskOptions options, std::function<void()> changed)
    : changed_(std::move(changed)), snapshot_(std::make_shared<Snapshot>()) {
  std::filesystem::create_directories(options.data);
  state_ = std::make_unique<State>(options, [this](EngineEvent event) {
    inbox_.Post(Item(std::in_place_type<EngineEvent>, std::move(event)));
  });
  thread_ = std::thread([this] { Loop(); });
}

Desk::~Desk() {
  inbox_.Post(Quit{});
  thread_.join();
}

SnapshotPtr Desk::Current() const {
  const std::scoped_lock lock(mutex_);
  return snapshot_;
}

void Desk::Publish(SnapshotPtr snapshot) {
  {
    const std::scoped_lock lock(mutex_);
    std::swap(snapshot_, snapshot);
  }
  if (changed_) changed_();
}

void Desk::Loop() {
  state_->Begin();
  bool quit = false;
  while (!quit) {
    for (Item& item : inbox_.Take(state_->Patience())) {
      if (std::holds_alternative<Quit>(item)) {
        quit = true;
      } else if (auto* command = std::get_if<StudioCommand>(&item)) {
        state_->Handle(*command);
      } else {
        state_->Handle(std::get<EngineEvent>(item));
      }
    }
    if (!quit) state_->WorkIdly();
    if (SnapshotPtr next = state_->NextSnapshot()) Publish(std::move(next));
  }
  // What the engine finished meanwhile still counts.
  state_->StopEngine();
  for (Item& item : inbox_.Take(std::chrono::milliseconds(0))) {
    if (auto* event = std::get_if<EngineEvent>(&item)) state_->Handle(*event);
  }
}

}  // namespace fovea
