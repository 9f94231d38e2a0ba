// Rows times values are the output, for every operator, alone and sharing a layer.
#include "attention/probe/call_matrix.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "attention/attention_runtime.h"
#include "attention/probe/kept_attention.h"
#include "attention/probe/matrix_passes.h"
#include "tests/support/operator_case.h"
#include "tests/support/worst.h"

namespace fovea {
namespace {

struct Shaped {
  TokenLayout q, kv;
  SiteKind kind = SiteKind::kSelf;
  bool causal = false;
  DType dtype = DType::kF32;
};

TokenLayout WithText(int text, int height, int width, bool text_first) {
  OperatorCase c;
  c.grid = {1, height, width};
  c.text = text;
  c.text_first = text_first;
  return LayoutOf(c);
}

HostTensor As(const HostTensor& x, DType dtype) {
  if (dtype == DType::kF32) return x;
  HostTensor out(x.shape(), dtype);
  for (int64_t i = 0; i < x.NumElements(); ++i) {
    out.Data<BFloat16>()[i] = ToBFloat16(x.Data<float>()[i]);
  }
  return out;
}

// One site of a run with listeners.
struct Layer final : AttentionListener {
  static constexpr int kBatch = 2, kHeads = 4, kDim = 16;
  explicit Layer(const Shaped& shaped) : shape(shaped) {
    spec.batch = kBatch, spec.heads = kHeads, spec.head_dim = kDim;
    spec.q = shaped.q, spec.kv = shaped.kv;
    spec.causal = shaped.causal;
    spec.dtype = shaped.dtype;
    sites = {{"block.3.attn1", 0, shaped.kind, kHeads, kDim, shaped.q}};
    const int64_t t = TokenCount(spec.q), n = TokenCount(spec.kv);
    q = As(RandomNormal({kBatch, t, kHeads, kDim}, 1, 1.5f), shaped.dtype);
    k = As(RandomNormal({kBatch, n, kHeads, kDim}, 2), shaped.dtype);
    v = As(RandomNormal({kBatch, n, kHeads, kDim}, 3), shaped.dtype);
    hidden = As(RandomNormal({kBatch, t, 24}, 4), shaped.dtype);
  }

  HostTensor Run(const std::string& plan, bool listens, const Perturbation& perturbation = {}) {
    AttentionRuntime runtime(AttentionPlan::Parse(plan), sites, 10, {7, 8});
    if (listens) runtime.SetListeners({this, nullptr});
    runtime.BeginStep(3, 10);
    runtime.SetPerturbation(BranchKind::kConditional, perturbation);
    HostTensor out(q.shape(), shape.dtype);
    AttentionIo io{q.View(), k.View(), v.View(), out.View()};
    io.hidden = hidden.View();
    io.weights = weights;
    runtime.Attend(ctx, sites[0], spec, io);
    return out;
  }

  // Relative error of rows times values against the output.
  double ErrorOf(const AttentionMatrix& matrix, const Tensor& values, const Tensor& out) const {
    Worst worst;
    for (int64_t b = 0; b < matrix.Samples(); ++b) {
      for (int64_t h = 0; h < kHeads; ++h) {
        std::vector<double> got(static_cast<size_t>(matrix.Queries() * kDim));
        ForEachRow(matrix, b, h, AllQueries(matrix.Queries()),
                   [&](int, int32_t query, std::span<const float> row) {
                     for (size_t j = 0; j < row.size(); ++j) {
                       for (int64_t c = 0; c < kDim; ++c) {
                         got[static_cast<size_t>(query * kDim + c)] +=
                             static_cast<double>(row[j]) *
                             reference::At(values, {b, static_cast<int64_t>(j), h, c});
                       }
                     }
                   });
        for (int64_t t = 0; t < matrix.Queries(); ++t) {
          for (int64_t c = 0; c < kDim; ++c) {
            worst.Add(got[static_cast<size_t>(t * kDim + c)], reference::At(out, {b, t, h, c}));
          }
        }
      }
    }
    return worst.Relative();
  }

  void Attended(Context& context, const AttentionCall& call) override {
    ++calls;
    const auto matrix = MatrixOf(context, call);
    error = ErrorOf(*matrix, call.io.v, call.io.out);
    // Columns are the rows' columns; the first and last key, and one between.
    const auto last = static_cast<int32_t>(matrix->Keys() - 1);
    const std::vector<int32_t> keys{0, last / 2, last};
    std::vector<float> columns(static_cast<size_t>(matrix->Queries()) * keys.size());
    std::vector<float> rows(static_cast<size_t>(matrix->Queries() * matrix->Keys()));
    Worst worst;
    for (int64_t h = 0; h < kHeads; ++h) {
      matrix->Columns(1, h, keys, columns.data());
      matrix->Rows(1, h, AllQueries(matrix->Queries()), rows.data());
      for (int64_t t = 0; t < matrix->Queries(); ++t) {
        for (size_t i = 0; i < keys.size(); ++i) {
          worst.Add(columns[static_cast<size_t>(t) * keys.size() + i],
                    rows[static_cast<size_t>(t * matrix->Keys() + keys[i])]);
        }
      }
    }
    column_error = worst.Value();
    // A kept second sample gives the same rows, to the last bit.
    const KeptAttention kept(context, call, {.first_sample = 1, .values = true});
    CHECK(kept.Bytes() == KeptAttention::BytesOf(call, {.first_sample = 1, .values = true}) +
                              (weights == nullptr ? 0 : weight_bytes));
    std::vector<float> again(rows.size());
    const AttentionMatrix& later = kept.Matrix(context);
    later.Rows(0, kHeads - 1, AllQueries(matrix->Queries()), again.data());
    CHECK(std::memcmp(again.data(), rows.data(), rows.size() * sizeof(float)) == 0);
    // Queries one by one, in another order, are the same rows.
    const auto count = static_cast<int32_t>(matrix->Queries());
    for (const int32_t query : {last % count, 1 % count, 0}) {
      std::vector<float> row(static_cast<size_t>(matrix->Keys()));
      matrix->Rows(1, kHeads - 1, {&query, 1}, row.data());
      for (size_t j = 0; j < row.size(); ++j) {
        const float want = rows[static_cast<size_t>(query) * row.size() + j];
        if (!(std::abs(row[j] - want) <= 2e-6f)) FAIL("row " << query << " key " << j);
      }
    }
  }

  Shaped shape;
  AttentionSpec spec;
  std::vector<AttentionSite> sites;
  HostTensor q, k, v, hidden;
  const std::map<std::string, Tensor>* weights = nullptr;
  size_t weight_bytes = 0;
  std::unique_ptr<Backend> backend = MakeCpuBackend();
  Arena arena{*backend, 64 << 20};
  Context ctx{*backend, arena};
  double error = NAN, column_error = NAN;
  int calls = 0;
};

// Runs with and without a listener: the bytes must be the same and rows must give the output.
void Check(const Shaped& shaped, const std::string& plan, const Perturbation& perturbation = {}) {
  CAPTURE(plan, TokenCount(shaped.q), TokenCount(shaped.kv), static_cast<int>(shaped.dtype));
  Layer layer(shaped);
  const HostTensor off = layer.Run(plan, false, perturbation),
                   on = layer.Run(plan, true, perturbation);
  CHECK(std::memcmp(off.data(), on.data(), on.Bytes()) == 0);
  CHECK(layer.calls == 1);
  // bf16: outputs, and what operators store in between, have 8 bits.
  CHECK(layer.error <= (shaped.dtype == DType::kF32 ? 4e-6 : 2e-2));
  // The kernel's log-sum-exps in bf16 are of rounded products.
  CHECK(layer.column_error <= (shaped.dtype == DType::kF32 ? 2e-6 : 5e-4));
}

const char* const kSelfPlans[] = {"",
                                  "*: window",
                                  "*: window(shift=1x3)",
                                  "*: window(grid=3x2,odd=resample,quarter=1)",
                                  "*: clear(r=3)",
                                  "*: clear(r=2,down=2,proportional=on)",
                                  "*: gna(window=5,stride=2)",
                                  "*: gna(window=3x5,dilation=2x1)",
                                  "*: halo(block=4x3,halo=1x2)",
                                  "*: radial(model=2d,tile=4x4)",
                                  "*: agent(agents=3)",
                                  "*: agentsd",
                                  "*: agentsd(sx=2,sy=2,ratio=0.3)",
                                  "*: agentsd(sx=2,sy=2,agents=0.5,random=off)",
                                  "*#0: clear(r=2); *#1-2: agentsd(sx=2,sy=2,agents=1); "
                                  "*#3: window"};

TEST_CASE("rows times values are the output of every operator on a grid") {
  for (const auto& [height, width] : {std::pair{8, 8}, {10, 14}, {20, 12}}) {
    const Shaped grid{GridLayout(height, width), GridLayout(height, width)};
    for (const char* plan : kSelfPlans) Check(grid, plan);
  }
}

TEST_CASE("rows times values are the output in bf16") {
  Shaped grid{GridLayout(10, 14), GridLayout(10, 14)};
  grid.dtype = DType::kBF16;
  for (const char* plan : kSelfPlans) Check(grid, plan);
}

TEST_CASE("rows times values are the output with text before or after the grid") {
  for (const bool text_first : {true, false}) {
    const TokenLayout layout = WithText(7, 10, 14, text_first);
    for (const char* plan :
         {"", "*: window", "*: clear(r=3)", "*: clear(r=2,down=2)", "*: gna(window=5)",
          "*: halo(block=4,halo=2)", "*: radial(model=2d,tile=4x4)", "*: agent(agents=3x2)",
          "*#1: clear(r=2) ; *#2: agent(agents=2)"}) {
      Check({layout, layout, SiteKind::kJoint}, plan);
    }
  }
}

TEST_CASE("rows times values are the output of cross and causal attention") {
  Check({GridLayout(9, 7), TextLayout(77), SiteKind::kCross}, "");
  Check({GridLayout(1, 1), TextLayout(1), SiteKind::kCross}, "");
  Check({TextLayout(77), TextLayout(77), SiteKind::kSelf, true}, "");
}

TEST_CASE("rows times values are the output of perturbed heads") {
  const TokenLayout grid = GridLayout(8, 8), text_first = WithText(7, 10, 14, true),
                    text_last = WithText(7, 10, 14, false);
  for (const PerturbKind kind :
       {PerturbKind::kIdentity, PerturbKind::kUniform, PerturbKind::kZero, PerturbKind::kMeanQuery,
        PerturbKind::kBlur, PerturbKind::kOperator}) {
    for (const PerturbScope scope :
         {PerturbScope::kAll, PerturbScope::kImagePure, PerturbScope::kImageRenorm}) {
      if (scope == PerturbScope::kImageRenorm && kind != PerturbKind::kIdentity) continue;
      CAPTURE(static_cast<int>(kind), static_cast<int>(scope));
      const Perturbation perturbation{kind,
                                      scope,
                                      1.5,
                                      {"halo", {{"block", "4"}}},
                                      {{0, {0}, 1}, {0, {1, 3}, 0.375f}, {0, {2}, 0}}};
      for (const TokenLayout& layout : {grid, text_first, text_last}) {
        Shaped shaped{layout, layout};
        Check(shaped, "", perturbation);
        Check(shaped, "*#1: clear(r=3); *#2-3: agent(agents=3)", perturbation);
      }
      Shaped shaped{grid, grid};
      shaped.dtype = DType::kBF16;
      Check(shaped, "*#1: window; *#3: agentsd(sx=2,sy=2)", perturbation);
    }
  }
}

TEST_CASE("rows of a trained agent layer give its output less the convolution") {
  const Shaped grid{GridLayout(6, 8), GridLayout(6, 8)};
  Layer layer(grid);
  layer.sites[0].trained = "agent(agents=2x2)";
  std::map<std::string, HostTensor> owned;
  owned["agent.bias"] = RandomNormal({Layer::kHeads, 4, 48}, 11);
  owned["query.bias"] = RandomNormal({Layer::kHeads, 48, 4}, 12);
  owned["dwc.weight"] = HostTensor({Layer::kHeads * Layer::kDim, 1, 3, 3}, DType::kF32);
  owned["dwc.bias"] = HostTensor({Layer::kHeads * Layer::kDim}, DType::kF32);
  std::map<std::string, Tensor> weights;
  for (const auto& [name, tensor] : owned) {
    weights[name] = tensor.View();
    layer.weight_bytes += tensor.Bytes();
  }
  layer.weights = &weights;
  layer.Run("", true);
  CHECK(layer.error <= 4e-6);
}

TEST_CASE("a listener may change what heads put out") {
  struct Zero final : AttentionListener {
    void Attended(Context&, const AttentionCall& call) override {
      std::memset(call.io.out.data, 0, call.io.out.Bytes());
    }
  } zero;
  Layer layer({GridLayout(4, 4), GridLayout(4, 4)});
  AttentionRuntime runtime;
  runtime.SetListeners({&zero});
  HostTensor out = RandomNormal(layer.q.shape(), 5);
  runtime.Attend(layer.ctx, layer.sites[0], layer.spec,
                 {layer.q.View(), layer.k.View(), layer.v.View(), out.View()});
  CHECK(std::all_of(out.Data<float>(), out.Data<float>() + out.NumElements(),
                    [](float x) { return x == 0; }));
}

}  // namespace
}  // namespace fovea
