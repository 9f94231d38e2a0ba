// Rows of branches: found by kind, in whole batches, in the first part of one, and in slices.
#include "attention/heads/branch_layout.h"

#include <array>

#include <catch2/catch.hpp>

namespace fovea {
namespace {

constexpr std::array kAll = {BranchKind::kUnconditional, BranchKind::kConditional,
                             BranchKind::kPerturbed};

void CheckRows(const Branch& branch, int64_t first, int64_t rows) {
  CHECK(branch.first_row == first);
  CHECK(branch.rows == rows);
}

}  // namespace

TEST_CASE("branches stand one after the other, a row for each picture") {
  const BranchLayout layout(kAll, 2);
  CHECK(layout.Rows() == 6);
  REQUIRE(layout.Branches().size() == 3);
  CheckRows(layout.Find(BranchKind::kUnconditional, 6), 0, 2);
  CheckRows(layout.Find(BranchKind::kConditional, 6), 2, 2);
  CheckRows(layout.Find(BranchKind::kPerturbed, 6), 4, 2);
}

TEST_CASE("what is computed once for two branches has no rows of the second") {
  const BranchLayout layout(kAll, 2);
  CheckRows(layout.Find(BranchKind::kConditional, 4), 2, 2);
  CHECK(layout.Find(BranchKind::kPerturbed, 4).rows == 0);
}

TEST_CASE("without a layout every row is the prompt's") {
  CheckRows(BranchLayout().Find(BranchKind::kConditional, 3), 0, 3);
  CHECK(BranchLayout().Find(BranchKind::kUnconditional, 3).rows == 0);
  CHECK(BranchLayout().Rows() == 0);
}

TEST_CASE("a slice of a batch keeps its branches' names") {
  const BranchLayout layout(kAll, 2);
  const BranchLayout some = layout.Slice(1, 3);
  REQUIRE(some.Branches().size() == 2);
  CheckRows(some.Find(BranchKind::kUnconditional, 3), 0, 1);
  CheckRows(some.Find(BranchKind::kConditional, 3), 1, 2);
  CHECK(some.Find(BranchKind::kPerturbed, 3).rows == 0);
  CHECK(BranchLayout().Slice(0, 1).Branches().empty());
}

}  // namespace fovea
