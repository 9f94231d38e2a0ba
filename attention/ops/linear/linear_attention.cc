#include "attention/ops/linear/linear_attention.h"

#include <algorithm>
#include <cmath>

#include "attention/kernels/element.h"
#include "attention/kernels/head_rows.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

LinearFeatures FeaturesOf(const LinearForm& form, const OperatorIo& io, int64_t sample,
                          int64_t head) {
  LinearHead one{.tokens = io.q.shape[1],
                 .dim = io.q.shape[3],
                 .layer_head = io.first_head + static_cast<int>(head),
                 .layer_heads = io.LayerHeads()};
  one.q = HeadRows(io.q, sample, head), one.k = HeadRows(io.k, sample, head);
  return form.Of(one);
}

// state (d, d) += k vT, or out (d) += q state.
void AddOuter(const double* k, const float* v, size_t d, std::vector<double>& state) {
  for (size_t a = 0; a < d; ++a) {
    for (size_t c = 0; c < d; ++c) state[a * d + c] += k[a] * double(v[c]);
  }
}
void AddProduct(const double* q, const std::vector<double>& state, size_t d, double* out) {
  for (size_t a = 0; a < d; ++a) {
    for (size_t c = 0; c < d; ++c) out[c] += q[a] * state[a * d + c];
  }
}

// (tokens, d): the operator's output for one head.
std::vector<double> Output(const LinearFeatures& f, const std::vector<float>& v, size_t d) {
  const size_t tokens = v.size() / d;
  std::vector<double> out(v.size()), state(d * d);
  if (f.decay == 1) {
    for (size_t j = 0; j < tokens; ++j) AddOuter(&f.k[j * d], &v[j * d], d, state);
    for (size_t i = 0; i < tokens; ++i) AddProduct(&f.q[i * d], state, d, &out[i * d]);
    return out;
  }
  // Tokens up to the own one, then those behind it: two recurrences.
  const auto fade = [&] {
    for (double& x : state) x *= f.decay;
  };
  for (size_t i = 0; i < tokens; ++i) {
    fade();
    AddOuter(&f.k[i * d], &v[i * d], d, state);
    AddProduct(&f.q[i * d], state, d, &out[i * d]);
  }
  state.assign(d * d, 0);
  for (size_t i = tokens; i-- > 1;) {
    AddOuter(&f.k[i * d], &v[i * d], d, state);
    fade();
    AddProduct(&f.q[(i - 1) * d], state, d, &out[(i - 1) * d]);
  }
  return out;
}

class LinearMatrix final : public AttentionMatrix {
 public:
  LinearMatrix(const LinearForm& form, const OperatorIo& io)
      : AttentionMatrix(io.q.shape[0], io.q.shape[2], io.q.shape[1], io.k.shape[1]),
        dim_(static_cast<size_t>(io.q.shape[3])),
        features_(static_cast<size_t>(Samples() * Heads())) {
    ParallelFor(Samples() * Heads(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        features_[static_cast<size_t>(i)] = FeaturesOf(form, io, i / Heads(), i % Heads());
      }
    });
  }

  void Rows(int64_t sample, int64_t head, std::span<const int32_t> queries,
            float* rows) const override {
    const LinearFeatures& f = features_[static_cast<size_t>(sample * Heads() + head)];
    const auto keys = static_cast<size_t>(Keys());
    for (size_t n = 0; n < queries.size(); ++n) {
      const auto i = static_cast<size_t>(queries[n]);
      for (size_t j = 0; j < keys; ++j) {
        double sum = 0;
        for (size_t c = 0; c < dim_; ++c) sum += f.q[i * dim_ + c] * f.k[j * dim_ + c];
        const double distance = i > j ? double(i - j) : double(j - i);
        if (f.decay != 1) sum *= std::pow(f.decay, distance);
        rows[n * keys + j] = static_cast<float>(sum);
      }
    }
  }

 private:
  size_t dim_;
  std::vector<LinearFeatures> features_;
};

class PreparedLinear final : public PreparedAttention {
 public:
  PreparedLinear(const AttentionSpec& spec, const LinearForm& form)
      : form_(form), share_(double(spec.head_dim) / double(TokenCount(spec.q))) {}

  bool HasLse() const override { return false; }
  double PairShare() const override { return std::min(1.0, share_); }

  void Run(Context& ctx, const OperatorIo& io, OpState*) override {
    ENSURE(io.lse.Empty(), "linear attention has no lse");
    const int64_t heads = io.q.shape[2], all = io.q.shape[0] * heads, d = io.q.shape[3];
    ctx.backend.CountFlops(4.0 * double(all) * double(io.q.shape[1]) * double(d) * double(d));
    if (ctx.backend.IsPlanning()) return;
    const bool bf16 = io.out.dtype == DType::kBF16;
    ParallelFor(all, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t sample = i / heads, head = i % heads;
        const auto out = Output(FeaturesOf(form_, io, sample, head), HeadRows(io.v, sample, head),
                                static_cast<size_t>(d));
        for (int64_t t = 0; t < io.out.shape[1]; ++t) {
          const int64_t to =
              sample * io.out.stride[0] + t * io.out.stride[1] + head * io.out.stride[2];
          for (int64_t c = 0; c < d; ++c) {
            StoreElement(io.out.data, to + c, bf16,
                         static_cast<float>(out[static_cast<size_t>(t * d + c)]));
          }
        }
      }
    });
  }

  std::unique_ptr<AttentionMatrix> Matrix(Context&, const OperatorIo& io) override {
    return std::make_unique<LinearMatrix>(form_, io);
  }

 private:
  const LinearForm& form_;
  double share_;
};

class BoundLinear final : public BoundOp {
 public:
  BoundLinear(OperatorSpec spec, std::unique_ptr<const LinearForm> form)
      : BoundOp(std::move(spec), {}), form_(std::move(form)) {}

  Support Supports(const AttentionSpec& spec) const override {
    const std::string& name = Spec().name;
    if (spec.device != DeviceKind::kCpu) return {false, name + " runs on the CPU alone"};
    if (!SameLayout(spec.q, spec.kv)) {
      return {false, name + " needs queries and keys of one sequence; this is cross-attention"};
    }
    if (spec.causal) return {false, name + " does not serve causal attention"};
    if (spec.dtype == DType::kF32 || spec.dtype == DType::kBF16) return {};
    return {false, name + " computes in f32 or bf16, not " + std::string(Name(spec.dtype))};
  }
  std::unique_ptr<PreparedAttention> Prepare(const AttentionSpec& spec) const override {
    return std::make_unique<PreparedLinear>(spec, *form_);
  }

 private:
  std::unique_ptr<const LinearForm> form_;
};

class Linear final : public AttentionOp {
 public:
  explicit Linear(const LinearEntry& entry) : entry_(entry) {}
  std::string_view Name() const override { return entry_.name; }
  OpAbout About() const override { return entry_.about; }
  std::span<const OpArg> Args() const override { return entry_.args; }
  std::unique_ptr<const BoundOp> Bind(const OpParams& params) const override {
    return std::make_unique<BoundLinear>(OperatorSpec{std::string(Name()), params},
                                         entry_.bind(OpArgs(Name(), entry_.args, params)));
  }

 private:
  const LinearEntry& entry_;
};

}  // namespace

std::unique_ptr<const AttentionOp> LinearAttention(const LinearEntry& entry) {
  return std::make_unique<Linear>(entry);
}

}  // namespace fovea
