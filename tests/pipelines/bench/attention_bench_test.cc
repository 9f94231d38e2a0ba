// What `bench attention` counts, and the picture of it.
#include "pipelines/bench/attention_bench.h"

#include <catch2/catch.hpp>

#include "pipelines/bench/attention_plot.h"

namespace fovea {
namespace {

AttentionBenchOptions Small(const char* operators) {
  AttentionBenchOptions options;
  options.grids = {{1, 32, 32}};
  options.heads = 2;
  options.dims = {8};
  const AttentionPlan plan = AttentionPlan::Parse(operators);
  for (const PlanRule& rule : plan.Rules()) options.operators.push_back(rule.op);
  options.repeat = 2;
  return options;
}

TEST_CASE("tiles and densities of the bench are those of the definition") {
  const auto backend = MakeCpuBackend();
  AttentionBench bench(Small("dense;gna(window=16,stride=16);clear(r=2);agent(agents=4)"),
                       *backend);
  CHECK(bench.PeakBytes() >= 4 * 1024 * 2 * 8 * sizeof(float));
  int calls = 0;
  const auto timings = bench.Run({}, [&calls](const AttentionTiming&) { ++calls; });
  REQUIRE((timings.size() == 4 && calls == 4));
  CHECK((timings[0].visited_tiles == 256 && timings[0].ideal_tiles == 256));
  CHECK(timings[0].density == 1);
  CHECK((timings[1].visited_tiles == 64 && timings[1].ideal_tiles == 64));
  CHECK(timings[1].density == 0.25);
  // Nine keys a query but for the border, in a tile and its eight neighbours.
  CHECK(timings[2].density == Approx(94 * 94 / (1024.0 * 1024)));
  CHECK((timings[2].visited_tiles == 10 * 10 && timings[2].ideal_tiles == 3));
  CHECK(timings[3].density == Approx(2 * 16 / 1024.0));  // two passes of 16 agents
  for (const AttentionTiming& timing : timings) {
    CAPTURE(timing.op);
    CHECK((timing.heads == 2 && timing.dim == 8 && timing.threads >= 1));
    CHECK((timing.seconds > 0 && timing.gflops > 0 && timing.bound_seconds > 0));
    CHECK(timing.share_of_bound == timing.bound_seconds / timing.seconds);
    CHECK(timing.bound_seconds <= timings[0].bound_seconds);
  }
}

TEST_CASE("the bench refuses operators that a grid cannot have, and stops when asked") {
  const auto backend = MakeCpuBackend();
  const auto make = [&](const char* operators) { AttentionBench(Small(operators), *backend); };
  CHECK_THROWS_WITH(make("clear(down=5)"), Catch::Contains("32x32") && Catch::Contains("divides"));
  CHECK_THROWS_WITH(make("magic"), Catch::Contains("magic"));
  AttentionBench bench(Small("dense;halo"), *backend);
  std::stop_source stop;
  const auto timings =
      bench.Run(stop.get_token(), [&stop](const AttentionTiming&) { stop.request_stop(); });
  CHECK(timings.size() == 1);
}

AttentionTiming Made(const char* op, int side, int dim, double seconds) {
  AttentionTiming timing;
  timing.op = op;
  timing.grid = {1, side, side};
  timing.dim = dim;
  timing.seconds = seconds;
  timing.bound_seconds = seconds / 2;
  timing.share_of_bound = 0.5;
  return timing;
}

size_t Colourful(const Image& image) {
  size_t count = 0;
  for (size_t i = 0; i < image.rgb.size(); i += 3) {
    const auto [low, high] = std::minmax({image.rgb[i], image.rgb[i + 1], image.rgb[i + 2]});
    count += high - low > 60;
  }
  return count;
}

TEST_CASE("plots have a panel for each head size") {
  const std::vector<AttentionTiming> grids = {
      Made("dense", 16, 40, 1e-3), Made("halo(block=8)", 16, 40, 5e-4), Made("dense", 32, 40, 2e-2),
      Made("halo(block=8)", 32, 40, 3e-3)};
  const Image lines = PlotAttentionTimings(grids);
  CHECK(static_cast<size_t>(lines.width) * static_cast<size_t>(lines.height) * 3 ==
        lines.rgb.size());
  CHECK(Colourful(lines) > 300);
  CHECK(PlotAttentionTimings(grids).rgb == lines.rgb);
  const std::vector<AttentionTiming> dims = {
      Made("dense", 16, 40, 1e-3), Made("halo", 16, 40, 1e-9), Made("dense", 16, 64, 2e-3)};
  const Image bars = PlotAttentionTimings(dims);
  CHECK(bars.width == 2 * lines.width);
  CHECK(bars.height == lines.height);
  CHECK_THROWS_AS(PlotAttentionTimings({}), Error);
}

}  // namespace
}  // namespace fovea
