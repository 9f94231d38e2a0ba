#include "app/studio/desk.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <utility>

#include "app/process/exit_code.h"
#include "app/studio/desk_state.h"
#include "models/search/data_home.h"
#include "tensor/error.h"

namespace fovea {

std::filesystem::path DefaultDataFolder() {
  const auto homes = DataHomes();
  if (homes.empty()) {
    throw Error(ErrorCode::kUsage,
                "no place for pictures: neither HOME nor XDG_DATA_HOME names a folder; name one "
                "with --data");
  }
  return homes.front() / "fovea";
}

Desk::Desk(DeskOptions options, std::function<void()> changed)
    : changed_(std::move(changed)), snapshot_(std::make_shared<Snapshot>()) {
  std::error_code error;
  std::filesystem::create_directories(options.data, error);
  if (error || !std::filesystem::is_directory(options.data, error)) {
    throw Error(ErrorCode::kBadFile, options.data.string() + ": cannot be made a folder (" +
                                         (error ? error.message() : "it is a file") +
                                         "); name another with --data");
  }
  // Two studios would take each other's jobs and drafts. The system frees the lock of one that
  // dies.
  lock_ = open((options.data / "studio.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ >= 0 && flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    close(lock_);
    throw Error(ErrorCode::kBadFile, options.data.string() +
                                         ": another studio window has this folder open; use that "
                                         "one, or name another folder with --data");
  }
  state_ = std::make_unique<State>(
      options,
      [this](EngineEvent event) {
        inbox_.Post(Item(std::in_place_type<EngineEvent>, std::move(event)));
      },
      [this](InspectEvent event) {
        inbox_.Post(Item(std::in_place_type<InspectEvent>, std::move(event)));
      });
  thread_ = std::thread([this] { Loop(); });
}

Desk::~Desk() {
  inbox_.Post(Quit{});
  thread_.join();
  if (lock_ >= 0) close(lock_);
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
      } else if (auto* event = std::get_if<EngineEvent>(&item)) {
        state_->Handle(*event);
      } else {
        state_->Handle(std::move(std::get<InspectEvent>(item)));
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
