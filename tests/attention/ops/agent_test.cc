// Agent attention against its two softmaxes in double precision.
#include "attention/ops/agent.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "tests/support/operator_case.h"

namespace fovea {
namespace {

void Check(const OperatorCase& c, const std::array<int, 3>& agents) {
  CAPTURE(c.grid, c.text, agents);
  const OperatorRun run = RunOperator(c);
  CHECK_FALSE(run.has_lse);
  const auto& [frames, height, width] = c.grid;
  const int count = agents[0] * agents[1] * agents[2], first = c.text_first ? c.text : 0;
  HostTensor a({c.batch, count, c.heads, c.head_dim}, DType::kF64);
  for (int b = 0; b < c.batch; ++b) {
    for (int i = 0; i < count; ++i) {
      const int at[3] = {i / (agents[1] * agents[2]), i / agents[2] % agents[1], i % agents[2]};
      int begin[3], end[3];
      for (size_t x = 0; x < 3; ++x) {
        begin[x] = int(std::floor(at[x] * double(c.grid[x]) / agents[x]));
        end[x] = int(std::ceil((at[x] + 1) * double(c.grid[x]) / agents[x]));
      }
      for (int h = 0; h < c.heads; ++h) {
        for (int d = 0; d < c.head_dim; ++d) {
          double sum = 0;
          int n = 0;
          for (int f = begin[0]; f < end[0]; ++f) {
            for (int y = begin[1]; y < end[1]; ++y) {
              for (int x = begin[2]; x < end[2]; ++x, ++n) {
                sum += reference::At(run.q.View(), {b, first + (f * height + y) * width + x, h, d});
              }
            }
          }
          a.Data<double>()[((int64_t{b} * count + i) * c.heads + h) * c.head_dim + d] = sum / n;
        }
      }
    }
  }
  const auto all = [](int64_t, int64_t) { return true; };
  const double scale = 1 / std::sqrt(double(c.head_dim));
  const auto gathered = reference::Attention(a.View(), run.k.View(), run.v.View(), scale, all);
  HostTensor values(a.shape(), DType::kF64);
  std::copy(gathered.out.begin(), gathered.out.end(), values.Data<double>());
  const auto want = reference::Attention(run.q.View(), a.View(), values.View(), scale, all);
  CHECK(MaxDifference(run.out, want.out) <= 2e-6);
}

TEST_CASE("agent equals its definition") {
  Check({"agent", {}, {1, 16, 16}}, {1, 7, 7});
  Check({"agent", {{"agents", "3x4"}}, {1, 10, 13}, 5}, {1, 3, 4});
  Check({"agent", {{"agents", "2"}}, {1, 1, 40}, 3, false, 2}, {1, 2, 2});
  Check({"agent", {{"agents", "2x3x3"}}, {4, 6, 7}}, {2, 3, 3});
  Check({"agent", {{"agents", "9"}}, {1, 4, 5}}, {1, 9, 9});  // more agents than tokens
}

}  // namespace
}  // namespace fovea
