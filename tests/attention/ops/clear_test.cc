// CLEAR: the disk, its published key counts, pooled keys, proportional scale.
#include "attention/ops/clear.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <tuple>

#include "attention/tiles/tile_map.h"
#include "tests/support/operator_case.h"

namespace fovea {
namespace {

void Check(OperatorCase c, int radius) {
  c.op = "clear";
  c.params = {{"r", std::to_string(radius)}};
  CheckAgainstDefinition(c, [&](const GridPoint& q, const GridPoint& k) {
    return std::hypot(q[1] - k[1], q[2] - k[2]) < radius;
  });
}

TEST_CASE("clear equals its definition") {
  Check({"", {}, {1, 20, 20}}, 4);
  Check({"", {}, {1, 33, 17}, 7, true}, 8);
  Check({"", {}, {1, 9, 26}, 65, false, 2, 1, 40}, 3);
  Check({"", {}, {1, 1, 100}}, 16);
  Check({"", {}, {1, 7, 5}}, 1);
  Check({"", {}, {1, 12, 12}}, 64);  // wider than the grid: dense
}

double KeysPerQuery(int side, int radius) {
  OperatorCase c{"clear", {{"r", std::to_string(radius)}}, {1, side, side}};
  AttentionSpec spec;
  spec.q = spec.kv = LayoutOf(c);
  const auto prepared = ClearAttention().Bind(c.params)->Prepare(spec);
  return prepared->Map()->Density() * side * side;
}

TEST_CASE("clear's disks hold the published numbers of keys") {
  CHECK(KeysPerQuery(64, 8) == Approx(173.4).margin(0.05));
  CHECK(std::round(KeysPerQuery(64, 16)) == 634);
  CHECK(std::round(KeysPerQuery(64, 32)) == 1974);
  CHECK(std::round(KeysPerQuery(128, 8)) == 183);
  CHECK(std::round(KeysPerQuery(128, 16)) == 711);
}

TEST_CASE("clear visits the tiles that the bound allows") {
  for (const auto& [side, radius, over] :
       {std::tuple{64, 8, 2.79}, {64, 16, 1.82}, {128, 32, 1.45}}) {
    OperatorCase c{"clear", {{"r", std::to_string(radius)}}, {1, side, side}};
    AttentionSpec spec;
    spec.q = spec.kv = LayoutOf(c);
    const auto prepared = ClearAttention().Bind(c.params)->Prepare(spec);
    const TileMap& map = *prepared->Map();
    CHECK(double(map.visited_pairs) / double(map.pairs) == Approx(over).margin(0.006));
  }
}

// Pooled keys: written out with the cell sums in double.
void CheckPooled(int down, const std::vector<float>& weights, bool proportional) {
  OperatorCase c{"clear", {{"r", "3"}, {"down", std::to_string(down)}}, {1, 8, 12}, 5};
  if (proportional) c.params.push_back({"proportional", "on"});
  HostTensor weight({int64_t{1} * down * down}, DType::kF32);
  std::map<std::string, Tensor> inputs;
  if (!weights.empty()) {
    std::copy(weights.begin(), weights.end(), weight.Data<float>());
    inputs["spatial_weight"] = weight.View();
  }
  const OperatorRun run = RunOperator(c, {}, &inputs);
  const int text = 5, height = 8, width = 12, n = text + height * width;
  const int cells = height * width / down / down;
  HostTensor k({1, n + cells, c.heads, c.head_dim}, DType::kF64), v = k;
  for (int h = 0; h < c.heads; ++h) {
    for (int x = 0; x < c.head_dim; ++x) {
      const auto put = [&](HostTensor& to, const HostTensor& from) {
        const auto at = [&](int token) { return (int64_t{token} * c.heads + h) * c.head_dim + x; };
        for (int t = 0; t < n; ++t) to.Data<double>()[at(t)] = from.Data<float>()[at(t)];
        for (int cell = 0; cell < cells; ++cell) {
          double sum = 0;
          for (int i = 0; i < down; ++i) {
            for (int j = 0; j < down; ++j) {
              const int row = cell / (width / down) * down + i,
                        column = cell % (width / down) * down + j;
              const double w =
                  weights.empty() ? 1.0 / (down * down) : weights[size_t(i * down + j)];
              sum += w * from.Data<float>()[at(text + row * width + column)];
            }
          }
          to.Data<double>()[at(n + cell)] = sum;
        }
      };
      put(k, run.k);
      put(v, run.v);
    }
  }
  const double scale = proportional ? std::sqrt(std::log(10.0 * n) / std::log(4608.0) / c.head_dim)
                                    : 1 / std::sqrt(double(c.head_dim));
  const auto want =
      reference::Attention(run.q.View(), k.View(), v.View(), scale, [&](int64_t q, int64_t key) {
        if (q < text) return key < n;
        if (key < text || key >= n) return true;
        const int64_t a = q - text, b = key - text;
        const int64_t dy = a / width - b / width, dx = a % width - b % width;
        return dy * dy + dx * dx < 9;
      });
  CHECK(MaxDifference(run.out, want.out) <= 2e-6);
  CHECK(MaxDifference(run.lse, want.lse) <= 4e-6);
}

TEST_CASE("clear's pooled keys are seen by the picture alone") {
  CheckPooled(2, {}, false);
  CheckPooled(4, {}, true);
  CheckPooled(2, {0.5f, 0.25f, -0.125f, 0.75f}, false);
}

TEST_CASE("clear refuses grids that its cells do not divide, and video") {
  OperatorCase c{"clear", {{"down", "3"}}, {1, 8, 9}};
  AttentionSpec spec;
  spec.q = spec.kv = LayoutOf(c);
  CHECK(ClearAttention().Bind(c.params)->Supports(spec).reason.find("divides") !=
        std::string::npos);
  c.grid = {2, 8, 9};
  spec.q = spec.kv = LayoutOf(c);
  CHECK(ClearAttention().Bind({})->Supports(spec).reason.find("one frame") != std::string::npos);
  CHECK_THROWS_WITH(ClearAttention().Bind({{"proportional", "yes"}})->Supports(spec),
                    Catch::Contains("off, on"));
}

}  // namespace
}  // namespace fovea
