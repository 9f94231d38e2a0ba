// Random numbers that are the same on every platform (std distributions are not).
#pragma once

#include <cstdint>

namespace fovea::scenes {

class Rng {
 public:
  // Streams of different (seed, stream) pairs are unrelated, so picture i needs no predecessor.
  Rng(uint64_t seed, uint64_t stream) : state_(Scramble(Scramble(seed) ^ (stream * kStep + 1))) {}

  uint64_t Next() {
    state_ += kStep;
    return Scramble(state_);
  }
  // In [0, 1).
  float Uniform() { return static_cast<float>(Next() >> 40) * (1.0f / 16777216.0f); }
  float Uniform(float low, float high) { return low + (high - low) * Uniform(); }
  int Below(int n) { return static_cast<int>(Next() >> 33) % n; }
  bool Chance(float probability) { return Uniform() < probability; }

 private:
  static constexpr uint64_t kStep = 0x9E3779B97F4A7C15ull;
  static uint64_t Scramble(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  uint64_t state_;
};

}  // namespace fovea::scenes
