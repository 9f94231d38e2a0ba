// Pictures of what `bench attention` measured.
#pragma once

#include <span>

#include "pipelines/bench/attention_bench.h"
#include "pipelines/pictures/image.h"

namespace fovea {

// One panel for each head size, side by side. With several grids: milliseconds over tokens, both
// logarithmic, a line for each operator and dots for its bound. With one: bars, longest first, with
// a mark at the bound. Throws kUsage without timings.
Image PlotAttentionTimings(std::span<const AttentionTiming> timings);

}  // namespace fovea
