#include "attention/probe/kept_attention.h"

#include <algorithm>
#include <cstring>

#include "attention/probe/call_matrix.h"
#include "tensor/threads.h"

namespace fovea {
namespace {

// Samples [first, first + count) of x (b,t,heads,d) as (count,heads,t,d), dense: keys of one head
// then lie side by side.
HostTensor ByHeads(const Tensor& x, int64_t first, int64_t count) {
  HostTensor copy({count, x.shape[2], x.shape[1], x.shape[3]}, x.dtype);
  const auto size = static_cast<int64_t>(SizeOf(x.dtype));
  const int64_t heads = x.shape[2], tokens = x.shape[1], row = x.shape[3] * size;
  ParallelFor(count * heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto* from = static_cast<const std::byte*>(x.data) +
                         ((first + i / heads) * x.stride[0] + i % heads * x.stride[2]) * size;
      auto* to = static_cast<std::byte*>(copy.View().data) + i * tokens * row;
      for (int64_t t = 0; t < tokens; ++t) {
        std::memcpy(to + t * row, from + t * x.stride[1] * size, static_cast<size_t>(row));
      }
    }
  });
  return copy;
}

// Back to (b,t,heads,d), as a view.
Tensor ByTokens(const HostTensor& x) {
  return x.View().Permute({0, 2, 1, 3});
}

HostTensor RowsOf(const Tensor& x, int64_t first, int64_t count) {
  if (x.Empty()) return {};
  HostTensor copy({count, x.shape[1], x.shape[2]}, x.dtype);
  const auto size = static_cast<int64_t>(SizeOf(x.dtype));
  for (int64_t i = 0; i < count * x.shape[1]; ++i) {
    const int64_t from = (first + i / x.shape[1]) * x.stride[0] + i % x.shape[1] * x.stride[1];
    std::memcpy(static_cast<std::byte*>(copy.data()) + i * x.shape[2] * size,
                static_cast<const std::byte*>(x.data) + from * size,
                static_cast<size_t>(x.shape[2] * size));
  }
  return copy;
}

bool UsesHidden(const AttentionCall& call) {
  return !call.io.hidden.Empty() &&
         std::any_of(call.parts.begin(), call.parts.end(), [](const AttentionPart& part) {
           return FindAttentionOp(part.op.name).UsesHidden();
         });
}

int Samples(const AttentionCall& call, const KeepOptions& options) {
  const int rest = call.spec.batch - options.first_sample;
  ENSURE(options.first_sample >= 0 && rest > 0 && options.samples <= rest, call.site.path);
  return options.samples == 0 ? rest : options.samples;
}

}  // namespace

struct KeptAttention::Part {
  OperatorSpec op;
  RunPoint at;
  int first_sample, samples, first_head, heads;
};

KeptAttention::~KeptAttention() = default;

size_t KeptAttention::BytesOf(const AttentionCall& call, const KeepOptions& options) {
  const auto share = static_cast<size_t>(Samples(call, options));
  const auto batch = static_cast<size_t>(call.spec.batch);
  size_t bytes = call.io.q.Bytes() + call.io.k.Bytes() + call.io.lse.Bytes();
  if (options.values) bytes += call.io.v.Bytes();
  if (UsesHidden(call)) bytes += call.io.hidden.Bytes();
  return bytes / batch * share;
}

KeptAttention::KeptAttention(Context&, const AttentionCall& call, const KeepOptions& options)
    : site_(call.site), spec_(call.spec), step_(call.step), steps_(call.steps) {
  const int first = options.first_sample, count = Samples(call, options);
  spec_.batch = count;
  q_ = ByHeads(call.io.q, first, count);
  k_ = ByHeads(call.io.k, first, count);
  if (options.values) v_ = ByHeads(call.io.v, first, count);
  if (UsesHidden(call)) hidden_ = RowsOf(call.io.hidden, first, count);
  lse_ = RowsOf(call.io.lse, first, count);
  bytes_ = BytesOf(call, options);
  if (call.io.weights != nullptr) {
    for (const auto& [name, tensor] : *call.io.weights) {
      HostTensor copy(tensor.shape, tensor.dtype);
      ENSURE(tensor.IsContiguous(), name);
      std::memcpy(copy.data(), tensor.data, copy.Bytes());
      bytes_ += copy.Bytes();
      const HostTensor& owned = owned_weights_[name] = std::move(copy);
      weights_[name] = owned.View();
    }
  }
  if (!call.io.mix.empty()) {
    const auto mix = call.io.mix.subspan(static_cast<size_t>(first * spec_.heads),
                                         static_cast<size_t>(count * spec_.heads));
    mix_.assign(mix.begin(), mix.end());
  }
  for (const AttentionPart& part : call.parts) {
    const int begin = std::max(part.first_sample, first);
    const int end = std::min(part.first_sample + part.spec.batch, first + count);
    if (begin >= end) continue;
    parts_.push_back(
        {part.op, part.io.at, begin - first, end - begin, part.first_head, part.spec.heads});
  }
}

const std::vector<AttentionPart>& KeptAttention::Parts() const {
  if (!made_.empty()) return made_;
  const Tensor q = ByTokens(q_), k = ByTokens(k_);
  for (const Part& own : parts_) {
    AttentionPart part{own.op, nullptr, spec_, {}, own.first_sample, own.first_head};
    part.spec.batch = own.samples;
    part.spec.heads = own.heads;
    prepared_.push_back(FindAttentionOp(own.op.name).Prepare(part.spec, own.op.params));
    part.prepared = prepared_.back().get();
    const auto cut = [&](const Tensor& x) {
      return x.Slice(0, own.first_sample, own.samples).Slice(2, own.first_head, own.heads);
    };
    part.io.q = cut(q);
    part.io.k = cut(k);
    if (hidden_.shape().rank > 0) {
      part.io.hidden = hidden_.View().Slice(0, own.first_sample, own.samples);
    }
    if (lse_.shape().rank > 0 && FindAttentionOp(own.op.name).HasLse(part.spec, own.op.params)) {
      part.io.lse =
          lse_.View().Slice(0, own.first_sample, own.samples).Slice(1, own.first_head, own.heads);
    }
    if (!weights_.empty()) part.io.weights = &weights_;
    part.io.first_head = own.first_head;
    part.io.at = own.at;
    made_.push_back(std::move(part));
  }
  return made_;
}

const AttentionMatrix& KeptAttention::Matrix(Context& ctx) const {
  if (matrix_ != nullptr) return *matrix_;
  AttentionIo io;
  io.mix = mix_;
  matrix_ = MatrixOf(ctx, {site_, spec_, io, step_, steps_, Parts()});
  return *matrix_;
}

void KeptAttention::Replay(Context& ctx, AttentionListener& listener) const {
  AttentionIo io;
  io.mix = mix_;
  listener.Attended(ctx, {site_, spec_, io, step_, steps_, Parts()});
}

}  // namespace fovea
