#include "pipelines/generation/memory_estimate.h"

#include <algorithm>

namespace fovea {

size_t HostBytes(const Shape& latents, const GenerateSettings& settings, bool from_picture) {
  // The run's latents, the loop's copies of them, and the sampler's history.
  constexpr size_t kCopies = 8, kChannels = 3;
  const size_t pixels = static_cast<size_t>(settings.width) * static_cast<size_t>(settings.height);
  const size_t one = kChannels * pixels, made = static_cast<size_t>(settings.batch) * one;
  // At the end: all pictures, and one of them as a file. At the start: a given picture as read,
  // resized, and as the VAE's input.
  const size_t given = from_picture ? made + one + one * sizeof(float) : 0;
  return kCopies * static_cast<size_t>(latents.NumElements()) * sizeof(float) +
         std::max(made + one, given);
}

size_t VectorsReadInPlace(const WeightStore& weights) {
  size_t bytes = 0;
  for (const TensorEntry& entry : weights.Entries()) {
    if (entry.dtype == DType::kF32 && entry.shape.rank == 1) {
      bytes += static_cast<size_t>(entry.end - entry.begin);
    }
  }
  return bytes;
}

}  // namespace fovea
