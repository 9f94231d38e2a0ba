#include "models/row_split.h"

#include <algorithm>

#include "tensor/ops/elementwise.h"

namespace fovea {

LiveRows::LiveRows(const RowSplit& split, int64_t rows) : split_(split), rows_(rows), count_(rows) {
  if (split.base_rows == 0) return;
  ENSURE(split.count > 0 && split.from >= 0 && split.from + split.count <= split.base_rows &&
         split.base_rows <= rows);
  count_ = split.base_rows;
}

Tensor LiveRows::OfBlock(int site, const Tensor& x) const {
  const auto at = static_cast<size_t>(site);
  const bool skips = at < split_.skipped.size() && split_.skipped[at] != 0;
  return x.Slice(0, 0, skips ? split_.base_rows : count_);
}

void LiveRows::Repeat(Context& ctx, const Tensor& x) const {
  for (int64_t row = split_.base_rows; row < rows_; row += split_.count) {
    const int64_t count = std::min(split_.count, rows_ - row);
    ops::Copy(ctx, x.Slice(0, split_.from, count), x.Slice(0, row, count));
  }
}

void LiveRows::PartAt(Context& ctx, int last_site, std::initializer_list<Tensor> states) {
  if (!PartsBefore(last_site)) return;
  for (const Tensor& x : states) Repeat(ctx, x);
  Part();
}

}  // namespace fovea
