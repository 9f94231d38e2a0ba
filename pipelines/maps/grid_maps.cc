#include "pipelines/maps/grid_maps.h"

#include <cmath>
#include <numeric>

#include "attention/probe/call_matrix.h"
#include "attention/probe/matrix_passes.h"

namespace fovea {
namespace {

// Whether the call is attention among the tokens of an image that the selection has.
const Segment* ImageGrid(const AttentionCall& call, const MapSelection& selection) {
  if (call.site.kind == SiteKind::kCross || !selection.Has(call)) return nullptr;
  return GridOfLayout(call.spec.q);
}

}  // namespace

QueryRows::QueryRows(const Query& query, const MapSelection& selection)
    : query_(query),
      selection_(selection),
      sums_("rows", {std::to_string(query.row) + "," + std::to_string(query.column)}, selection) {}

void QueryRows::Attended(Context& ctx, const AttentionCall& call) {
  const Segment* grid = ImageGrid(call, selection_);
  if (grid == nullptr) return;
  const int h = grid->grid[1], w = grid->grid[2];
  const int row = (2 * query_.row + 1) * h / (2 * query_.rows);
  const int column = (2 * query_.column + 1) * w / (2 * query_.columns);
  const auto matrix = MatrixOf(ctx, call);
  std::vector<float> rows(static_cast<size_t>(matrix->Heads() * matrix->Keys()));
  RowOfHeads(*matrix, PromptRow(call), grid->begin + row * w + column, rows.data());
  for (const int head : selection_.HeadsOf(call)) {
    const float* own = rows.data() + head * matrix->Keys() + grid->begin;
    sums_.Add(0, call, head, h, w, {own, static_cast<size_t>(h * w)});
  }
}

std::vector<AttentionMap> QueryRows::Finish() const {
  std::vector<AttentionMap> maps = sums_.Finish(false, true);
  for (AttentionMap& map : maps) {
    map.mark = {(query_.row + 0.5) / query_.rows, (query_.column + 0.5) / query_.columns};
  }
  return maps;
}

EntropyMaps::EntropyMaps(const MapSelection& selection)
    : selection_(selection), sums_("entropy", {""}, selection) {}

void EntropyMaps::Attended(Context& ctx, const AttentionCall& call) {
  const Segment* grid = ImageGrid(call, selection_);
  if (grid == nullptr) return;
  const auto matrix = MatrixOf(ctx, call);
  const auto scale =
      static_cast<float>(1 / std::log(std::max<double>(2, static_cast<double>(matrix->Keys()))));
  for (const int head : selection_.HeadsOf(call)) {
    const std::vector<float> all = Entropies(*matrix, PromptRow(call), head);
    std::vector<float> own(all.begin() + grid->begin, all.begin() + grid->begin + grid->length);
    rows_.push_back(
        {call.site.path, head, call.step, static_cast<int>(matrix->Keys()),
         std::accumulate(own.begin(), own.end(), 0.0) / static_cast<double>(own.size())});
    for (float& value : own) value *= scale;
    sums_.Add(0, call, head, grid->grid[1], grid->grid[2], own);
  }
}

}  // namespace fovea
