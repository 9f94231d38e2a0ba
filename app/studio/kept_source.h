// Kept attention calls as the window's AttentionSource.
#pragma once

#include <memory>
#include <vector>

#include "attention/probe/kept_attention.h"
#include "ui/inspect_source.h"

namespace fovea {

class KeptSource final : public AttentionSource {
 public:
  // The row of the batch that each half of guidance is, the prompt's first. Prepares all matrices
  // and measures the numbers of all heads: in the thread of `ctx`, once.
  KeptSource(Context& ctx, std::vector<std::shared_ptr<const KeptAttention>> kept,
             std::vector<int> samples);

  const std::vector<InspectLayer>& Layers() const override { return layers_; }
  int Halves() const override { return static_cast<int>(samples_.size()); }
  void Row(int layer, int half, int head, int query, std::span<float> row) const override;
  void Columns(int layer, int half, int head, std::span<const int32_t> keys,
               std::span<float> map) const override;
  size_t Bytes() const { return bytes_; }

 private:
  std::vector<std::shared_ptr<const KeptAttention>> kept_;
  std::vector<const AttentionMatrix*> matrices_;
  std::vector<InspectLayer> layers_;
  std::vector<int> samples_;
  size_t bytes_ = 0;
};

}  // namespace fovea
