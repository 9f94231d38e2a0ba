// What the window asks of the desk. Plain data, handled in order, answered by snapshots.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "pipelines/pictures/image.h"
#include "pipelines/settings/settings.h"

namespace fovea {

// May this run, and what would it take? The newest question wins; CheckView has its version.
struct CheckSettings {
  uint64_t version = 0;
  GenerateSettings settings;
  std::string plan_a = {};  // of an A/B: is it one?
};
struct Generate {
  GenerateSettings settings;  // batch: how many pictures, each saved as soon as it is there
};
// The same picture with two attention plans.
struct RunComparison {
  GenerateSettings settings;
  std::string plan_a, plan_b;
};
struct ComparePictures {
  int64_t left = 0, right = 0;
};
struct ShowComparison {  // reads its pictures
  int64_t id = 0;
};
struct RemoveComparison {
  int64_t id = 0;
};

// Jobs. The running one stops within a block of the network.
struct CancelJob {
  int64_t id = 0;
};
struct CancelAllJobs {};
struct MoveJob {
  int64_t id = 0;
  int places = 0;  // negative: earlier
};
struct PauseQueue {
  bool paused = false;
};

struct LoadModel {
  std::string name;
};

// A picture to start from, and which part of it is made anew. Snapshot::given answers.
struct UsePictureFile {
  std::string path;
  bool dropped = false;  // onto the window: the settings inside of it are offered, too
};
struct UseKeptPicture {  // of the gallery
  int64_t id = 0;
};
struct KeepMask {
  uint64_t request = 0;
  std::shared_ptr<const Image> mask;  // white is made anew
};

// The gallery.
struct OpenPicture {
  int64_t id = 0;
};
struct SetFavourite {
  int64_t id = 0;
  bool favourite = true;
};
struct TrashPicture {
  int64_t id = 0;
};
struct RestorePicture {
  int64_t id = 0;
};
struct EmptyTrash {};
struct ShowInFolder {  // by the desktop's own program
  int64_t id = 0;
};

// The Inspect panel. Snapshot::inspect answers.
struct InspectPicture {  // a picture of the gallery at one step; step < 0: a late one
  int64_t id = 0;
  int step = -1;
};
struct InspectByVit {  // a file, or a picture of the gallery, by a Vision Transformer
  std::string path;
  int64_t id = 0;
  std::string model;  // as ModelChoice::name; empty: the built-in one
};

struct ShowTileMap {
  std::string op, path;  // "clear(r=4)", a site's path
};
struct DismissMessage {
  int64_t id = 0;
};
// Kept for the next start.
struct KeepHistory {
  std::vector<GenerateSettings> history;
  int cursor = 0;
};
struct KeepWindow {
  std::string json;
};

using StudioCommand =
    std::variant<CheckSettings, Generate, RunComparison, ComparePictures, ShowComparison,
                 RemoveComparison, CancelJob, CancelAllJobs, MoveJob, PauseQueue, LoadModel,
                 UsePictureFile, UseKeptPicture, KeepMask, OpenPicture, SetFavourite, TrashPicture,
                 RestorePicture, EmptyTrash, ShowInFolder, InspectPicture, InspectByVit,
                 ShowTileMap, DismissMessage, KeepHistory, KeepWindow>;

using StudioCommands = std::vector<StudioCommand>;

}  // namespace fovea
