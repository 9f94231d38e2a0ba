#include "models/files/sha256.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#include "tensor/error.h"

namespace fovea {
namespace {

constexpr size_t kBlock = 64;
constexpr size_t kReadBytes = size_t{1} << 20;

constexpr std::array<uint32_t, 8> kInitial = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                              0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
alignas(16) constexpr uint32_t kRound[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

void BlocksPortable(const std::byte* data, size_t blocks, std::array<uint32_t, 8>& state) {
  for (; blocks > 0; --blocks, data += kBlock) {
    uint32_t w[64];
    for (size_t t = 0; t < 16; ++t) {
      w[t] = 0;
      for (size_t i = 0; i < 4; ++i) {
        w[t] = w[t] << 8 | std::to_integer<uint32_t>(data[4 * t + i]);
      }
    }
    for (size_t t = 16; t < 64; ++t) {
      const uint32_t a = w[t - 15], b = w[t - 2];
      w[t] = w[t - 16] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ (a >> 3)) + w[t - 7] +
             (std::rotr(b, 17) ^ std::rotr(b, 19) ^ (b >> 10));
    }
    std::array<uint32_t, 8> s = state;
    for (size_t t = 0; t < 64; ++t) {
      const uint32_t e = s[4], a = s[0];
      const uint32_t x = s[7] + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) +
                         ((e & s[5]) ^ (~e & s[6])) + kRound[t] + w[t];
      const uint32_t y = (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) +
                         ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
      s = {x + y, a, s[1], s[2], s[3] + x, e, s[5], s[6]};
    }
    for (size_t i = 0; i < 8; ++i) state[i] += s[i];
  }
}

#if defined(__x86_64__)

bool HasShaInstructions() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_SSE4_1) == 0) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_SHA) != 0;
}

// The instructions keep the state as (a,b,e,f) and (c,d,g,h), highest first, and do two rounds
// each.
__attribute__((target("sha,sse4.1"))) void BlocksX86(const std::byte* data, size_t blocks,
                                                     std::array<uint32_t, 8>& state) {
  const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  auto* words = reinterpret_cast<__m128i*>(state.data());
  const __m128i low = _mm_shuffle_epi32(_mm_loadu_si128(words), 0xb1);       // badc
  const __m128i high = _mm_shuffle_epi32(_mm_loadu_si128(words + 1), 0x1b);  // efgh
  __m128i abef = _mm_alignr_epi8(low, high, 8);
  __m128i cdgh = _mm_blend_epi16(high, low, 0xf0);
  for (; blocks > 0; --blocks, data += kBlock) {
    const __m128i abef_before = abef, cdgh_before = cdgh;
    __m128i w[4];
    for (int i = 0; i < 4; ++i) {
      w[i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(data) + i), swap);
    }
    for (int i = 0; i < 16; ++i) {
      __m128i& now = w[i % 4];
      if (i >= 4) {
        const __m128i before = w[(i + 3) % 4];
        const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(now, w[(i + 1) % 4]),
                                          _mm_alignr_epi8(before, w[(i + 2) % 4], 4));
        now = _mm_sha256msg2_epu32(sum, before);
      }
      const __m128i k = _mm_load_si128(reinterpret_cast<const __m128i*>(kRound) + i);
      const __m128i x = _mm_add_epi32(now, k);
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, x);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(x, 0x0e));
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }
  const __m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);
  _mm_storeu_si128(words, _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128(words + 1, _mm_alignr_epi8(dchg, feba, 8));
}

#endif

void Blocks(const std::byte* data, size_t blocks, bool portable, std::array<uint32_t, 8>& state) {
#if defined(__x86_64__)
  static const bool kFast = HasShaInstructions();
  if (kFast && !portable) return BlocksX86(data, blocks, state);
#endif
  BlocksPortable(data, blocks, state);
}

}  // namespace

Sha256::Sha256(bool portable) : state_(kInitial), rest_{}, portable_(portable) {}

void Sha256::Add(std::span<const std::byte> bytes) {
  const size_t filled = size_ % kBlock;
  size_ += bytes.size();
  if (filled > 0) {
    const size_t take = std::min(kBlock - filled, bytes.size());
    std::copy_n(bytes.begin(), take, rest_.begin() + static_cast<std::ptrdiff_t>(filled));
    bytes = bytes.subspan(take);
    if (filled + take < kBlock) return;
    Blocks(rest_.data(), 1, portable_, state_);
  }
  Blocks(bytes.data(), bytes.size() / kBlock, portable_, state_);
  const auto left = bytes.last(bytes.size() % kBlock);
  std::copy(left.begin(), left.end(), rest_.begin());
}

std::string Sha256::Hex() {
  const uint64_t bits = size_ * 8;
  std::array<std::byte, 2 * kBlock> end = {std::byte{0x80}};
  const size_t padding = (size_ % kBlock < kBlock - 8 ? kBlock : 2 * kBlock) - size_ % kBlock;
  for (size_t i = 0; i < 8; ++i) end[padding - 1 - i] = static_cast<std::byte>(bits >> (8 * i));
  Add(std::span(end).first(padding));
  std::string hex;
  for (const uint32_t word : state_) {
    for (int shift = 28; shift >= 0; shift -= 4) hex += "0123456789abcdef"[word >> shift & 15];
  }
  return hex;
}

std::optional<std::string> Sha256OfFile(const std::filesystem::path& path, uint64_t begin,
                                        const std::stop_token& stop) {
  std::ifstream file(path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(begin));
  Sha256 hash;
  std::vector<std::byte> block(kReadBytes);
  while (file) {
    if (stop.stop_requested()) return std::nullopt;
    file.read(reinterpret_cast<char*>(block.data()), static_cast<std::streamsize>(block.size()));
    hash.Add(std::span(block).first(static_cast<size_t>(file.gcount())));
  }
  if (!file.eof()) throw Error(ErrorCode::kBadFile, path.string() + ": cannot be read");
  return hash.Hex();
}

}  // namespace fovea
