// What the studio knows at one moment, as plain data: made by the desk's thread, read by the
// window.
//
// A snapshot never changes once published; large parts are shared between snapshots, so a new one
// is cheap. A part that did not change keeps its address: the window compares pointers.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "pipelines/pictures/image.h"
#include "pipelines/settings/settings.h"
#include "ui/inspect_source.h"

namespace fovea {

// An attention site of the loaded model.
struct SiteView {
  std::string path;
  std::string kind;  // "self", "cross", "joint"
  int heads = 1, head_dim = 64;
  int tokens = 0, rows = 0, columns = 0;  // of the queries, at the checked size; 0x0: no grid
  int before = 0, after = 0;              // tokens of text beside the grid: joint attention's
};

struct ModelView {
  std::string name;   // as settings.model; "" is the built-in model
  std::string shown;  // for people
  std::string sample_prompt;
  int trained_width = 512, trained_height = 512, factor = 8;
  bool only_repaints = false;  // makes no picture without a given one and a mask
  GenerateSettings defaults;   // resolved
  std::vector<SiteView> sites;
};

struct ModelChoice {
  std::string name;         // as settings.model
  std::string shown;        // for people
  std::string origin;       // "built in", "recent", or the folder of the search path
  bool looks_only = false;  // a Vision Transformer: makes no pictures
};

struct OperatorArg {
  std::string name, otherwise, help;
};
struct OperatorView {
  std::string name, what, cost, refuses, source;
  std::vector<OperatorArg> args;
};
struct PresetView {
  std::string name, about, text;
};

// What does not depend on a run: made once.
struct CatalogView {
  std::vector<std::string> samplers, schedules;
  std::vector<OperatorView> operators;
  std::vector<PresetView> presets;
};

// A token of the prompt as the text encoder reads it.
struct TokenView {
  std::string text;
  double weight = 1;
  bool word_end = true;  // the word ends here
};
struct PromptView {
  std::vector<TokenView> tokens;
  int windows = 1, window_length = 77;
};

// What an operator would do, or did, at one site.
struct SiteUse {
  std::string path, op, heads, steps, refusal;
  double density = 1, visited = 1;
};

// The answer to CheckSettings: may this run, and what would it take?
struct CheckView {
  uint64_t version = 0;  // of the question
  bool ok = false;
  std::string problem;        // one line; empty if ok
  std::string problem_field;  // of the setting it is about, or empty
  std::string problem_a;      // of CheckSettings::plan_a; empty: it may run
  std::string fix_label;      // of the button that solves it; empty: no fix known
  GenerateSettings fix;
  GenerateSettings resolved;
  double flops = 0, dense_flops = 0;
  double seconds = 0;  // for one picture; 0: no speed measured yet
  size_t peak_bytes = 0, available_bytes = 0;
  PromptView prompt, negative;
  std::vector<SiteUse> uses;
  ImagePtr image, mask;  // what the settings name, at most 1024 pixels a side; or null
};

// The answer to UsePictureFile, UseKeptPicture and KeepMask: it is kept, and this is its name.
struct GivenView {
  uint64_t number = 0;  // grows
  std::string digest;   // for settings.image, or settings.mask
  bool is_mask = false;
  uint64_t request = 0;  // KeepMask's
  int width = 0, height = 0;
};

enum class JobState : uint8_t { kWaiting, kRunning };

struct JobView {
  int64_t id = 0;
  JobState state = JobState::kWaiting;
  GenerateSettings settings;
  int done = 0, count = 1;  // pictures
  std::string stage;        // of the running picture: "loading", "text", "step", "decoding"
  int step = 0, steps = 0;
  double elapsed = 0;      // of the running picture, seconds
  double remaining = 0;    // of the job, seconds; 0: not known
  int64_t comparison = 0;  // the A/B it belongs to, or 0
};

struct PictureView {
  int64_t id = 0;
  std::string file;  // absolute
  GenerateSettings settings;
  bool favourite = false, trashed = false;
  std::string created;  // local time, for people
  double seconds = 0;
  double gflop = 0;
  size_t peak_bytes = 0;  // predicted, which is what was reserved
  ImagePtr thumbnail;     // null until it is read
  std::vector<SiteUse> uses;
};
using PictureList = std::vector<std::shared_ptr<const PictureView>>;  // newest first

// Two pictures beside each other; made when both are there.
struct ComparisonView {
  int64_t id = 0;
  int64_t left = 0, right = 0;  // pictures; 0: not made yet
  std::string label;
  bool waits = false;  // a job is there for what is missing
  ImagePtr left_image, right_image, difference;
  double mean_difference = 0, max_difference = 0, psnr = 0;  // of 8-bit values; psnr in dB
};

// Which tiles of keys each tile of queries visits.
struct TileMapView {
  std::string op, path;               // the question
  std::string refusal;                // why there is none; else empty
  std::string note;                   // what an operator without a map does instead
  int rows = 0, columns = 0;          // of the token grid
  int box_rows = 1, box_columns = 1;  // tokens a tile
  int tiles = 0;
  std::vector<uint8_t> visited;  // tiles x tiles: 0 not, 1 partial, 2 all pairs
  std::vector<uint8_t>
      text_tiles;             // tiles: 1 holds text, which joint attention has beside the grid
  std::vector<uint8_t> seen;  // rows x columns: keys that the query in the middle sees
  int query_row = 0, query_column = 0;
  int text_tokens = 0, text_seen = 0;  // beside the grid; of them, what the query sees
  double density = 1, visited_share = 1;
  bool has_map = false;
};

struct Message {
  int64_t id = 0;
  bool error = false;
  std::string text;
  std::string undo_label;                                 // a button, or empty
  int64_t undo_picture = 0;                               // what it restores
  std::shared_ptr<const GenerateSettings> settings = {};  // or these settings are used
};

struct EngineView {
  bool loading = false;
  std::string loading_name;
  bool paused = false;
  std::string device;  // "CPU, avx512_bf16, 2 threads"
  size_t memory_bytes = 0, available_bytes = 0;
  double gflops = 0;  // measured; 0: not yet
};

// What the last session left behind, for the window to begin with.
struct StartView {
  std::vector<GenerateSettings> history;  // of settings, oldest first; never empty when ready
  int cursor = 0;
  std::string window;  // JSON of the window's own state
};

struct Snapshot {
  uint64_t sequence = 0;
  bool ready = false;  // the store is read and the catalog is made
  std::shared_ptr<const CatalogView> catalog;
  std::shared_ptr<const StartView> start;
  std::shared_ptr<const ModelView> model;  // null: none loaded
  std::string model_error;
  std::shared_ptr<const std::vector<ModelChoice>> models;
  std::shared_ptr<const std::vector<std::string>> loras;  // names of files of the search path
  std::shared_ptr<const CheckView> check;
  std::shared_ptr<const std::vector<JobView>> jobs;  // in order of running
  std::shared_ptr<const PictureList> pictures;
  std::shared_ptr<const std::vector<ComparisonView>> comparisons;  // newest first
  std::shared_ptr<const TileMapView> tile_map;
  std::shared_ptr<const InspectView> inspect;  // null: nothing was asked for
  std::shared_ptr<const GivenView> given;      // the newest; null: none yet
  ImagePtr preview;                            // of the running picture, or null
  int64_t opened_id = 0;
  ImagePtr opened;  // the picture that was asked for by OpenPicture
  std::shared_ptr<const std::vector<Message>> messages;  // newest last
  EngineView engine;
};
using SnapshotPtr = std::shared_ptr<const Snapshot>;

}  // namespace fovea
