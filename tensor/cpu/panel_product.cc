#include "tensor/cpu/panel_product.h"

#include <algorithm>

namespace fovea {
namespace {

constexpr int64_t DivideUp(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace

PanelPlan::PanelPlan(int64_t rows_in, int64_t in_in, int64_t out_in, Arithmetic arithmetic_in,
                     int threads)
    : rows(rows_in),
      in(in_in),
      out(out_in),
      arithmetic(arithmetic_in),
      steps(arithmetic == Arithmetic::kBF16 ? DivideUp(in, 2) : in),
      blocks(std::max<int64_t>(1, DivideUp(steps, kMaxSteps))),
      depth(std::max<int64_t>(1, DivideUp(DivideUp(steps, blocks), 16)) * 16),
      strips(DivideUp(out, kStrip)) {
  blocks = std::max<int64_t>(1, DivideUp(steps, depth));
  row_unit = rows >= 48 * threads ? 48 : 12;
  const int64_t units = DivideUp(rows, row_unit);
  // A thread takes longer to wake than 2^20 multiply-adds take. Packing a weight costs as much as
  // some 16 of them.
  const int64_t pays = std::clamp<int64_t>(in * out * (rows + 16) >> 20, 1, threads);
  // Threads divide outputs first, so that each weight is packed once.
  row_parts = strip_parts = 1;
  int64_t least = units * strips;
  for (int64_t parts = 1; parts <= std::min(pays, units); ++parts) {
    const int64_t across = std::min(pays / parts, strips);
    const int64_t work = DivideUp(units, parts) * DivideUp(strips, across);
    if (work >= least) continue;
    least = work;
    row_parts = parts;
    strip_parts = across;
  }
  const int64_t most = std::max<int64_t>(1, DivideUp(strips, strip_parts));
  strips_at_once = blocks == 1 ? most : DivideUp(most, DivideUp(most, 16));
}

int64_t PanelPlan::SumWords() const {
  return blocks == 1 ? std::min(rows, kRows) * kStrip : BlockRows() * kStrip * strips_at_once;
}

int64_t PanelPlan::ThreadWords() const {
  const int64_t words = depth * kStrip + BlockRows() * kPitch + SumWords() + ConvertedWords();
  return DivideUp(words, 16) * 16;
}

}  // namespace fovea
