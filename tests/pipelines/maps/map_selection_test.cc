// Which row of a batch maps look at: the prompt's, whatever stands before or behind it.
#include "pipelines/maps/map_selection.h"

#include <array>

#include <catch2/catch.hpp>

namespace fovea {

TEST_CASE("maps look at what the prompt did, not at a perturbed branch behind it") {
  const AttentionSite site{"layer", 0, SiteKind::kSelf, 1, 8, GridLayout(2, 2)};
  AttentionSpec spec;
  const AttentionIo io;
  const auto row = [&](std::vector<BranchKind> kinds, int pictures, int batch) {
    spec.batch = batch;
    const AttentionCall call{site, spec, io, 0, 1, {}, BranchLayout(kinds, pictures)};
    return PromptRow(call);
  };
  constexpr auto kU = BranchKind::kUnconditional, kC = BranchKind::kConditional,
                 kP = BranchKind::kPerturbed;
  CHECK(row({kU, kC, kP}, 1, 3) == 1);
  CHECK(row({kU, kC, kP}, 1, 2) == 1);  // rows that are still shared
  CHECK(row({kC, kP}, 2, 4) == 1);      // of two pictures, the last
  CHECK(row({kU, kC}, 1, 2) == 1);
  CHECK(row({kC}, 1, 1) == 0);
  spec.batch = 1;
  CHECK(PromptRow({site, spec, io, 0, 1, {}}) == 0);  // not of a guided run
}

}  // namespace fovea
