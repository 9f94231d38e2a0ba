#include "ui/inspect_maps.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "ui/colour_maps.h"

namespace fovea {
namespace {

constexpr float kLeastShare = 0.02f;  // of each end, that percentiles leave out

// What one head gives: over the keys' grid, or, of a layer whose keys are text, nothing.
std::vector<float> RowMap(const AttentionSource& source, int layer, int half, int head,
                          InspectPlace place, std::vector<float>* row) {
  const InspectLayer& about = source.Layers()[static_cast<size_t>(layer)];
  row->resize(static_cast<size_t>(about.keys));
  source.Row(layer, half, head, TokenAt(about, place), *row);
  if (about.key_begin < 0) return {};
  const auto begin = row->begin() + about.key_begin;
  return {begin, begin + about.key_rows * about.key_columns};
}

std::vector<int32_t> KeysOf(const InspectLayer& layer, const std::vector<int>& positions) {
  std::vector<int32_t> all, keys;
  for (const auto& [first, count] : layer.text) {
    for (int i = 0; i < count; ++i) all.push_back(first + i);
  }
  for (const int position : positions) {
    if (position >= 0 && static_cast<size_t>(position) < all.size()) {
      keys.push_back(all[static_cast<size_t>(position)]);
    }
  }
  return keys;
}

struct Asked {
  const InspectView& view;
  const InspectState& state;
  int word;
};

// The map of one head of one layer for what is asked; empty where there is none.
std::vector<float> HeadMap(const Asked& asked, int layer, int head, std::vector<float>* row) {
  const AttentionSource& source = *asked.view.source;
  const InspectLayer& about = source.Layers()[static_cast<size_t>(layer)];
  if (asked.word < 0) {
    return RowMap(source, layer, asked.state.half, head, asked.state.place, row);
  }
  const auto& positions = asked.view.words[static_cast<size_t>(asked.word)].positions;
  const std::vector<int32_t> keys = KeysOf(about, positions);
  if (keys.empty()) return {};
  std::vector<float> map(static_cast<size_t>(about.rows * about.columns));
  source.Columns(layer, asked.state.half, head, keys, map);
  return map;
}

void Fuse(const std::vector<float>& map, bool most, std::vector<float>* sum) {
  if (map.empty()) return;
  if (sum->empty()) {
    *sum = map;
    return;
  }
  for (size_t i = 0; i < map.size(); ++i) {
    (*sum)[i] = most ? std::max((*sum)[i], map[i]) : (*sum)[i] + map[i];
  }
}

// A map of another grid, each cell the value of the cell at its middle.
std::vector<float> Resampled(const std::vector<float>& map, int rows, int columns, int to_rows,
                             int to_columns) {
  if (rows == to_rows && columns == to_columns) return map;
  std::vector<float> out(static_cast<size_t>(to_rows * to_columns));
  for (int y = 0; y < to_rows; ++y) {
    for (int x = 0; x < to_columns; ++x) {
      const int from_y = std::min(rows - 1, (2 * y + 1) * rows / (2 * to_rows));
      const int from_x = std::min(columns - 1, (2 * x + 1) * columns / (2 * to_columns));
      out[static_cast<size_t>(y * to_columns + x)] =
          map[static_cast<size_t>(from_y * columns + from_x)];
    }
  }
  return out;
}

void GridOf(const InspectLayer& layer, bool word, int* rows, int* columns) {
  *rows = word || layer.key_begin < 0 ? layer.rows : layer.key_rows;
  *columns = word || layer.key_begin < 0 ? layer.columns : layer.key_columns;
}

// One worth looking at first: of the finest grids that look at the picture, the most certain.
int FirstLayer(const std::vector<InspectLayer>& layers) {
  int best = 0;
  const auto tokens = [](const InspectLayer& layer) {
    return layer.key_begin < 0 ? -1 : layer.rows * layer.columns;
  };
  const auto entropy = [](const InspectLayer& layer) {
    float sum = 0;
    for (const HeadNumbers& each : layer.numbers) sum += each.entropy;
    return sum / static_cast<float>(std::max<size_t>(1, layer.numbers.size()));
  };
  for (size_t i = 1; i < layers.size(); ++i) {
    const InspectLayer &own = layers[i], &old = layers[static_cast<size_t>(best)];
    const bool finer = tokens(own) > tokens(old);
    if (finer || (tokens(own) == tokens(old) && entropy(own) < entropy(old))) {
      best = static_cast<int>(i);
    }
  }
  return best;
}

int Across(int count, int rows, int columns) {
  const double shape = static_cast<double>(rows) / std::max(1, columns);
  return std::max(1, static_cast<int>(std::ceil(std::sqrt(count * shape))));
}

}  // namespace

int TokenAt(const InspectLayer& layer, InspectPlace place) {
  const auto cell = [](float share, int count) {
    return std::clamp(static_cast<int>(share * static_cast<float>(count)), 0,
                      std::max(0, count - 1));
  };
  return layer.query_begin + cell(place.y, layer.rows) * layer.columns +
         cell(place.x, layer.columns);
}

std::vector<float> Scaled(const std::vector<float>& map, MapScale scale, float shared) {
  if (map.empty()) return {};
  std::vector<float> out(map.size());
  if (scale == MapScale::kRank) {
    std::vector<size_t> order(map.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return map[a] < map[b]; });
    for (size_t i = 0; i < order.size();) {  // equal values have one rank
      size_t end = i;
      while (end < order.size() && !(map[order[i]] < map[order[end]])) ++end;
      for (size_t k = i; k < end; ++k) {
        out[order[k]] = static_cast<float>(end) / static_cast<float>(order.size());
      }
      i = end;
    }
    return out;
  }
  float low = 0, high = scale == MapScale::kShared ? shared : 0;
  if (scale == MapScale::kPercentile) {
    std::vector<float> sorted = map;
    const auto at = static_cast<size_t>(kLeastShare * static_cast<float>(sorted.size()));
    std::sort(sorted.begin(), sorted.end());
    low = sorted[at];
    high = sorted[sorted.size() - 1 - at];
  } else if (scale == MapScale::kMost) {
    high = *std::max_element(map.begin(), map.end());
  }
  const float span = high - low;
  for (size_t i = 0; i < map.size(); ++i) out[i] = span > 0 ? (map[i] - low) / span : 0;
  return out;
}

ImagePtr MakeSheet(const std::vector<std::vector<float>>& maps, int rows, int columns, int across,
                   MapScale scale, int colours) {
  if (maps.empty() || rows < 1 || columns < 1) return nullptr;
  float most = 0;
  for (const auto& map : maps) {
    for (const float value : map) most = std::max(most, value);
  }
  const int count = static_cast<int>(maps.size());
  const int down = (count + across - 1) / across;
  auto sheet = std::make_shared<Image>();
  sheet->width = across * (columns + kTileGap) - kTileGap;
  sheet->height = down * (rows + kTileGap) - kTileGap;
  sheet->rgb.assign(static_cast<size_t>(sheet->width * sheet->height * 3), 24);
  for (int i = 0; i < count; ++i) {
    const std::vector<float> scaled = Scaled(maps[static_cast<size_t>(i)], scale, most);
    if (scaled.empty()) continue;
    const int left = i % across * (columns + kTileGap), top = i / across * (rows + kTileGap);
    for (int y = 0; y < rows; ++y) {
      uint8_t* to = sheet->rgb.data() + static_cast<size_t>(((top + y) * sheet->width + left) * 3);
      for (int x = 0; x < columns; ++x) {
        const auto colour = MapColour(colours, scaled[static_cast<size_t>(y * columns + x)]);
        std::copy(colour.begin(), colour.end(), to + 3 * x);
      }
    }
  }
  return sheet;
}

void UpdateInspectMaps(const InspectView& view, InspectState* state) {
  if (view.source == nullptr || view.source->Layers().empty()) {
    state->main = state->tiles = {};
    return;
  }
  const auto begin = std::chrono::steady_clock::now();
  const auto& layers = view.source->Layers();
  if (state->layer < 0) state->layer = FirstLayer(layers);
  state->layer = std::min(state->layer, static_cast<int>(layers.size()) - 1);
  const InspectLayer& layer = layers[static_cast<size_t>(state->layer)];
  state->head = std::clamp(state->head, 0, layer.heads - 1);
  state->half = std::clamp(state->half, 0, view.source->Halves() - 1);
  const auto chosen = [](int over, int pinned, size_t count) {
    const int one = over >= 0 ? over : pinned;
    return one < static_cast<int>(count) ? one : -1;
  };
  // A word that is kept waits while a layer is looked at that sees none.
  const int word =
      layer.text.empty() ? -1 : chosen(state->word, state->pinned_word, view.words.size());
  const int map = chosen(state->map, state->pinned_map, view.maps.size());
  char key[256];
  std::snprintf(
      key, sizeof key, "%p %d %d %d %d %d %d %d %d %d %d %d",
      static_cast<const void*>(view.source.get()), state->layer, state->half,
      word >= 0 ? 0 : TokenAt(layer, state->place), word, map, static_cast<int>(state->fusion),
      state->head, static_cast<int>(state->scale), state->colours, state->through_layers ? 1 : 0,
      state->through_layers && word < 0
          ? static_cast<int>(state->place.x * 4096) * 4096 + static_cast<int>(state->place.y * 4096)
          : 0);
  if (state->main.key == key) return;
  const Asked asked{view, *state, word};
  std::vector<float> row, fused_row;
  // All heads of the layer: the tiles, and what is fused of them.
  std::vector<std::vector<float>> heads;
  std::vector<float> fused;
  const bool all = state->fusion != HeadChoice::kOne;
  for (int head = 0; head < layer.heads; ++head) {
    const bool needed = !state->through_layers || all || head == state->head;
    heads.push_back(needed ? HeadMap(asked, state->layer, head, &row) : std::vector<float>());
    if (!needed || (!all && head != state->head)) continue;
    Fuse(heads.back(), state->fusion == HeadChoice::kMax, &fused);
    if (word < 0) Fuse(row, state->fusion == HeadChoice::kMax, &fused_row);
  }
  if (state->fusion == HeadChoice::kMean) {
    for (std::vector<float>* each : {&fused, &fused_row}) {
      for (float& value : *each) value /= static_cast<float>(layer.heads);
    }
  }
  InspectTiles main;
  main.key = key;
  GridOf(layer, word >= 0, &main.rows, &main.columns);
  if (map >= 0) {
    const InspectMap& made = view.maps[static_cast<size_t>(map)];
    main.rows = made.rows;
    main.columns = made.columns;
    fused = made.values;
  }
  if (!fused.empty()) main.maps = {fused};
  main.sheet = MakeSheet(main.maps, main.rows, main.columns, 1, state->scale, state->colours);
  InspectTiles tiles;
  tiles.key = key;
  if (!state->through_layers) {
    tiles.maps = std::move(heads);
    GridOf(layer, word >= 0, &tiles.rows, &tiles.columns);
  } else {
    for (const InspectLayer& each : layers) {
      int rows = 0, columns = 0;
      GridOf(each, word >= 0, &rows, &columns);
      tiles.rows = std::max(tiles.rows, rows);
      tiles.columns = std::max(tiles.columns, columns);
    }
    for (size_t i = 0; i < layers.size(); ++i) {
      const int head = std::min(state->head, layers[i].heads - 1);
      std::vector<float> own = HeadMap(asked, static_cast<int>(i), head, &row);
      int rows = 0, columns = 0;
      GridOf(layers[i], word >= 0, &rows, &columns);
      tiles.maps.push_back(own.empty() ? own
                                       : Resampled(own, rows, columns, tiles.rows, tiles.columns));
    }
  }
  tiles.across = Across(static_cast<int>(tiles.maps.size()), tiles.rows, tiles.columns);
  tiles.sheet =
      MakeSheet(tiles.maps, tiles.rows, tiles.columns, tiles.across, state->scale, state->colours);
  state->main = std::move(main);
  state->tiles = std::move(tiles);
  state->row = std::move(fused_row);
  state->row_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

void UpdatePinnedMaps(const InspectView& view, InspectState* state) {
  if (view.source == nullptr || state->pins.empty() || state->layer < 0) {
    state->pinned = {};
    return;
  }
  const InspectLayer& layer = view.source->Layers()[static_cast<size_t>(state->layer)];
  std::string key = std::to_string(reinterpret_cast<uintptr_t>(view.source.get()));
  for (const int part : {state->layer, state->half, static_cast<int>(state->fusion), state->head,
                         static_cast<int>(state->scale), state->colours}) {
    key += " " + std::to_string(part);
  }
  for (const InspectPlace& pin : state->pins) key += " " + std::to_string(TokenAt(layer, pin));
  if (state->pinned.key == key) return;
  InspectTiles tiles;
  tiles.key = key;
  GridOf(layer, false, &tiles.rows, &tiles.columns);
  std::vector<float> row;
  for (const InspectPlace& pin : state->pins) {
    std::vector<float> fused;
    for (int head = 0; head < layer.heads; ++head) {
      if (state->fusion == HeadChoice::kOne && head != state->head) continue;
      Fuse(RowMap(*view.source, state->layer, state->half, head, pin, &row),
           state->fusion == HeadChoice::kMax, &fused);
    }
    if (state->fusion == HeadChoice::kMean) {
      for (float& value : fused) value /= static_cast<float>(layer.heads);
    }
    tiles.maps.push_back(std::move(fused));
  }
  tiles.across = static_cast<int>(tiles.maps.size());
  tiles.sheet =
      MakeSheet(tiles.maps, tiles.rows, tiles.columns, tiles.across, state->scale, state->colours);
  state->pinned = std::move(tiles);
}

}  // namespace fovea
