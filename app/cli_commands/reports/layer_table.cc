#include "app/cli_commands/reports/layer_table.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include <nlohmann/json.hpp>

namespace fovea {
namespace {

// "conv2d" with detail "3x3 [..] -> [..]" is kind "conv2d 3x3"; the rest is its shape.
LayerRow RowOf(const trace::Record& record) {
  const size_t shape = std::min(record.detail.find_first_of("[("), record.detail.size());
  LayerRow row{record.name, record.detail.substr(shape), 0, 0, {}};
  std::string before = record.detail.substr(0, shape);
  while (!before.empty() && before.back() == ' ') before.pop_back();
  if (!before.empty() && before.find('.') == std::string::npos) row.kind += " " + before;
  return row;
}

}  // namespace

double LayerRow::BoundSeconds(double peak_gflops, double memory_gbps) const {
  return std::max(work.flops / (peak_gflops * 1e9), work.bytes / (memory_gbps * 1e9));
}

std::vector<LayerRow> GroupLayers(const std::vector<trace::Record>& records,
                                  LayerGrouping grouping) {
  std::map<std::pair<std::string, std::string>, LayerRow> groups;
  LayerRow other{"other", "", 0, 0, {}};
  for (const trace::Record& record : records) {
    const double own = record.seconds - record.inner_seconds;
    if (record.work.flops == 0 && record.work.bytes == 0) {
      other.seconds += own;
      continue;
    }
    LayerRow row = RowOf(record);
    if (grouping == LayerGrouping::kKinds) row.shape.clear();
    LayerRow& group = groups.try_emplace({row.kind, row.shape}, row).first->second;
    ++group.calls;
    group.seconds += own;
    group.work.flops += record.work.flops;
    group.work.bytes += record.work.bytes;
  }
  std::vector<LayerRow> rows;
  for (auto& [key, row] : groups) rows.push_back(std::move(row));
  std::stable_sort(rows.begin(), rows.end(),
                   [](const LayerRow& a, const LayerRow& b) { return a.seconds > b.seconds; });
  rows.push_back(other);
  return rows;
}

std::string LayerTable(const std::vector<LayerRow>& rows, double peak_gflops, double memory_gbps) {
  double total = 0;
  for (const LayerRow& row : rows) total += row.seconds;
  std::string text = "     ms  share  calls    GFLOP  GFLOP/s   GB/s  of bound  layer\n";
  for (const LayerRow& row : rows) {
    const double seconds = std::max(row.seconds, 1e-9);
    char line[160];
    std::snprintf(line, sizeof line, "%7.1f %5.1f%% %6lld %8.2f %8.1f %6.1f %8.0f%%  ",
                  row.seconds * 1e3, 100 * row.seconds / total, static_cast<long long>(row.calls),
                  row.work.flops * 1e-9, row.work.flops * 1e-9 / seconds,
                  row.work.bytes * 1e-9 / seconds,
                  100 * row.BoundSeconds(peak_gflops, memory_gbps) / seconds);
    text += line + row.kind + (row.shape.empty() ? "" : " " + row.shape) + "\n";
  }
  return text;
}

nlohmann::ordered_json LayerJson(const std::vector<LayerRow>& rows, double peak_gflops,
                                 double memory_gbps) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const LayerRow& row : rows) {
    json.push_back({{"layer", row.kind},
                    {"shape", row.shape},
                    {"calls", row.calls},
                    {"seconds", row.seconds},
                    {"gflop", row.work.flops * 1e-9},
                    {"gbytes", row.work.bytes * 1e-9},
                    {"bound_seconds", row.BoundSeconds(peak_gflops, memory_gbps)}});
  }
  return json;
}

}  // namespace fovea
