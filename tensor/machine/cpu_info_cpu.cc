#include "tensor/machine/cpu_info.h"

#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <vector>

#include "tensor/machine/instruction_set.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

constexpr int64_t kRounds = 400000;  // about 5 ms
constexpr int kChains = 12;  // independent sums: latency times throughput, within 16 registers
constexpr int kRuns = 15;

// Each runs kRounds * kChains vector multiply-adds and returns something that depends on all.
__attribute__((target("avx512f"))) float RunAvx512() {
  __m512 sums[kChains];
  for (auto& sum : sums) sum = _mm512_set1_ps(1);
  const __m512 factor = _mm512_set1_ps(0.999999f), addend = _mm512_set1_ps(1e-6f);
  for (int64_t i = 0; i < kRounds; ++i) {
#pragma GCC unroll 12
    for (int k = 0; k < kChains; ++k) sums[k] = _mm512_fmadd_ps(sums[k], factor, addend);
  }
  float lanes[16], total = 0;
  for (const auto& sum : sums) {
    _mm512_storeu_ps(lanes, sum);
    for (float lane : lanes) total += lane;
  }
  return total;
}

__attribute__((target("avx512f,avx512bf16"))) float RunAvx512Bf16() {
  __m512 sums[kChains];
  for (auto& sum : sums) sum = _mm512_setzero_ps();
  const auto pairs = (__m512bh)_mm512_set1_epi16(0x3c00);  // 2^-7, any finite number would do
  for (int64_t i = 0; i < kRounds; ++i) {
#pragma GCC unroll 12
    for (int k = 0; k < kChains; ++k) sums[k] = _mm512_dpbf16_ps(sums[k], pairs, pairs);
  }
  float lanes[16], total = 0;
  for (const auto& sum : sums) {
    _mm512_storeu_ps(lanes, sum);
    for (float lane : lanes) total += lane;
  }
  return total;
}

__attribute__((target("avx2,fma"))) float RunAvx2() {
  __m256 sums[kChains];
  for (auto& sum : sums) sum = _mm256_set1_ps(1);
  const __m256 factor = _mm256_set1_ps(0.999999f), addend = _mm256_set1_ps(1e-6f);
  for (int64_t i = 0; i < kRounds; ++i) {
#pragma GCC unroll 12
    for (int k = 0; k < kChains; ++k) sums[k] = _mm256_fmadd_ps(sums[k], factor, addend);
  }
  float lanes[8], total = 0;
  for (const auto& sum : sums) {
    _mm256_storeu_ps(lanes, sum);
    for (float lane : lanes) total += lane;
  }
  return total;
}

float RunPortable() {
  __m128 sums[kChains];
  for (auto& sum : sums) sum = _mm_set1_ps(1);
  const __m128 factor = _mm_set1_ps(0.999999f), addend = _mm_set1_ps(1e-6f);
  for (int64_t i = 0; i < kRounds; ++i) {
#pragma GCC unroll 12
    for (int k = 0; k < kChains; ++k) sums[k] = _mm_add_ps(_mm_mul_ps(sums[k], factor), addend);
  }
  float lanes[4], total = 0;
  for (const auto& sum : sums) {
    _mm_storeu_ps(lanes, sum);
    for (float lane : lanes) total += lane;
  }
  return total;
}

struct PeakLoop {
  float (*run)();
  int flops;  // of one vector multiply-add
};

PeakLoop ChooseLoop(DType dtype) {
  const InstructionSet set = UsedInstructionSet();
  if (dtype == DType::kBF16 && set == InstructionSet::kAvx512Bf16) return {RunAvx512Bf16, 64};
  if (set >= InstructionSet::kAvx512) return {RunAvx512, 32};
  if (set == InstructionSet::kAvx2) return {RunAvx2, 16};
  return {RunPortable, 8};
}

}  // namespace

double MeasurePeakGflops(DType dtype) {
  const PeakLoop loop = ChooseLoop(dtype);
  const int threads = NumThreads();
  std::atomic<float> sink = 0;  // keeps the loops from being dropped
  double best = 0;
  for (int i = 0; i < kRuns; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    ParallelFor(threads, 1, [&](int64_t, int64_t) { sink = loop.run(); });
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    best = std::max(best, static_cast<double>(threads) * kRounds * kChains * loop.flops /
                              seconds.count() / 1e9);
  }
  return best;
}

double MeasureMemoryGbps() {
  constexpr int64_t kBytes = int64_t{128} << 20;
  constexpr int kCopies = 5;
  const std::vector<std::byte> from(kBytes, std::byte{1});
  std::vector<std::byte> to(kBytes);
  double best = 0;
  for (int i = 0; i < kCopies; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    ParallelFor(kBytes, 1 << 20, [&](int64_t first, int64_t last) {
      std::memcpy(to.data() + first, from.data() + first, static_cast<size_t>(last - first));
    });
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    best = std::max(best, 2.0 * static_cast<double>(kBytes) / seconds.count() / 1e9);
  }
  return best;
}

}  // namespace fovea
