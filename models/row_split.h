// Rows of a batch that are computed once as long as they are the same: a perturbed branch of
// guidance is the prompt's up to its first perturbed layer.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>

#include "tensor/context.h"

namespace fovea {

struct RowSplit {
  int64_t base_rows = 0;  // rows that are always computed; 0: all
  // Rows base_rows, base_rows + 1, ... repeat rows from, ..., from + count - 1 up to this site.
  int64_t from = 0, count = 0;
  int site = 0;  // AttentionSite::index of the first layer where they differ
  // By site, or empty: not 0 where the block around it leaves rows base_rows, ... as they are.
  std::span<const unsigned char> skipped = {};
};

// Which rows of a pass are computed now. Models allocate for all rows and compute on Of(x).
class LiveRows {
 public:
  LiveRows(const RowSplit& split, int64_t rows);

  int64_t Count() const { return count_; }
  Tensor Of(const Tensor& x) const { return x.Empty() ? x : x.Slice(0, 0, count_); }
  // The rows that the block of this site changes.
  Tensor OfBlock(int site, const Tensor& x) const;
  // Whether rows must part before a block whose last site is this one.
  bool PartsBefore(int last_site) const { return count_ < rows_ && split_.site <= last_site; }
  // Copies the shared rows of a state, (rows,...), to those that repeat them.
  void Repeat(Context& ctx, const Tensor& x) const;
  // From now on, all rows are computed. All that later layers read must have been repeated.
  void Part() { count_ = rows_; }
  // The three in one, for blocks whose whole state is `states`.
  void PartAt(Context& ctx, int last_site, std::initializer_list<Tensor> states);

 private:
  RowSplit split_;
  int64_t rows_, count_;
};

}  // namespace fovea
