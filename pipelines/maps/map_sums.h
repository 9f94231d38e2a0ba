// Maps of layers, heads and steps, summed up into the ones that are shown.
//
// As DAAM does it (Tang et al. 2022, arXiv:2210.04885): steps are averaged on each layer's own
// grid, then every head of every layer is resized to the finest grid, bicubic, cut off below 0, and
// averaged, each with the same weight. Unlike the published code: sides are not exchanged, steps
// are divided by their number, and no layer is left out.
#pragma once

#include <map>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "pipelines/maps/heat_map.h"
#include "pipelines/maps/map_selection.h"

namespace fovea {

class MapSums {
 public:
  // `items`: what the maps are of, by index; one map each is made for each group of `selection`.
  MapSums(std::string kind, std::vector<std::string> items, const MapSelection& selection)
      : kind_(std::move(kind)), items_(std::move(items)), selection_(selection) {}

  // The map of one item, head and call. Of an item of several parts (a word's tokens) all are
  // added: each is resized and cut by itself, then they are averaged.
  void Add(size_t item, const AttentionCall& call, int head, int height, int width,
           std::span<const float> values, int part = 0);
  bool Empty() const { return cells_.empty(); }
  // Items in order; of each first the one over all that was chosen, then, where the selection tells
  // them apart, by layer, head and step in order of execution. `cut`: below 0 after resizing.
  // `shares`: values are shares of a whole, so that a cell that becomes many is divided among them.
  std::vector<AttentionMap> Finish(bool cut, bool shares = false) const;

 private:
  struct Cell {
    int height, width, count = 0;
    std::vector<double> sum;
  };
  using Key = std::tuple<size_t, int, int, int>;  // item, site, head, step or -1
  using CellKey = std::pair<Key, int>;            // and part

  AttentionMap Mean(const std::vector<const Cell*>& cells, bool cut, bool shares) const;

  std::string kind_;
  std::vector<std::string> items_;
  MapSelection selection_;
  std::map<CellKey, Cell> cells_;
  std::map<int, std::string> paths_;  // by site
};

}  // namespace fovea
