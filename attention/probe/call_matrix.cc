#include "attention/probe/call_matrix.h"

#include <vector>

namespace fovea {
namespace {

struct Part {
  int64_t first_sample, first_head;
  std::unique_ptr<AttentionMatrix> matrix;
};

class CallMatrix final : public AttentionMatrix {
 public:
  CallMatrix(Context& ctx, const AttentionCall& call)
      : AttentionMatrix(call.spec.batch, call.spec.heads, TokenCount(call.spec.q),
                        TokenCount(call.spec.kv)),
        mix_(call.io.mix.begin(), call.io.mix.end()) {
    for (const AttentionPart& part : call.parts) {
      parts_.push_back({part.first_sample, part.first_head, part.prepared->Matrix(ctx, part.io)});
    }
  }

  void Rows(int64_t sample, int64_t head, std::span<const int32_t> queries,
            float* rows) const override {
    const Part& part = PartOf(sample, head);
    part.matrix->Rows(sample - part.first_sample, head - part.first_head, queries, rows);
    if (mix_.empty()) return;
    const HeadMix mix = MixOf(sample, head);
    const auto keys = static_cast<size_t>(Keys());
    const float mean = mix.e / static_cast<float>(Keys());
    for (size_t i = 0; i < queries.size(); ++i) {
      float* row = rows + i * keys;
      for (size_t j = 0; j < keys; ++j) row[j] = mix.a * row[j] + mean;
      row[queries[i]] += mix.b;
    }
  }

  void Columns(int64_t sample, int64_t head, std::span<const int32_t> keys,
               float* columns) const override {
    if (!mix_.empty()) return AttentionMatrix::Columns(sample, head, keys, columns);
    const Part& part = PartOf(sample, head);
    part.matrix->Columns(sample - part.first_sample, head - part.first_head, keys, columns);
  }

 private:
  const Part& PartOf(int64_t sample, int64_t head) const {
    for (const Part& part : parts_) {
      if (sample >= part.first_sample && sample < part.first_sample + part.matrix->Samples() &&
          head >= part.first_head && head < part.first_head + part.matrix->Heads()) {
        return part;
      }
    }
    ThrowCheckFailed("a part has every head", __FILE__, __LINE__);
  }
  HeadMix MixOf(int64_t sample, int64_t head) const {
    return mix_[static_cast<size_t>(sample * Heads() + head)];
  }

  std::vector<Part> parts_;
  std::vector<HeadMix> mix_;
};

}  // namespace

std::unique_ptr<AttentionMatrix> MatrixOf(Context& ctx, const AttentionCall& call) {
  return std::make_unique<CallMatrix>(ctx, call);
}

}  // namespace fovea
