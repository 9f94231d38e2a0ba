// What the window itself knows: the draft of settings, what is selected, what is open. Plain data.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "pipelines/settings/settings.h"
#include "ui/inspect_state.h"
#include "ui/mask_paint.h"
#include "ui/settings_history.h"
#include "ui/tab_walk.h"

namespace fovea {

// Where the window stands, in the screen's coordinates; a width of 0: not known.
struct WindowPlace {
  int x = 0, y = 0, width = 0, height = 0;
  bool maximized = false;
};

enum class Tab : int { kCreate, kAttention, kCompare, kGallery, kInspect };
enum class GalleryFilter : int { kAll, kFavourites, kTrash };
enum class CompareMode : int { kSideBySide, kSwipe, kDifference };

// When a message was first drawn, in ImGui's seconds, and where the mouse was then.
struct MessageTime {
  double since = 0;
  float mouse_x = 0, mouse_y = 0;
  bool seen = false;  // the mouse has moved since: somebody is there
};

// How long the mouse has rested on something with this tip.
struct TipTime {
  double since = 0;
  int frame = 0;  // of ImGui, the last one it was hovered in
};

struct UiState {
  bool started = false;  // the last session's state was taken over
  GenerateSettings draft;
  SettingsHistory history;

  uint64_t version = 0;    // of the last question to the desk
  GenerateSettings asked;  // with it
  double changed_at = 0;   // when the draft last changed, in seconds of ImGui's clock
  bool asked_once = false;

  Tab tab = Tab::kCreate;
  bool dark = true;
  bool show_history = false;  // beside the queue
  bool show_advanced = false;
  bool show_keys = false;
  bool all_words = false;  // every chip of a long prompt
  float zoom = 1;          // of letters and controls, by Ctrl and + or -
  std::string typed_model;
  std::map<std::string, TipTime> tips;  // of what the mouse rests on
  double tip_due = 0;                   // when the next tip appears, in ImGui's seconds; 0: none
  TabWalk walk;
  std::string typed_slider;  // the one that a number is typed into

  WindowPlace place;                             // of the window, kept between starts
  std::string kept_window;                       // the last WindowText that the desk was told
  std::map<int64_t, MessageTime> message_since;  // of those that are shown

  std::string typed_picture;  // a path
  bool show_start = false;    // the canvas shows the picture to start from
  uint64_t taken_given = 0;   // number of the last GivenView that was used
  MaskPaint mask;             // what is painted
  std::string painted;        // the digest that `mask` is of; "": nothing is painted
  uint64_t mask_request = 0;  // of the last KeepMask
  bool mask_waits = false;    // for its answer
  bool erases = false;
  float brush = 0.07f;  // its radius, as a share of the longer side

  GalleryFilter filter = GalleryFilter::kAll;
  std::string search;
  int64_t selected_picture = 0;
  int64_t compare_first = 0;  // chosen in the gallery as the left one
  bool ask_empty_trash = false;
  float wheel_speed = 1;  // rows a notch, while it turns fast
  double wheel_at = 0;

  float picture_zoom = 0;  // of the canvas: screen pixels a pixel; 0: as large as fits
  float picture_x = 0.5f, picture_y = 0.5f;  // what is in its middle, as shares

  std::string selected_site;
  std::string operator_name = "clear";
  std::map<std::string, std::string> operator_args;  // only what differs from the defaults
  int scope = 0;                                     // of an assignment: this layer, its kind, all
  std::string plan_a;
  std::string asked_plan_a;       // with the last question
  std::string shown_operator_of;  // the layer whose operator the card was set to
  std::string shown_tile_map;     // the question that was asked

  InspectState inspect;

  CompareMode compare_mode = CompareMode::kSideBySide;
  float swipe = 0.5f;
  int64_t comparison = 0;  // 0: the newest
};

// The part that is kept between starts, as JSON text and back.
std::string WindowText(const UiState& state);
void ReadWindowText(const std::string& text, UiState* state);

}  // namespace fovea
