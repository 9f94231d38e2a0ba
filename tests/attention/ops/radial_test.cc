// Radial attention: the official block counts, the closed form, the picture's analogue.
#include "attention/ops/radial.h"

#include <bit>
#include <catch2/catch.hpp>
#include <numeric>

#include "attention/tiles/tile_map.h"
#include "tests/support/operator_case.h"

namespace fovea {
namespace {

int Kept(int frames, int tokens, const RadialMapSettings& settings) {
  const auto map = RadialBlockMap(frames, tokens, settings);
  return std::accumulate(map.begin(), map.end(), 0);
}

TEST_CASE("the video maps keep the counted numbers of blocks") {
  CHECK(Kept(12, 512, {true, true, 1, 128}) == 1788);
  CHECK(Kept(12, 512, {true, false, 1, 128}) == 1746);
  CHECK(Kept(12, 512, {false, true, 1, 128}) == 1716);
  CHECK(Kept(12, 512, {true, true, 0.2, 128}) == 1644);
  CHECK(Kept(12, 512, {true, true, 1, 64}) == 6540);
}

TEST_CASE("the video maps have the published sparsities") {
  const auto sparsity = [](int frames, int tokens, const RadialMapSettings& settings) {
    const double blocks = double(frames) * tokens / settings.block;
    return 1 - Kept(frames, tokens, settings) / (blocks * blocks);
  };
  CHECK(sparsity(18, 3840, {true, true, 0.2, 128}) == Approx(0.713).margin(6e-4));
  CHECK(sparsity(18, 3840, {true, false, 0.2, 128}) == Approx(0.737).margin(6e-4));
  CHECK(sparsity(18, 3840, {true, true, 1, 128}) == Approx(0.569).margin(6e-4));
  CHECK(sparsity(30, 3840, {false, true, 0.95, 128}) == Approx(0.725).margin(6e-4));
}

TEST_CASE("the video maps equal the closed form where blocks divide frames") {
  for (const int block : {64, 128}) {
    for (const bool sink : {false, true}) {
      for (const double decay : {0.2, 1.0}) {
        const int frames = 9, tokens = 640, n = tokens / block;
        const auto map = RadialBlockMap(frames, tokens, {sink, true, decay, block});
        for (int row = 0; row < frames * n; ++row) {
          for (int column = 0; column < frames * n; ++column) {
            const int i = row / n, j = column / n, d = std::abs(i - j);
            int reach = n;
            if (!(sink && j == 0) && d > 0) {
              const double span = 1024.0 / double(1 << std::bit_width(unsigned(d)));
              if (span < 128 && d % int(128 / span) != 0)
                reach = -1;
              else if (d > 1)
                reach =
                    (int(std::max(span * decay, double(block))) + (block == 128 ? 22 : 11)) / block;
            }
            const bool want = std::abs(row % n - column % n) <= reach;
            REQUIRE((map[size_t(row) * size_t(frames * n) + size_t(column)] != 0) == want);
          }
        }
      }
    }
  }
}

TEST_CASE("radial runs its block map") {
  OperatorCase c{"radial", {{"model", "hunyuan"}, {"block", "64"}}, {6, 8, 8}, 5, false};
  const auto map = RadialBlockMap(6, 64, {false, true, 1, 64});
  CheckAgainstDefinition(c, [&](const GridPoint& q, const GridPoint& k) {
    return map[size_t(q[0]) * 6 + size_t(k[0])] != 0;
  });
}

TEST_CASE("one frame is dense, as in the official code") {
  OperatorCase c{"radial", {{"model", "hunyuan"}}, {1, 16, 16}};
  CHECK(RunOperator(c).density == 1);
}

TEST_CASE("radial-2d equals its definition") {
  for (const bool lattice : {false, true}) {
    for (const int tile : {4, 8}) {
      OperatorCase c{"radial", {}, {1, 40, 34}, 3};
      c.params = {
          {"model", "2d"}, {"rule", lattice ? "lattice" : "half"}, {"tile", std::to_string(tile)}};
      CheckAgainstDefinition(c, [&](const GridPoint& q, const GridPoint& k) {
        const int dy = std::abs(q[1] / tile - k[1] / tile),
                  dx = std::abs(q[2] / tile - k[2] / tile);
        int p = 1;
        while (2 * p <= std::max(dy, dx)) p *= 2;
        if (std::max(dy, dx) <= 1) return true;
        return lattice ? dy % p == 0 && dx % p == 0 : (dy + dx) % p == 0;
      });
    }
  }
}

TEST_CASE("radial-2d has the stated densities") {
  const auto density = [](int side, const char* rule) {
    OperatorCase c{"radial", {{"model", "2d"}, {"rule", rule}}, {1, side, side}};
    AttentionSpec spec;
    spec.q = spec.kv = LayoutOf(c);
    return RadialAttention().Bind(c.params)->Prepare(spec)->Map()->Density();
  };
  CHECK(density(64, "half") == Approx(0.416).margin(6e-4));
  CHECK(density(64, "lattice") == Approx(0.247).margin(6e-4));
  CHECK(density(128, "half") == Approx(0.236).margin(6e-4));
  CHECK(density(128, "lattice") == Approx(0.090).margin(6e-4));
}

TEST_CASE("radial refuses ragged blocks and mixed arguments") {
  OperatorCase c{"radial", {}, {3, 5, 5}};
  AttentionSpec spec;
  spec.q = spec.kv = LayoutOf(c);
  CHECK(RadialAttention().Bind({})->Supports(spec).reason.find("multiple") != std::string::npos);
  CHECK_THROWS(RadialAttention().Bind({{"tile", "8"}})->Supports(spec));
  CHECK_THROWS(RadialAttention().Bind({{"model", "2d"}, {"decay", "1"}})->Supports(spec));
}

}  // namespace
}  // namespace fovea
