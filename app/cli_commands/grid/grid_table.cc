#include "app/cli_commands/grid/grid_table.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace fovea {
namespace {

std::string Quoted(const std::string& cell) {
  if (cell.find_first_of(",\"\r\n") == std::string::npos) return cell;
  std::string out = "\"";
  for (const char c : cell) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

std::string Number(double value) {
  if (std::isinf(value)) return "inf";
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

std::string Number(const std::optional<double>& value) {
  return value ? Number(*value) : std::string();
}

}  // namespace

std::optional<PictureDifference> Compare(const Image& picture, const Image& reference) {
  if (picture.width != reference.width || picture.height != reference.height) return std::nullopt;
  PictureDifference difference;
  double squares = 0, sum = 0;
  for (size_t i = 0; i < picture.rgb.size(); ++i) {
    const int off = std::abs(picture.rgb[i] - reference.rgb[i]);
    difference.max_abs = std::max(difference.max_abs, off);
    squares += off * off;
    sum += off;
  }
  const auto count = static_cast<double>(std::max<size_t>(picture.rgb.size(), 1));
  difference.psnr_db = squares == 0 ? INFINITY : 10 * std::log10(255.0 * 255.0 * count / squares);
  difference.mean_abs = sum / count;
  return difference;
}

std::string GridTable(const Grid& grid, const std::vector<CellNumbers>& numbers) {
  std::string table;
  for (const GridAxis* axis : {&grid.x, &grid.y, &grid.z}) {
    if (!axis->key.empty()) table += Quoted(axis->key) + ",";
  }
  table +=
      "seed,file,seconds,denoise_seconds,peak_memory_mb,gflop,psnr_db,max_abs,mean_abs,error\r\n";
  const size_t columns = grid.x.values.size(), rows = grid.y.values.size();
  for (size_t i = 0; i < grid.cells.size(); ++i) {
    const size_t x = i % columns, y = i / columns % rows, z = i / columns / rows;
    for (const auto& [axis, at] : {std::pair{&grid.x, x}, {&grid.y, y}, {&grid.z, z}}) {
      if (!axis->key.empty()) table += Quoted(axis->values[at]) + ",";
    }
    const GridCell& cell = grid.cells[i];
    const GridCell& first = grid.cells[i - x];
    const CellNumbers& of = numbers[i];
    table += (of.seed ? std::to_string(*of.seed) : "") + "," + Quoted(of.file) + "," +
             Number(of.seconds) + "," + Number(of.denoise_seconds) + ",";
    table += (of.seconds ? Number(of.peak_memory_mb) + "," + Number(of.gflop) : ",") + ",";
    std::optional<PictureDifference> difference;
    if (cell.image && first.image) difference = Compare(*cell.image, *first.image);
    table += difference ? Number(difference->psnr_db) + "," + std::to_string(difference->max_abs) +
                              "," + Number(difference->mean_abs)
                        : ",,";
    table += "," + Quoted(cell.error) + "\r\n";
  }
  return table;
}

}  // namespace fovea
