// Where one pass spends its time, layer kind by layer kind, against what the machine could do.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "tensor/trace.h"

namespace fovea {

// Operations of one kind, or of one kind and shape.
struct LayerRow {
  std::string kind, shape;  // "conv2d 3x3", "[1, 64, 64, 320] -> [1, 64, 64, 320] bf16"
  int64_t calls = 0;
  double seconds = 0;
  trace::Work work;

  // What the slower of processor and memory needs at the least.
  double BoundSeconds(double peak_gflops, double memory_gbps) const;
};

enum class LayerGrouping { kKinds, kShapes };

// Zones that counted work, grouped, longest first. The time of the others, less that of the zones
// inside them, is the last row: "other".
std::vector<LayerRow> GroupLayers(const std::vector<trace::Record>& records,
                                  LayerGrouping grouping);

std::string LayerTable(const std::vector<LayerRow>& rows, double peak_gflops, double memory_gbps);
nlohmann::ordered_json LayerJson(const std::vector<LayerRow>& rows, double peak_gflops,
                                 double memory_gbps);

}  // namespace fovea
