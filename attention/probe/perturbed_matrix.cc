#include "attention/probe/perturbed_matrix.h"

#include <algorithm>
#include <vector>

#include "attention/kernels/cpu_kernels.h"
#include "attention/ops/local_attention.h"
#include "tensor/memory/host_tensor.h"

namespace fovea {
namespace {

// The queries that a stand-in asked with, made again.
HostTensor QueriesOf(const AttentionPart& part, const PartStandIn& stand_in) {
  const Tensor& q = part.io.q;
  HostTensor asked({q.shape[0], TokenCount(stand_in.spec.q), q.shape[2], q.shape[3]}, q.dtype);
  if (stand_in.kind == PerturbKind::kBlur) {
    BlurQueriesCpu(q, *GridSegment(part.spec.q), stand_in.sigma, asked.View());
  } else {
    MeanQueryCpu(q, asked.View());
  }
  return asked;
}

class Perturbed final : public AttentionMatrix {
 public:
  Perturbed(Context& ctx, const AttentionPart& part)
      : AttentionMatrix(part.spec.batch, part.spec.heads, TokenCount(part.spec.q),
                        TokenCount(part.spec.kv)),
        mix_(part.mix) {
    if (part.ran) own_ = part.prepared->Matrix(ctx, part.io);
    if (!part.stand_in) return;
    const PartStandIn& stand_in = *part.stand_in;
    share_ = stand_in.share;
    rows_ = stand_in.rows;
    OperatorIo io = part.io;
    io.lse = {};
    io.maps = stand_in.maps;
    if (stand_in.kind != PerturbKind::kOperator) {
      asked_ = QueriesOf(part, stand_in);
      io.q = asked_.View();
    }
    other_ = stand_in.prepared->Matrix(ctx, io);
  }

  void Rows(int64_t sample, int64_t head, std::span<const int32_t> queries,
            float* rows) const override {
    const auto keys = static_cast<size_t>(Keys());
    if (own_ != nullptr) {
      own_->Rows(sample, head, queries, rows);
    } else {
      std::fill_n(rows, queries.size() * keys, 0.0f);
    }
    if (other_ != nullptr) return Blend(sample, head, queries, rows);
    const HeadMix& mix = mix_[static_cast<size_t>(sample * Heads() + head)];
    const float mean = mix.e / static_cast<float>(Keys());
    for (size_t i = 0; i < queries.size(); ++i) {
      if (!mix.rows.Holds(queries[i])) continue;
      float* row = rows + i * keys;
      for (size_t j = 0; j < keys; ++j) row[j] = (mix.a == 0 ? 0 : mix.a * row[j]) + mean;
      row[queries[i]] += mix.b;
    }
  }

 private:
  void Blend(int64_t sample, int64_t head, std::span<const int32_t> queries, float* rows) const {
    const auto keys = static_cast<size_t>(Keys());
    const bool one = other_->Queries() == 1;
    const std::vector<int32_t> first{0};
    std::vector<float> other((one ? 1 : queries.size()) * keys);
    other_->Rows(sample, head, one ? std::span<const int32_t>(first) : queries, other.data());
    for (size_t i = 0; i < queries.size(); ++i) {
      if (!rows_.Holds(queries[i])) continue;
      const float* from = other.data() + (one ? 0 : i * keys);
      float* row = rows + i * keys;
      for (size_t j = 0; j < keys; ++j) {
        row[j] = share_ == 1 ? from[j] : (1 - share_) * row[j] + share_ * from[j];
      }
    }
  }

  std::vector<HeadMix> mix_;
  float share_ = 0;
  RowRange rows_;
  HostTensor asked_;
  std::unique_ptr<AttentionMatrix> own_, other_;  // own_: null where the operator did not run
};

}  // namespace

std::unique_ptr<AttentionMatrix> PerturbedMatrix(Context& ctx, const AttentionPart& part) {
  return std::make_unique<Perturbed>(ctx, part);
}

}  // namespace fovea
