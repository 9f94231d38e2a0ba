// Times attention operators on request: one line in, one line out, so that a script can alternate
// it with another implementation on the same machine (bench/attention_torch.py does).
//
// in:  DTYPE LAYOUT BATCH HEADS HEAD_DIM ROWSxCOLUMNS KV RUNS OPERATOR
//      f32 bthd 2 8 40 64x64 0 5 clear(r=16)      LAYOUT bthd or bhtd in memory; KV 0: self
// out: MEDIAN_MS BEST_MS GFLOPS VISITED_SHARE PREPARE_MS      GFLOP/s of visited pairs, at the best
// in:  peak DTYPE     out: GFLOP/s
#include <algorithm>
#include <chrono>
#include <iostream>
#include <random>
#include <sstream>

#include "attention/attention_op.h"
#include "attention/plans/plan.h"
#include "attention/tiles/tile_map.h"
#include "attention/tiles/token_layout.h"
#include "tensor/machine/cpu_info.h"
#include "tensor/memory/host_tensor.h"

namespace fovea {
namespace {

double Now() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::milli>(now).count();
}

HostTensor Random(const Shape& shape, DType dtype, uint32_t seed) {
  HostTensor x(shape, dtype);
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0, 1);
  for (int64_t i = 0; i < x.NumElements(); ++i) {
    const float value = normal(generator);
    if (dtype == DType::kF32) {
      x.Data<float>()[i] = value;
    } else {
      x.Data<BFloat16>()[i] = ToBFloat16(value);
    }
  }
  return x;
}

struct Request {
  std::string dtype, layout, grid, op;
  int batch = 0, heads = 0, d = 0, kv = 0, runs = 0;
};

std::string Answer(const Request& r) {
  int rows = 0, columns = 0;
  char cross = 0;
  std::istringstream(r.grid) >> rows >> cross >> columns;
  AttentionSpec spec;
  spec.batch = r.batch, spec.heads = r.heads, spec.head_dim = r.d;
  spec.q = GridLayout(rows, columns);
  spec.kv = r.kv == 0 ? spec.q : TextLayout(r.kv);
  spec.dtype = r.dtype == "bf16" ? DType::kBF16 : DType::kF32;
  const bool heads_outside = r.layout == "bhtd";
  const auto shape = [&](int tokens) {
    return heads_outside ? Shape{r.batch, r.heads, tokens, r.d}
                         : Shape{r.batch, tokens, r.heads, r.d};
  };
  const auto view = [&](const HostTensor& x) {
    return heads_outside ? x.View().Permute({0, 2, 1, 3}) : x.View();
  };
  const int tokens = TokenCount(spec.q), keys = TokenCount(spec.kv);
  const HostTensor q = Random(shape(tokens), spec.dtype, 1), k = Random(shape(keys), spec.dtype, 2),
                   v = Random(shape(keys), spec.dtype, 3), out(shape(tokens), spec.dtype);
  const OperatorIo io{{view(q), view(k), view(v), view(out)}};
  const auto op = BindOperator(ParseOperator(r.op));
  const Support support = op->Supports(spec);
  if (!support.ok) return "refused: " + support.reason;

  const double before_prepare = Now();
  const auto prepared = op->Prepare(spec);
  const double prepare_ms = Now() - before_prepare;
  const auto backend = MakeCpuBackend();
  Arena arena(*backend, size_t{512} << 20);
  Context ctx{*backend, arena};
  prepared->Run(ctx, io);
  std::vector<double> ms;
  for (int run = 0; run < r.runs; ++run) {
    const double begin = Now();
    prepared->Run(ctx, io);
    ms.push_back(Now() - begin);
  }
  std::sort(ms.begin(), ms.end());
  const double pairs =
      prepared->Map() != nullptr ? static_cast<double>(prepared->Map()->visited_pairs) : 0;
  const double flops = 4.0 * pairs * r.batch * r.heads * r.d;
  std::ostringstream line;
  line << ms[ms.size() / 2] << ' ' << ms[0] << ' ' << flops / ms[0] * 1e-6 << ' '
       << (prepared->Map() != nullptr ? prepared->Map()->VisitedShare() : 0) << ' ' << prepare_ms;
  return line.str();
}

int Serve() {
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream words(line);
    Request r;
    words >> r.dtype;
    if (r.dtype == "peak") {
      words >> r.dtype;
      std::cout << MeasurePeakGflops(r.dtype == "bf16" ? DType::kBF16 : DType::kF32) << std::endl;
      continue;
    }
    words >> r.layout >> r.batch >> r.heads >> r.d >> r.grid >> r.kv >> r.runs >> r.op;
    std::cout << (words ? Answer(r) : "not understood: " + line) << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace fovea

int main() {
  return fovea::Serve();
}
