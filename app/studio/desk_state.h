// What the desk's thread works on: each command and engine event is one method.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "app/studio/checker.h"
#include "app/studio/desk.h"
#include "app/studio/inputs.h"
#include "app/studio/inspector.h"
#include "app/studio/library.h"
#include "app/studio/store.h"

namespace fovea {

// Small copies of what a run is given, for the window.
struct ShownInputs {
  ImagePtr image, mask;
};

// A path as people paste it: in quotes, with blanks around it, as a file manager's link.
std::string PathOf(std::string text);

class Desk::State {
 public:
  State(const DeskOptions& options, std::function<void(EngineEvent)> tell,
        Inspector::Tell inspected);

  void Begin();  // the slow part of starting, in the desk's thread
  void Handle(StudioCommand& command);
  void Handle(EngineEvent& event);
  void Handle(std::shared_ptr<const InspectView> view);
  // Answers the newest question, starts the next picture, reads a thumbnail. False: nothing to do.
  bool WorkIdly();
  // A new snapshot, if something changed since the last one and it is not too soon.
  SnapshotPtr NextSnapshot();
  std::chrono::milliseconds Patience() const;  // until WorkIdly or NextSnapshot want a turn
  void StopEngine();                           // its last events are then in the inbox

 private:
  struct Job {
    StoredJob stored;
    bool running = false;
  };
  struct Running {
    int64_t job = 0;
    std::stop_source stop;
    std::string stage;
    int step = 0, steps = 0;
    double seconds_a_step = 0, step_seconds = 0;
    std::chrono::steady_clock::time_point begin;
    bool drop = false;  // removed from the queue while it ran
  };

  void On(const CheckSettings& command);
  void On(const Generate& command);
  void On(const RunComparison& command);
  void On(const ComparePictures& command);
  void On(const ShowComparison& command);
  void On(const RemoveComparison& command);
  void On(const CancelJob& command);
  void On(const CancelAllJobs& command);
  void On(const MoveJob& command);
  void On(const PauseQueue& command);
  void On(const LoadModel& command);
  void On(const UsePictureFile& command);
  void On(const UseKeptPicture& command);
  void On(const KeepMask& command);
  void On(const OpenPicture& command);
  void On(const SetFavourite& command);
  void On(const TrashPicture& command);
  void On(const RestorePicture& command);
  void On(const EmptyTrash& command);
  void On(const ShowInFolder& command);
  void On(const InspectPicture& command);
  void On(const InspectByVit& command);
  void On(const ShowTileMap& command);
  void On(const DismissMessage& command);
  void On(const KeepHistory& command);
  void On(const KeepWindow& command);
  void On(const EngineLoading& event);
  void On(const EngineStep& event);
  void On(EngineFinished& event);
  void On(const EngineFailed& event);

  void Say(bool error, std::string text, std::string undo = {}, int64_t picture = 0);
  int64_t Add(StoredJob job);
  void StartNext();
  void Give(const Image& image, bool mask, uint64_t request);
  GivenInputs InputsOf(const GenerateSettings& settings);  // throws kBadFile
  ShownInputs Show(const GivenInputs& given);
  void ForgetInputs(const std::vector<GenerateSettings>& history);  // that nothing names any more
  void Answer();
  void ReadComparison(const StoredComparison& stored);
  void ListComparisons();
  void ListModels();
  bool Waits(int64_t comparison) const;  // a job is there for it
  void DrawTileMap();
  double Speed(const GenerateSettings& settings);
  void PredictTime();
  double Remaining(const Job& job) const;
  std::vector<JobView> JobViews();

  struct ShownCopy {
    ImagePtr of, shown;
  };

  Store store_;
  Library library_;
  Inputs inputs_;
  ShownCopy shown_image_, shown_mask_;
  ModelAccess access_;
  Checker checker_;
  Snapshot next_;
  bool changed_ = true;
  std::chrono::steady_clock::time_point published_{};
  std::optional<CheckSettings> question_;
  GenerateSettings asked_;  // by the last question
  std::vector<Job> jobs_;
  std::optional<Running> running_;
  bool paused_ = false;
  std::vector<std::string> recent_models_;
  std::vector<Message> messages_;
  int64_t next_message_ = 1;
  ShowTileMap tile_map_;
  std::shared_ptr<const ModelView> tile_map_model_;
  std::vector<StoredComparison> comparisons_;  // newest first
  ComparisonView shown_;                       // the one whose pictures were read
  bool thumbnails_missing_ = true;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Inspector> inspector_;  // made when it is first asked
  Inspector::Tell inspected_;
};

}  // namespace fovea
