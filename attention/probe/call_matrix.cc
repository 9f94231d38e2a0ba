#include "attention/probe/call_matrix.h"

#include <vector>

#include "attention/probe/perturbed_matrix.h"

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
                        TokenCount(call.spec.kv)) {
    for (const AttentionPart& part : call.parts) {
      parts_.push_back({part.first_sample, part.first_head, MatrixOf(ctx, part)});
    }
  }

  void Rows(int64_t sample, int64_t head, std::span<const int32_t> queries,
            float* rows) const override {
    const Part& part = PartOf(sample, head);
    part.matrix->Rows(sample - part.first_sample, head - part.first_head, queries, rows);
  }

  void Columns(int64_t sample, int64_t head, std::span<const int32_t> keys,
               float* columns) const override {
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

  std::vector<Part> parts_;
};

}  // namespace

std::unique_ptr<AttentionMatrix> MatrixOf(Context& ctx, const AttentionCall& call) {
  return std::make_unique<CallMatrix>(ctx, call);
}

std::unique_ptr<AttentionMatrix> MatrixOf(Context& ctx, const AttentionPart& part) {
  if (part.mix.empty() && !part.stand_in) return part.prepared->Matrix(ctx, part.io);
  return PerturbedMatrix(ctx, part);
}

}  // namespace fovea
