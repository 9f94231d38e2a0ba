#include "attention/probe/kept_attention.h"

#include <algorithm>
#include <cstring>

#include "attention/probe/call_matrix.h"
#include "attention/tiles/tile_map.h"
#include "tensor/machine/threads.h"

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
           return part.op->Traits().hidden || (part.stand_in && part.stand_in->op->Traits().hidden);
         });
}

// The maps of `count` samples from `first` on.
std::shared_ptr<const TileMaps> MapsOf(const std::shared_ptr<const TileMaps>& maps, int first,
                                       int count, size_t heads) {
  if (maps == nullptr || maps->each.size() <= 1) return maps;
  auto some = std::make_shared<TileMaps>();
  const auto from = maps->each.begin() + static_cast<int64_t>(heads) * first;
  some->each.assign(from, from + static_cast<int64_t>(heads) * count);
  return some;
}

int Samples(const AttentionCall& call, const KeepOptions& options) {
  const int rest = call.spec.batch - options.first_sample;
  ENSURE(options.first_sample >= 0 && rest > 0 && options.samples <= rest, call.site.path);
  return options.samples == 0 ? rest : options.samples;
}

}  // namespace

// A part of the call with its tensors left out, and what must be prepared again.
struct KeptAttention::Part {
  AttentionPart kept;
  int samples;
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
  branches_ = call.branches.Slice(first, count);
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
  for (const AttentionPart& part : call.parts) {
    const int begin = std::max(part.first_sample, first);
    const int end = std::min(part.first_sample + part.spec.batch, first + count);
    if (begin >= end) continue;
    Part kept{part, end - begin};
    const auto heads = static_cast<size_t>(part.spec.heads);
    if (!part.mix.empty()) {
      const auto from = part.mix.begin() + (begin - part.first_sample) * part.spec.heads;
      kept.kept.mix.assign(from, from + static_cast<int64_t>(heads) * (end - begin));
    }
    kept.kept.io.maps = MapsOf(part.io.maps, begin - part.first_sample, end - begin, heads);
    if (part.stand_in) {
      kept.kept.stand_in->maps =
          MapsOf(part.stand_in->maps, begin - part.first_sample, end - begin, heads);
    }
    kept.kept.first_sample = begin - first;
    parts_.push_back(std::move(kept));
  }
}

const std::vector<AttentionPart>& KeptAttention::Parts() const {
  if (!made_.empty()) return made_;
  const Tensor q = ByTokens(q_), k = ByTokens(k_);
  const auto prepare = [this](const BoundOp& op, const AttentionSpec& spec) {
    prepared_.push_back(op.Prepare(spec));
    return prepared_.back().get();
  };
  for (const Part& own : parts_) {
    AttentionPart part = own.kept;
    part.spec.batch = own.samples;
    part.prepared = prepare(*part.op, part.spec);
    if (part.stand_in) {
      part.stand_in->spec.batch = own.samples;
      part.stand_in->prepared = prepare(*part.stand_in->op, part.stand_in->spec);
    }
    const auto cut = [&part](const Tensor& x) {
      return x.Slice(0, part.first_sample, part.spec.batch)
          .Slice(2, part.first_head, part.spec.heads);
    };
    const bool has_lse = !part.io.lse.Empty();
    OperatorIo io;
    io.q = cut(q);
    io.k = cut(k);
    if (hidden_.shape().rank > 0) {
      io.hidden = hidden_.View().Slice(0, part.first_sample, part.spec.batch);
    }
    if (has_lse && lse_.shape().rank > 0) {
      io.lse = lse_.View()
                   .Slice(0, part.first_sample, part.spec.batch)
                   .Slice(1, part.first_head, part.spec.heads);
    }
    if (!weights_.empty()) io.weights = &weights_;
    io.first_head = part.io.first_head;
    io.layer_heads = part.io.layer_heads;
    io.at = part.io.at;
    io.maps = part.io.maps;
    part.io = std::move(io);
    made_.push_back(std::move(part));
  }
  return made_;
}

const AttentionMatrix& KeptAttention::Matrix(Context& ctx) const {
  if (matrix_ != nullptr) return *matrix_;
  const AttentionIo io;
  matrix_ = MatrixOf(ctx, {site_, spec_, io, step_, steps_, Parts(), branches_});
  return *matrix_;
}

void KeptAttention::Replay(Context& ctx, AttentionListener& listener) const {
  const AttentionIo io;
  listener.Attended(ctx, {site_, spec_, io, step_, steps_, Parts(), branches_});
}

}  // namespace fovea
