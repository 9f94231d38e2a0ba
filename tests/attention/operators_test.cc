// What every operator of the table promises, asked of each alike. An operator without a row here
// fails.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <set>

#include "attention/attention_op.h"
#include "tensor/machine/threads.h"
#include "tensor/planning_backend.h"
#include "tests/support/operator_case.h"
#include "tests/support/worst.h"

namespace fovea {
namespace {

// Arguments that fit all of kLayouts that the operator serves.
struct Row {
  OperatorSpec op;
  bool serves_text = true;
  // Whether an output is NaN exactly where its row of the matrix has a weight on a key that is NaN.
  bool local = true;
  bool heads_alone = true;  // false: heads choose together
};

const std::vector<Row>& Rows() {
  static const std::vector<Row> rows = {
      {{"dense", {}}},
      {{"window", {}}},
      {{"window", {{"grid", "2x3"}, {"shift", "1x3"}}}},
      {{"window", {{"grid", "3x2"}, {"odd", "resample"}, {"quarter", "1"}}}, false, false},
      {{"clear", {{"r", "3"}}}},
      {{"clear", {{"r", "2"}, {"down", "2"}, {"proportional", "on"}}}},
      {{"gna", {{"window", "5"}, {"stride", "2"}}}},
      {{"gna", {{"window", "3x5"}, {"dilation", "2x1"}, {"causal", "1x0"}}}},
      {{"halo", {{"block", "4x3"}, {"halo", "1x2"}}}},
      {{"radial", {{"model", "2d"}, {"tile", "4x4"}}}},
      {{"agent", {{"agents", "3x2"}}}},
      {{"agentsd", {{"sx", "2"}, {"sy", "2"}, {"ratio", "0.3"}}}, false, false},
      {{"agentsd", {{"sx", "2"}, {"sy", "2"}, {"agents", "1"}}}, false, false},
      {{"agentsd", {{"sx", "2"}, {"sy", "3"}, {"agents", "0.5"}, {"random", "off"}}}, false, false},
      {{"combiner", {{"tile", "4x4"}}}},
      {{"combiner", {{"ring", "1"}, {"tile", "4x3"}}}},
      {{"razor", {{"tile", "4x4"}}}},
      {{"power", {{"window", "0"}, {"tile", "3x3"}, {"rest", "mean"}}}},
      // A head with NaN has nothing to choose by, and sees all.
      {{"sparsed", {{"tile", "4x4"}, {"select", "0.7"}}}, true, false},
      {{"probe", {{"tile", "4x4"}}}, true, false},
      {{"xattn", {{"tile", "4x4"}, {"threshold", "0.5"}}}, true, false},
      {{"sparge", {{"tile", "4x4"}, {"rest", "mean"}}}, true, false},
      {{"draft", {{"tile", "4x4"}}}, true, false},
      {{"svg2", {{"tile", "4x4"}, {"p", "0.4"}, {"rest", "mean"}}}, true, false},
      {{"flexprefill", {{"tile", "4x4"}, {"gamma", "0.5"}}}, true, false},
      {{"sale", {{"tile", "4x4"}, {"tau", "0.1"}, {"ring", "0"}}}, true, false},
      {{"longheads", {{"tile", "4x4"}, {"rest", "mean"}}}, true, false},
      {{"hip", {{"tile", "3x4"}}}, true, false},
      {{"tokenselect", {{"tile", "4x4"}, {"ring", "0"}}}, true, false, false},
      {{"anchor", {{"tile", "4x4"}, {"ring", "0"}, {"theta", "1"}}}, true, false},
      {{"s2", {{"tile", "3x3"}, {"rest", "mean"}}}},
      {{"random", {{"tile", "4x4"}}}},
      {{"flow", {}}},
      {{"lightning", {}}},
      {{"lightning", {{"decay", "on"}}}},
      {{"lightnet", {}}}};
  return rows;
}

constexpr int kHeight = 10, kWidth = 14, kText = 7;

TokenLayout LayoutWith(int text_place) {  // 0: none, 1: before the grid, 2: behind it
  return LayoutOf({"", {}, {1, kHeight, kWidth}, text_place == 0 ? 0 : kText, text_place == 1});
}

HostTensor As(const HostTensor& x, DType dtype) {
  if (dtype == DType::kF32) return x;
  HostTensor out(x.shape(), dtype);
  for (int64_t i = 0; i < x.NumElements(); ++i) {
    out.Data<BFloat16>()[i] = ToBFloat16(x.Data<float>()[i]);
  }
  return out;
}

// Tensors of one call, and the operator on any part of them.
struct Call {
  Call(const OperatorSpec& text, int text_place, int heads, int dim, DType dtype = DType::kF32)
      : op(BindOperator(text)) {
    spec.batch = 2, spec.heads = heads, spec.head_dim = dim;
    spec.q = spec.kv = LayoutWith(text_place);
    spec.dtype = dtype;
    const Shape shape{2, TokenCount(spec.q), heads, dim};
    q = As(RandomNormal(shape, 1), dtype), k = As(RandomNormal(shape, 2), dtype);
    v = As(RandomNormal(shape, 3), dtype);
    hidden = As(RandomNormal({2, shape[1], 24}, 4), dtype);
  }

  OperatorIo Io(const Tensor& out) const {
    OperatorIo io{{q.View(), k.View(), v.View(), out}};
    io.hidden = hidden.View();
    io.at = {3, 10, 11, 5, 0};
    return io;
  }
  // The outputs of all, all heads of `samples` and `heads` alone being run.
  HostTensor Run(int first_sample, int samples, int first_head, int heads,
                 HostTensor* lse = nullptr) {
    HostTensor out(q.shape(), spec.dtype);
    std::memset(out.data(), 0xff, out.Bytes());  // NaN
    Run(Io(out.View()), first_sample, samples, first_head, heads, lse);
    return out;
  }
  void Run(OperatorIo io, int first_sample, int samples, int first_head, int heads,
           HostTensor* lse = nullptr) {
    AttentionSpec some = spec;
    some.batch = samples, some.heads = heads;
    const auto prepared = op->Prepare(some);
    if (lse != nullptr && prepared->HasLse()) {
      *lse = HostTensor({2, spec.heads, q.shape()[1]}, DType::kF32);
      std::fill_n(lse->Data<float>(), lse->NumElements(), NAN);
      io.lse = lse->View().Slice(0, first_sample, samples).Slice(1, first_head, heads);
    }
    for (Tensor* x : {&io.q, &io.k, &io.v, &io.out}) {
      *x = x->Slice(0, first_sample, samples).Slice(2, first_head, heads);
    }
    io.hidden = io.hidden.Slice(0, first_sample, samples);
    io.first_head = first_head;
    io.layer_heads = spec.heads;
    Arena arena(*backend, 64 << 20);
    Context ctx{*backend, arena};
    io.maps = prepared->ChooseTiles(ctx, io, nullptr);
    prepared->Run(ctx, io);
    peak = arena.PeakBytes();
  }
  HostTensor Run(HostTensor* lse = nullptr) { return Run(0, 2, 0, spec.heads, lse); }

  std::shared_ptr<const BoundOp> op;
  AttentionSpec spec;
  HostTensor q, k, v, hidden;
  std::unique_ptr<Backend> backend = MakeCpuBackend();
  size_t peak = 0;
};

template <class Body>
void ForEachCase(const Body& body) {
  for (const Row& row : Rows()) {
    for (const int text_place : {0, 1, 2}) {
      if (text_place != 0 && !row.serves_text) continue;
      CAPTURE(row.op.Text(), text_place);
      body(row, text_place);
    }
  }
}

bool SameBytes(const HostTensor& a, const HostTensor& b) {
  if (a.shape().rank == 0 || b.shape().rank == 0) return a.shape().rank == b.shape().rank;
  return a.Bytes() == b.Bytes() && std::memcmp(a.data(), b.data(), a.Bytes()) == 0;
}

// Of all magnitudes: operators without a normaliser have any size.
double Largest(const HostTensor& x) {
  Worst worst;
  const HostTensor f32 = x.ToF32();
  for (int64_t i = 0; i < f32.NumElements(); ++i) worst.Add(f32.Data<float>()[i], 0);
  return worst.Value();
}

// The largest difference; NaN if any is.
double Difference(const HostTensor& a, const HostTensor& b) {
  Worst worst;
  const HostTensor x = a.ToF32(), y = b.ToF32();
  for (int64_t i = 0; i < x.NumElements(); ++i) worst.Add(x.Data<float>()[i], y.Data<float>()[i]);
  return worst.Value();
}

// Rows of one head of one sample: (t,t).
std::vector<float> RowsOf(Call& call, Context& ctx, PreparedAttention& prepared, int64_t b,
                          int64_t h) {
  HostTensor none(call.q.shape(), call.spec.dtype);
  OperatorIo io = call.Io(none.View());
  io.maps = prepared.ChooseTiles(ctx, io, nullptr);
  const auto matrix = prepared.Matrix(ctx, io);
  std::vector<int32_t> all(static_cast<size_t>(matrix->Queries()));
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int32_t>(i);
  std::vector<float> rows(all.size() * all.size());
  matrix->Rows(b, h, all, rows.data());
  return rows;
}

TEST_CASE("every operator of the table has a row here") {
  std::set<std::string_view> asked, there;
  for (const Row& row : Rows()) asked.insert(row.op.name);
  for (const AttentionOp* op : AttentionOps()) there.insert(op->Name());
  CHECK(asked == there);
}

TEST_CASE(
    "operators serve what their row says, and refuse cross-attention and more with a reason") {
  for (const Row& row : Rows()) {
    CAPTURE(row.op.Text());
    const auto op = BindOperator(row.op);
    CHECK(op->Text() == row.op.Text());
    AttentionSpec spec;
    for (const int text_place : {0, 1, 2}) {
      spec.q = spec.kv = LayoutWith(text_place);
      const Support support = op->Supports(spec);
      CHECK(support.ok == (text_place == 0 || row.serves_text));
      CHECK(support.ok == support.reason.empty());
    }
    spec.dtype = DType::kF16;
    CHECK(op->Supports(spec).reason.find("f16") != std::string::npos);
    spec.dtype = DType::kF32;
    spec.kv = TextLayout(77);
    CHECK(op->Supports(spec).ok == op->Traits().cross);
    OpParams unknown = row.op.params;
    unknown.emplace_back("no_such", "1");
    CHECK_THROWS_AS(BindOperator({row.op.name, unknown}), Error);
  }
}

TEST_CASE("rows times values are the output, for heads 8 to 256 wide and text on either side") {
  ForEachCase([](const Row& row, int text_place) {
    for (const int dim : {8, 24, 40, 256}) {
      CAPTURE(dim);
      Call call(row.op, text_place, 2, dim);
      const HostTensor out = call.Run();
      Arena arena(*call.backend, 64 << 20);
      Context ctx{*call.backend, arena};
      const auto prepared = call.op->Prepare(call.spec);
      const int64_t t = out.shape()[1];
      Worst worst;
      for (int64_t h = 0; h < 2; ++h) {
        const std::vector<float> rows = RowsOf(call, ctx, *prepared, 1, h);
        for (int64_t i = 0; i < t; i += 5) {
          for (int64_t c = 0; c < dim; ++c) {
            double sum = 0;
            for (int64_t j = 0; j < t; ++j) {
              sum += double(rows[static_cast<size_t>(i * t + j)]) *
                     reference::At(call.v.View(), {1, j, h, c});
            }
            worst.Add(reference::At(out.View(), {1, i, h, c}), sum);
          }
        }
      }
      CHECK(worst.Value() <= 4e-6 * std::max(1.0, Largest(out) / 4));
    }
  });
}

TEST_CASE("samples and heads alone, strides and threads give the same bytes") {
  ForEachCase([](const Row& row, int text_place) {
    Call call(row.op, text_place, 3, 16);
    HostTensor lse, other_lse;
    const HostTensor out = call.Run(&lse);
    HostTensor parts(out.shape(), DType::kF32);
    for (int b = 0; b < 2; ++b) {
      for (const auto& [first, heads] : {std::pair{0, 1}, {1, 2}}) {
        if (row.heads_alone) call.Run(call.Io(parts.View()), b, 1, first, heads);
      }
      if (!row.heads_alone) call.Run(call.Io(parts.View()), b, 1, 0, 3);
    }
    CHECK(SameBytes(parts, out));
    // q, k and v as a fused projection leaves them, the output among other tensors' rows.
    const int64_t t = out.shape()[1];
    HostTensor fused({2, t, 9, 16}, DType::kF32), wide({2, t, 5, 16}, DType::kF32);
    const auto copy = [&](const HostTensor& from, int64_t place) {
      const Tensor to = fused.View().Slice(2, place, 3);
      for (int64_t i = 0; i < 2 * t; ++i) {
        std::memcpy(to.Data<float>() + i * to.stride[1], from.Data<float>() + i * 48, 48 * 4);
      }
      return to;
    };
    OperatorIo io = call.Io(wide.View().Slice(2, 1, 3));
    io.q = copy(call.q, 0), io.k = copy(call.k, 3), io.v = copy(call.v, 6);
    call.Run(io, 0, 2, 0, 3);
    HostTensor gathered(out.shape(), DType::kF32);
    for (int64_t i = 0; i < 2 * t; ++i) {
      std::memcpy(gathered.Data<float>() + i * 48, wide.Data<float>() + i * 80 + 16, 48 * 4);
    }
    CHECK(SameBytes(gathered, out));
    const int threads = NumThreads();
    for (const int count : {1, 3}) {
      SetNumThreads(count);
      CHECK(SameBytes(call.Run(&other_lse), out));
      CHECK(SameBytes(other_lse, lse));
    }
    SetNumThreads(threads);
  });
}

TEST_CASE("a dry run takes the scratch of a real one and counts its work") {
  ForEachCase([](const Row& row, int text_place) {
    Call call(row.op, text_place, 2, 24);
    const HostTensor out = call.Run();
    const size_t real = call.peak;
    const auto planning = MakePlanningBackend(*call.backend);
    Arena arena(*planning, kPlanningArenaBytes);
    Context ctx{*planning, arena};
    const auto prepared = call.op->Prepare(call.spec);
    OperatorIo io = call.Io(out.View());
    io.maps = prepared->ChooseTiles(ctx, io, nullptr);
    prepared->Run(ctx, io);
    CHECK(arena.PeakBytes() == real);
    CHECK(planning->TotalCost().flops > 0);
  });
}

TEST_CASE("bf16 stays as near to f32 as its roundings are") {
  ForEachCase([](const Row& row, int text_place) {
    Call exact(row.op, text_place, 2, 40), rounded(row.op, text_place, 2, 40, DType::kBF16);
    for (auto [to, from] : {std::pair{&exact.q, &rounded.q},
                            {&exact.k, &rounded.k},
                            {&exact.v, &rounded.v},
                            {&exact.hidden, &rounded.hidden}}) {
      *to = from->ToF32();
    }
    // Outputs below 4 have steps of 2^-6 at most; what operators store in between is rounded, too.
    const HostTensor want = exact.Run();
    CHECK(Difference(rounded.Run(), want) <= 4e-2 * std::max(1.0, Largest(want) / 4));
  });
}

TEST_CASE("NaN in one key reaches all who see it and nobody else") {
  ForEachCase([](const Row& row, int text_place) {
    Call call(row.op, text_place, 2, 16);
    const HostTensor clean = call.Run();
    Arena arena(*call.backend, 64 << 20);
    Context ctx{*call.backend, arena};
    const auto prepared = call.op->Prepare(call.spec);
    const int64_t t = clean.shape()[1], key = 83;
    const std::vector<float> rows = RowsOf(call, ctx, *prepared, 0, 1);
    // Of head 1 of sample 0.
    std::fill_n(call.k.Data<float>() + (key * 2 + 1) * 16, 16, NAN);
    const HostTensor out = call.Run();
    int64_t seers = 0;
    for (int64_t b = 0; b < 2; ++b) {
      for (int64_t h = 0; h < 2; ++h) {
        for (int64_t i = 0; i < t; ++i) {
          const auto at = static_cast<size_t>(((b * t + i) * 2 + h) * 16);
          const float *got = out.Data<float>() + at, *was = clean.Data<float>() + at;
          const bool sees = b == 0 && h == 1 && rows[static_cast<size_t>(i * t + key)] != 0;
          seers += sees;
          bool all_nan = true, same = std::memcmp(got, was, 16 * sizeof(float)) == 0;
          for (int c = 0; c < 16; ++c) all_nan = all_nan && std::isnan(got[c]);
          CAPTURE(b, h, i);
          if (sees && !all_nan) CHECK(all_nan);
          if (!sees && !same && (row.local || b != 0 || (h != 1 && row.heads_alone))) CHECK(same);
        }
      }
    }
    CHECK(seers > 0);
  });
}

}  // namespace
}  // namespace fovea
