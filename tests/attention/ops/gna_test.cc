// Generalized neighborhood attention: published windows, key counts, and the definition.
#include "attention/ops/gna.h"

#include <catch2/catch.hpp>

#include "attention/tiles/tile_map.h"
#include "tests/support/operator_case.h"

namespace fovea {
namespace {

struct Axis {
  int length, window, stride = 1, dilation = 1;
  bool causal = false;
};

// The definition, written again in its own words: which keys query i of one axis sees.
bool Sees(const Axis& a, int i, int k) {
  const int d = a.dilation, w = std::min(a.window, a.length / d), s = std::min(a.stride, w);
  if (i % d != k % d) return false;
  int members = 0;
  for (int j = i % d; j < a.length; j += d) ++members;
  const int at = i / d, key = k / d, group = at - at % s;
  if (a.causal) {
    const int leader = std::min(group + s - 1, members - 1);
    return key <= at && key > leader - w;
  }
  const int leader = std::min(group + s / 2, members - 1);
  int start = leader - w / 2;
  if (start < 0) start = 0;
  if (start + w > members) start = members - w;
  return key >= start && key < start + w;
}

// "0-5 1-6 ..." as the operator's own map sees a line.
std::string Windows(const Axis& a) {
  OperatorCase c{"gna", {}, {1, 1, a.length}};
  c.params = {{"window", "1x" + std::to_string(a.window)},
              {"stride", "1x" + std::to_string(a.stride)},
              {"dilation", "1x" + std::to_string(a.dilation)},
              {"causal", a.causal ? "0x1" : "0"}};
  // Values that name their key: with q and k zero, the output is the mean of the seen values.
  std::string text;
  AttentionSpec spec;
  spec.q = spec.kv = LayoutOf(c);
  const auto prepared = FindAttentionOp("gna").Bind(c.params)->Prepare(spec);
  const TileMap& map = *prepared->Map();
  for (int i = 0; i < a.length; ++i) {
    int first = -1, last = -1;
    for (int64_t v = map.rows[0].begin; v < map.rows[0].end; ++v) {
      const TileMap::Visit visit = map.visits[static_cast<size_t>(v)];
      for (int k = 0; k < a.length; ++k) {
        const bool seen =
            visit.mask < 0 ||
            ((map.masks[static_cast<size_t>(visit.mask)][static_cast<size_t>(k)] >> i) & 1);
        if (!seen) continue;
        if (first < 0) first = k;
        last = k + 1;
      }
    }
    if (i > 0) text += ' ';
    text += std::to_string(first) + '-' + std::to_string(last);
  }
  return text;
}

TEST_CASE("gna's windows are the published ones") {
  CHECK(Windows({10, 5}) == "0-5 0-5 0-5 1-6 2-7 3-8 4-9 5-10 5-10 5-10");
  CHECK(Windows({10, 4}) == "0-4 0-4 0-4 1-5 2-6 3-7 4-8 5-9 6-10 6-10");
  CHECK(Windows({10, 4, 2}) == "0-4 0-4 1-5 1-5 3-7 3-7 5-9 5-9 6-10 6-10");
  CHECK(Windows({10, 4, 3}) == "0-4 0-4 0-4 2-6 2-6 2-6 5-9 5-9 5-9 6-10");
  CHECK(Windows({11, 5, 5}) == "0-5 0-5 0-5 0-5 0-5 5-10 5-10 5-10 5-10 5-10 6-11");
  CHECK(Windows({10, 6, 3}) == "0-6 0-6 0-6 1-7 1-7 1-7 4-10 4-10 4-10 4-10");
  CHECK(Windows({10, 4, 1, 1, true}) == "0-1 0-2 0-3 0-4 1-5 2-6 3-7 4-8 5-9 6-10");
  CHECK(Windows({10, 4, 3, 1, true}) == "0-1 0-2 0-3 2-4 2-5 2-6 5-7 5-8 5-9 6-10");
  CHECK(Windows({11, 3, 1, 3}) == "0-7 1-8 2-9 0-7 1-8 2-9 3-10 4-11 2-9 3-10 4-11");
}

void Check(const std::array<int, 3>& grid, const std::array<Axis, 3>& axes, int text = 0,
           bool text_first = true) {
  OperatorCase c{"gna", {}, grid, text, text_first};
  const bool frames = grid[0] > 1;
  const auto join = [&](const auto& field) {
    std::string value = frames ? std::to_string(field(axes[0])) + "x" : "";
    return value + std::to_string(field(axes[1])) + "x" + std::to_string(field(axes[2]));
  };
  c.params = {{"window", join([](const Axis& a) { return a.window; })},
              {"stride", join([](const Axis& a) { return a.stride; })},
              {"dilation", join([](const Axis& a) { return a.dilation; })},
              {"causal", join([](const Axis& a) { return int(a.causal); })}};
  CheckAgainstDefinition(c, [&](const GridPoint& q, const GridPoint& k) {
    for (size_t a = 0; a < 3; ++a) {
      if (!Sees(axes[a], q[a], k[a])) return false;
    }
    return true;
  });
}

TEST_CASE("gna equals its definition on grids of one to three axes") {
  Check({1, 1, 70}, {Axis{1, 1}, Axis{1, 1}, Axis{70, 9}});
  Check({1, 13, 21}, {Axis{1, 1}, Axis{13, 5}, Axis{21, 8}});
  Check({1, 17, 9}, {Axis{1, 1}, Axis{17, 6, 3}, Axis{9, 4, 2}}, 5);
  Check({1, 16, 24}, {Axis{1, 1}, Axis{16, 8, 8}, Axis{24, 8, 8}}, 70, false);
  Check({1, 20, 19}, {Axis{1, 1}, Axis{20, 5, 1, 3}, Axis{19, 3, 2, 4}}, 3);
  Check({5, 6, 7}, {Axis{5, 3}, Axis{6, 4, 2}, Axis{7, 3, 1, 2}}, 4);
  Check({3, 5, 6}, {Axis{3, 2, 1, 1, true}, Axis{5, 3}, Axis{6, 4, 3, 1, true}});
  Check({1, 9, 9}, {Axis{1, 1}, Axis{9, 100}, Axis{9, 100, 50}});  // wider than the grid: dense
}

TEST_CASE("every non-causal query of gna has as many keys as its window") {
  OperatorCase c{"gna", {{"window", "5x7"}, {"stride", "2x3"}}, {1, 23, 31}};
  CHECK(RunOperator(c).density == 35.0 / (23 * 31));
}

TEST_CASE("gna refuses what it cannot read") {
  const OperatorCase c{"gna", {}, {1, 8, 8}};
  AttentionSpec spec;
  spec.q = spec.kv = LayoutOf(c);
  const AttentionOp& op = GeneralizedNeighborhoodAttention();
  CHECK_THROWS_WITH(op.Bind({{"window", "0"}})->Supports(spec), Catch::Contains("window must be"));
  CHECK_THROWS_WITH(op.Bind({{"windows", "3"}})->Supports(spec), Catch::Contains("no argument"));
  CHECK_THROWS_WITH(op.Bind({{"window", "3"}, {"window", "3"}})->Supports(spec),
                    Catch::Contains("twice"));
  CHECK_THROWS_WITH(op.Bind({{"window", "3x3x3x3"}})->Supports(spec),
                    Catch::Contains("window must be"));
  spec.kv = TextLayout(77);
  CHECK(op.Bind({})->Supports(spec).reason.find("cross-attention") != std::string::npos);
  spec.q = spec.kv;
  CHECK(op.Bind({})->Supports(spec).reason.find("grid") != std::string::npos);
}

}  // namespace
}  // namespace fovea
