#include "pipelines/maps/map_sums.h"

#include <algorithm>

#include "tensor/error.h"

namespace fovea {

void MapSums::Add(size_t item, const AttentionCall& call, int head, int height, int width,
                  std::span<const float> values, int part) {
  const auto size = static_cast<size_t>(height) * static_cast<size_t>(width);
  ENSURE(values.size() == size);
  const auto add = [&](int step) {
    Cell& cell = cells_
                     .try_emplace({{item, call.site.index, head, step}, part},
                                  Cell{height, width, 0, std::vector<double>(size)})
                     .first->second;
    ENSURE(cell.height == height && cell.width == width, call.site.path);
    for (size_t i = 0; i < size; ++i) cell.sum[i] += static_cast<double>(values[i]);
    ++cell.count;
  };
  add(-1);
  if (selection_.per_step) add(call.step);
  paths_[call.site.index] = call.site.path;
}

AttentionMap MapSums::Mean(const std::vector<const Cell*>& cells, bool cut, bool shares) const {
  AttentionMap out;
  out.kind = kind_;
  for (const Cell* cell : cells) {
    if (cell->height * cell->width > out.map.height * out.map.width) {
      out.map.height = cell->height, out.map.width = cell->width;
    }
  }
  std::vector<double> sum(static_cast<size_t>(out.map.height) * out.map.width);
  for (const Cell* cell : cells) {
    HeatMap own{cell->height, cell->width, {}};
    const double divisor =
        shares ? static_cast<double>(sum.size()) / (cell->height * cell->width) : 1;
    for (const double value : cell->sum) {
      own.values.push_back(static_cast<float>(value / cell->count / divisor));
    }
    own = ResizeBicubic(own, out.map.height, out.map.width);
    for (size_t i = 0; i < sum.size(); ++i) {
      sum[i] += static_cast<double>(cut ? std::max(0.0f, own.values[i]) : own.values[i]);
    }
  }
  for (const double value : sum) {
    out.map.values.push_back(static_cast<float>(value / static_cast<double>(cells.size())));
  }
  return out;
}

std::vector<AttentionMap> MapSums::Finish(bool cut, bool shares) const {
  std::map<Key, std::vector<const Cell*>> groups;  // -1: all
  for (const auto& [key, cell] : cells_) {
    const auto& [item, site, head, step] = key.first;
    if (step < 0) groups[{item, -1, -1, -1}].push_back(&cell);
    const Key own{item, selection_.per_layer ? site : -1, selection_.per_head ? head : -1, step};
    if (own != Key{item, -1, -1, -1}) groups[own].push_back(&cell);
  }
  std::vector<AttentionMap> maps;
  for (const auto& [key, cells] : groups) {
    const auto& [item, site, head, step] = key;
    AttentionMap map = Mean(cells, cut, shares);
    map.word = items_[item];
    if (site >= 0) map.layer = paths_.at(site);
    map.head = head;
    map.step = step;
    maps.push_back(std::move(map));
  }
  return maps;
}

}  // namespace fovea
