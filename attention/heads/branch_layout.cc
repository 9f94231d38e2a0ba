#include "attention/heads/branch_layout.h"

#include <algorithm>

#include "tensor/error.h"

namespace fovea {

BranchLayout::BranchLayout(std::span<const BranchKind> kinds, int64_t pictures) {
  ENSURE(pictures > 0);
  for (const BranchKind kind : kinds) branches_.push_back({kind, Rows(), pictures});
}

Branch BranchLayout::Find(BranchKind kind, int64_t batch) const {
  if (branches_.empty()) return {kind, 0, kind == BranchKind::kConditional ? batch : 0};
  for (Branch branch : branches_) {
    branch.rows = std::min(branch.rows, batch - branch.first_row);
    if (branch.kind == kind && branch.rows > 0) return branch;
  }
  return {kind, 0, 0};
}

BranchLayout BranchLayout::Slice(int64_t first, int64_t rows) const {
  BranchLayout out;
  for (Branch branch : branches_) {
    const int64_t begin = std::max(branch.first_row, first);
    const int64_t end = std::min(EndOf(branch), first + rows);
    if (begin < end) out.branches_.push_back({branch.kind, begin - first, end - begin});
  }
  return out;
}

}  // namespace fovea
