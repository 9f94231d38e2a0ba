// What the window itself knows of the Inspect panel: what is chosen, pinned, and drawn last.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "ui/inspect_source.h"

namespace fovea {

// A place of the picture, as shares of its sides, so that it means the same on every grid.
struct InspectPlace {
  float x = 0.5f, y = 0.5f;
};

enum class HeadChoice : int { kMean, kMax, kOne };
enum class MapScale : int { kMost, kPercentile, kShared, kRank };

// Maps of one question, and as pictures; made again when the question changes.
struct InspectTiles {
  std::string key;
  int rows = 0, columns = 0, across = 1;  // of a tile; tiles in a row
  std::vector<std::vector<float>> maps;
  ImagePtr sheet;
};

struct InspectState {
  int layer = -1, head = 0, half = 0;
  HeadChoice fusion = HeadChoice::kMean;
  bool through_layers = false;  // small multiples: of the layers, else of the heads
  int colours = 0;
  MapScale scale = MapScale::kMost;
  float opacity = 0.75f;
  bool by_head = false;  // rows of the list are heads, else layers
  int sorted_by = 0;     // column; descending where it is negative, minus one
  InspectPlace place;    // the last one that was asked
  std::vector<InspectPlace> pins;
  int word = -1, pinned_word = -1;  // under the mouse, or kept
  int map = -1, pinned_map = -1;    // as words: class token, rollout
  bool plays = false;
  int asked_step = -1;
  int64_t picture = 0;    // that was asked for
  std::string vit_model;  // chosen for pictures
  std::string path;       // being typed
  InspectTiles main, tiles, pinned;
  std::vector<float> row;  // of the last place, over all keys, heads as chosen
  double row_ms = 0;       // what the last question took
};

}  // namespace fovea
