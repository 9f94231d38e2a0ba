// Which rows of a batch belong to which branch of guidance.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace fovea {

// What the network is asked in a branch.
enum class BranchKind : uint8_t {
  kUnconditional,  // the negative prompt, or none
  kConditional,    // the prompt
  kPerturbed,      // the prompt, by a network that was made worse on purpose
};

struct Branch {
  BranchKind kind = BranchKind::kConditional;
  int64_t first_row = 0, rows = 0;  // one row a picture; 0: the batch has none of this kind
};

// A plain value: branch stands after branch, in the order of rows. One that is empty says nothing
// about the batch: all of its rows are then conditional.
class BranchLayout {
 public:
  BranchLayout() = default;
  BranchLayout(std::span<const BranchKind> kinds, int64_t pictures);

  std::span<const Branch> Branches() const { return branches_; }
  int64_t Rows() const { return branches_.empty() ? 0 : EndOf(branches_.back()); }
  // The first branch of this kind in a batch of `batch` rows. A batch may have fewer rows than the
  // layout: the last branches are then not there yet.
  Branch Find(BranchKind kind, int64_t batch) const;
  // Of rows first, first + 1, ... alone, counted from 0.
  BranchLayout Slice(int64_t first, int64_t rows) const;

 private:
  static int64_t EndOf(const Branch& branch) { return branch.first_row + branch.rows; }
  std::vector<Branch> branches_;
};

}  // namespace fovea
