#include "tests/support/operator_case.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "attention/attention_runtime.h"
#include "attention/tiles/tile_map.h"
#include "tests/support/worst.h"

namespace fovea {

TokenLayout LayoutOf(const OperatorCase& c) {
  const int tokens = c.grid[0] * c.grid[1] * c.grid[2];
  Segment grid{SegmentKind::kGrid, 0, tokens, c.grid}, text{SegmentKind::kText, 0, c.text, {}};
  text.grid = {1, 1, 1};
  if (c.text == 0) return {grid};
  if (c.text_first) {
    grid.begin = c.text;
    return {text, grid};
  }
  text.begin = tokens;
  return {grid, text};
}

HostTensor RandomNormal(const Shape& shape, uint32_t seed, float scale) {
  HostTensor x(shape, DType::kF32);
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0, scale);
  for (int64_t i = 0; i < x.NumElements(); ++i) x.Data<float>()[i] = normal(generator);
  return x;
}

OperatorRun RunOperator(const OperatorCase& c, const RunPoint& at,
                        const std::map<std::string, Tensor>* weights) {
  AttentionSpec spec;
  spec.batch = c.batch, spec.heads = c.heads, spec.head_dim = c.head_dim;
  spec.q = spec.kv = LayoutOf(c);
  const int tokens = TokenCount(spec.q);
  const Shape shape{c.batch, tokens, c.heads, c.head_dim};
  OperatorRun run;
  run.q = RandomNormal(shape, 1), run.k = RandomNormal(shape, 2), run.v = RandomNormal(shape, 3);
  run.out = HostTensor(shape, DType::kF32);
  std::fill_n(run.out.Data<float>(), run.out.NumElements(), NAN);
  const auto op = BindOperator({c.op, c.params});
  const Support support = op->Supports(spec);
  INFO(support.reason);
  REQUIRE(support.ok);
  OperatorIo io{{run.q.View(), run.k.View(), run.v.View(), run.out.View()}};
  const auto prepared = op->Prepare(spec);
  if (prepared->HasLse()) {
    run.lse = HostTensor({c.batch, c.heads, tokens}, DType::kF32);
    std::fill_n(run.lse.Data<float>(), run.lse.NumElements(), NAN);
    io.lse = run.lse.View();
    run.has_lse = true;
  }
  io.at = at;
  io.weights = weights;
  const auto backend = MakeCpuBackend();
  Arena arena(*backend, 64 << 20);
  Context ctx{*backend, arena};
  prepared->Run(ctx, io);
  if (prepared->Map() != nullptr) run.density = prepared->Map()->Density();
  return run;
}

double MaxDifference(const HostTensor& got, const std::vector<double>& want) {
  REQUIRE(static_cast<size_t>(got.NumElements()) == want.size());
  Worst worst;
  for (size_t i = 0; i < want.size(); ++i) worst.Add(got.Data<float>()[i], want[i]);
  return worst.Value();
}

void CheckAgainstDefinition(const OperatorCase& c,
                            const std::function<bool(const GridPoint&, const GridPoint&)>& sees,
                            const RunPoint& at) {
  std::string params;
  for (const auto& [name, value] : c.params) params += name + "=" + value + " ";
  CAPTURE(c.op, params, c.grid, c.text, c.text_first);
  const OperatorRun run = RunOperator(c, at);
  const TokenLayout layout = LayoutOf(c);
  const auto point = [&](int64_t token, GridPoint* at_point) {
    for (const Segment& segment : layout) {
      if (segment.kind != SegmentKind::kGrid || token < segment.begin ||
          token >= segment.begin + segment.length) {
        continue;
      }
      const int i = static_cast<int>(token) - segment.begin;
      *at_point = {i / (c.grid[1] * c.grid[2]), i / c.grid[2] % c.grid[1], i % c.grid[2]};
      return true;
    }
    return false;
  };
  int64_t pairs = 0;
  const auto token_sees = [&](int64_t q, int64_t k) {
    GridPoint qp, kp;
    return !point(q, &qp) || !point(k, &kp) || sees(qp, kp);
  };
  const int tokens = TokenCount(layout);
  for (int64_t q = 0; q < tokens; ++q) {
    for (int64_t k = 0; k < tokens; ++k) pairs += token_sees(q, k);
  }
  const auto want = reference::Attention(run.q.View(), run.k.View(), run.v.View(),
                                         1 / std::sqrt(double(c.head_dim)), token_sees);
  CHECK(MaxDifference(run.out, want.out) <= 2e-6);
  CHECK(MaxDifference(run.lse, want.lse) <= 4e-6);
  CHECK(run.density == static_cast<double>(pairs) / (double(tokens) * tokens));
}

}  // namespace fovea
