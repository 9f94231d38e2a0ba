// HiDiffusion's windows: shifts, schedules, odd grids.
#include "attention/ops/window.h"

#include <catch2/catch.hpp>

#include "attention/kernels/cpu_kernels.h"
#include "tests/support/operator_case.h"

namespace fovea {
namespace {

int Wrap(int a, int n) {
  return ((a % n) + n) % n;
}

void Check(OperatorCase c, const OpParams& params, int rows, int columns, int shift_rows,
           int shift_columns, const RunPoint& at = {}) {
  c.op = "window";
  c.params = params;
  const int height = c.grid[1], width = c.grid[2];
  const int window_height = (height + rows - 1) / rows,
            window_width = (width + columns - 1) / columns;
  CheckAgainstDefinition(
      c,
      [&](const GridPoint& q, const GridPoint& k) {
        return Wrap(q[1] - shift_rows, height) / window_height ==
                   Wrap(k[1] - shift_rows, height) / window_height &&
               Wrap(q[2] - shift_columns, width) / window_width ==
                   Wrap(k[2] - shift_columns, width) / window_width;
      },
      at);
}

TEST_CASE("windows equal their definition, cyclic at the wrap") {
  Check({"", {}, {1, 16, 16}}, {{"shift", "0x0"}}, 2, 2, 0, 0);
  Check({"", {}, {1, 16, 24}}, {{"shift", "3x5"}}, 2, 2, 3, 5);
  Check({"", {}, {1, 32, 16}, 7}, {{"shift", "31x9"}}, 2, 2, 31, 9);
  Check({"", {}, {1, 17, 23}, 4, false}, {{"shift", "2x3"}}, 2, 2, 2, 3);
  Check({"", {}, {1, 18, 20}}, {{"grid", "3x4"}, {"shift", "1x1"}}, 3, 4, 1, 1);
  Check({"", {}, {1, 2, 2}}, {{"shift", "1x1"}}, 2, 2, 1, 1);
}

TEST_CASE("quarters shift by whole quarters of a window, or by nothing") {
  Check({"", {}, {1, 16, 32}}, {{"quarter", "0"}}, 2, 2, 0, 0);
  Check({"", {}, {1, 16, 32}}, {{"quarter", "3"}}, 2, 2, 6, 12);
  Check({"", {}, {1, 6, 32}}, {{"quarter", "2"}}, 2, 2, 0, 0);  // 3 rows a window: nothing rolls
  Check({"", {}, {1, 33, 18}}, {{"quarter", "1"}}, 2, 2, 4, 2);
}

TEST_CASE("the upstream schedule draws PyTorch's uniforms") {
  // torch.manual_seed(123): 0.2961, 0.5166, 0.2517, 0.6886, 0.0740, ...
  const int want[] = {1, 2, 1, 2, 0, 3, 0, 0, 0, 2};
  for (int i = 0; i < 10; ++i) CHECK(UpstreamQuarter(123, i) == want[i]);
  RunPoint at;
  at.seed = 123;
  at.draw = 3;
  Check({"", {}, {1, 16, 16}}, {{"schedule", "upstream"}}, 2, 2, 4, 4, at);
}

TEST_CASE("the step schedule depends on seed, step and layer, and uses every quarter") {
  int count[4] = {};
  for (int step = 0; step < 50; ++step) {
    for (int layer = 0; layer < 5; ++layer) ++count[StepQuarter(7, step, layer)];
  }
  for (int n : count) CHECK((n > 35 && n < 95));
  CHECK(StepQuarter(7, 3, 2) == StepQuarter(7, 3, 2));
  RunPoint at{3, 50, 7, 2};
  const int quarter = StepQuarter(7, 3, 2);
  Check({"", {}, {1, 16, 16}}, {}, 2, 2, 2 * quarter, 2 * quarter, at);
}

TEST_CASE("an odd grid can be resampled as the official code does") {
  OperatorCase c{"window", {{"odd", "resample"}, {"quarter", "1"}}, {1, 9, 11}};
  const OperatorRun run = RunOperator(c);
  CHECK_FALSE(run.has_lse);
  const Shape even{1, 120, 2, 16};
  HostTensor q(even, DType::kF32), k = q, v = q, out = q;
  for (auto [from, to] : {std::pair{&run.q, &q}, {&run.k, &k}, {&run.v, &v}}) {
    ResizeGridCpu(from->View(), 9, 11, to->View(), 10, 12);
  }
  const auto windowed =
      reference::Attention(q.View(), k.View(), v.View(), 0.25, [](int64_t a, int64_t b) {
        const auto window = [](int64_t t) {
          return Wrap(int(t) / 12 - 1, 10) / 5 * 2 + Wrap(int(t) % 12 - 1, 12) / 6;
        };
        return window(a) == window(b);
      });
  for (size_t i = 0; i < windowed.out.size(); ++i) out.Data<float>()[i] = float(windowed.out[i]);
  HostTensor want({1, 99, 2, 16}, DType::kF32);
  ResizeGridCpu(out.View(), 10, 12, want.View(), 9, 11);
  CHECK(MaxDifference(run.out, {want.Data<float>(), want.Data<float>() + want.NumElements()}) <=
        4e-6);
}

TEST_CASE("bicubic resizing keeps constants and lines") {
  HostTensor x({1, 15, 1, 1}, DType::kF32), y({1, 40, 1, 1}, DType::kF32);
  for (int i = 0; i < 15; ++i) x.Data<float>()[i] = 3;
  ResizeGridCpu(x.View(), 3, 5, y.View(), 4, 10);
  for (int i = 0; i < 40; ++i) CHECK(y.Data<float>()[i] == Approx(3));
}

TEST_CASE("windows refuse what they cannot cut") {
  OperatorCase c{"window", {}, {1, 1, 16}};
  AttentionSpec spec;
  spec.q = spec.kv = LayoutOf(c);
  CHECK(WindowAttention().Bind({})->Supports(spec).reason.find("cannot cut") != std::string::npos);
  CHECK_THROWS_WITH(WindowAttention().Bind({{"shift", "1x1"}, {"quarter", "1"}})->Supports(spec),
                    Catch::Contains("give one"));
}

}  // namespace
}  // namespace fovea
