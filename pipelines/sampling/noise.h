// Gaussian noise, the same as PyTorch's.
//
// One NoiseSource serves one picture: picture i of a batch has its own, seeded s + i, so its bytes
// do not depend on the batch.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace fovea {

enum class RngKind : unsigned char {
  kTorch,   // PyTorch's CPU generator: MT19937 and its normal transforms
  kPhilox,  // PyTorch's CUDA generator: Philox 4x32-10 and Box-Muller, equal on every device
};

class NoiseSource {
 public:
  virtual ~NoiseSource() = default;
  // Fills one picture's tensor as torch.randn(shape, generator=g) does, in row-major NCHW order.
  virtual void Normal(std::span<float> out) = 0;
  // As torch.rand: uniform in [0, 1).
  virtual void Uniform(std::span<float> out) = 0;
};

std::optional<RngKind> ParseRngKind(std::string_view name);  // "torch" or "philox"
std::unique_ptr<NoiseSource> MakeNoiseSource(RngKind kind, uint64_t seed);

// One source a picture, seeded seed, seed + 1 and so on, for tensors of whole batches.
class BatchNoise {
 public:
  BatchNoise(RngKind kind, uint64_t seed, int batch);
  void Normal(std::span<float> out);  // (batch,...): each picture's part from its own source
  NoiseSource& Of(int picture) { return *sources_[static_cast<size_t>(picture)]; }

 private:
  std::vector<std::unique_ptr<NoiseSource>> sources_;
};

}  // namespace fovea
