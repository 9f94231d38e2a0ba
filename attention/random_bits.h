// The random choices of operators: a stream that depends on seed, step and layer alone.
#pragma once

#include <cstdint>

namespace fovea {

// SplitMix64: Steele et al., "Fast splittable pseudorandom number generators" (2014).
inline constexpr uint64_t kSplitMixStep = 0x9e3779b97f4a7c15u;
inline uint64_t SplitMix(uint64_t x) {
  x += kSplitMixStep;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

class RandomBits {
 public:
  RandomBits(uint64_t seed, int step, int layer)
      : state_(SplitMix(SplitMix(seed) + static_cast<uint64_t>(step)) +
               static_cast<uint64_t>(layer)) {}

  uint64_t Next() {
    const uint64_t bits = SplitMix(state_);
    state_ += kSplitMixStep;
    return bits;
  }
  // Uniform in [0, limit) but for 2^-32; 0 < limit < 2^32.
  uint64_t Below(uint64_t limit) { return ((Next() >> 32) * limit) >> 32; }

 private:
  uint64_t state_;
};

}  // namespace fovea
