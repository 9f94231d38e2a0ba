// Instructions of a whole warp: shuffles, votes, ldmatrix and the tensor cores' products.
#include <array>

#include "tensor/machine/instruction_set.h"
#include "tests/ptx/forms.h"
#include "tests/ptx/half.h"
#include "tests/ptx/machine.h"

namespace fovea::ptx {

// d[|p], value, which, clamp and segment, member mask.
void Shuffle(Warp& w, const Instr& in, uint32_t lanes) {
  const uint32_t* value = w.Reg<uint32_t>(in.s[0]);
  const uint32_t *which = w.Reg<uint32_t>(in.s[1]), *shape = w.Reg<uint32_t>(in.s[2]);
  const uint32_t* members = w.Reg<uint32_t>(in.s[3]);
  uint32_t result[kLanes] = {}, inside = 0;
  ForLanes(lanes, [&](int lane) {
    const uint32_t mask = members[lane];
    if (!(mask >> lane & 1)) w.block->Fail(w, lane, "is not in its own member mask");
    if (mask & w.alive & ~lanes) {
      w.block->Fail(w, lane, "not every lane of the member mask is here");
    }
    const int segment = static_cast<int>(shape[lane] >> 8 & 31);
    const int clamp = static_cast<int>(shape[lane] & 31), by = static_cast<int>(which[lane] & 31);
    const int limit = (lane & segment) | (clamp & ~segment);
    int from = 0;
    bool in_range = false;
    switch (in.mode) {
      case kUp:
        from = lane - by;
        in_range = from >= limit;
        break;
      case kDown:
        from = lane + by;
        in_range = from <= limit;
        break;
      case kButterfly:
        from = lane ^ by;
        in_range = from <= limit;
        break;
      default:
        from = (lane & segment) | (by & ~segment);
        in_range = from <= limit;
    }
    if (!in_range) from = lane;
    if (!(lanes >> from & 1)) w.block->Fail(w, lane, "shuffles from a lane that is not here");
    result[lane] = value[from];
    inside |= static_cast<uint32_t>(in_range) << lane;
  });
  ForLanes(lanes, [&](int lane) { w.Reg<uint32_t>(in.d[0])[lane] = result[lane]; });
  if (in.nd > 1) SetPredicate(w, in.d[1], lanes, inside);
}

// d, predicate, member mask. The guard of the predicate is in `offset`: 1 is "not".
void Vote(Warp& w, const Instr& in, uint32_t lanes) {
  const uint32_t* members = w.Reg<uint32_t>(in.s[1]);
  uint32_t votes = w.predicates[in.s[0]];
  if (in.offset) votes = ~votes;
  votes &= lanes;
  uint32_t result = 0;
  ForLanes(lanes, [&](int lane) {
    const uint32_t mask = members[lane];
    if (mask & w.alive & ~lanes) {
      w.block->Fail(w, lane, "not every lane of the member mask is here");
    }
    if (in.mode == kBallot) {
      w.Reg<uint32_t>(in.d[0])[lane] = votes & mask;
    } else {
      const bool yes = in.mode == kAny ? (votes & mask) != 0 : (votes & mask) == (mask & w.alive);
      result |= static_cast<uint32_t>(yes) << lane;
    }
  });
  if (in.mode != kBallot) SetPredicate(w, in.d[0], lanes, result);
}

// Lanes 8i .. 8i+7 name the rows of matrix i.
void LoadMatrix(Warp& w, const Instr& in, uint32_t lanes) {
  Block& block = *w.block;
  uint16_t matrix[4][8][8];
  uint32_t address[kLanes] = {};
  (void)lanes;
  for (int lane = 0; lane < 8 * in.vector; ++lane) {
    address[lane] = w.Reg<uint32_t>(in.s[0])[lane] + static_cast<uint32_t>(in.offset);
    std::memcpy(matrix[lane / 8][lane % 8], block.ReadShared(w, lane, address[lane], 16), 16);
  }
  if (block.options->check) {
    block.CountShared(address, in.vector == 4 ? kAllLanes : (1u << 8 * in.vector) - 1, 16);
  }
  for (int i = 0; i < in.vector; ++i) {
    uint32_t* to = w.Reg<uint32_t>(in.d[i]);
    for (int lane = 0; lane < kLanes; ++lane) {
      const int row = lane / 4, column = lane % 4 * 2;
      const uint32_t low = in.mode ? matrix[i][column][row] : matrix[i][row][column];
      const uint32_t high = in.mode ? matrix[i][column + 1][row] : matrix[i][row][column + 1];
      to[lane] = low | high << 16;
    }
  }
}

namespace {

struct Tile {
  alignas(32) float a[16][16], b[16][8], c[16][8];
};

void MultiplyPortable(Tile& t, int k_count) {
  for (int i = 0; i < 16; ++i) {
    for (int k = 0; k < k_count; ++k) {
      for (int j = 0; j < 8; ++j) t.c[i][j] += t.a[i][k] * t.b[k][j];
    }
  }
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) void MultiplyAvx2(Tile& t, int k_count) {
  typedef float V __attribute__((vector_size(32)));
  for (int i = 0; i < 16; i += 4) {
    V c[4];
    for (int r = 0; r < 4; ++r) std::memcpy(&c[r], t.c[i + r], 32);
    for (int k = 0; k < k_count; ++k) {
      V b;
      std::memcpy(&b, t.b[k], 32);
      for (int r = 0; r < 4; ++r) c[r] += t.a[i + r][k] * b;
    }
    for (int r = 0; r < 4; ++r) std::memcpy(t.c[i + r], &c[r], 32);
  }
}
#else
void MultiplyAvx2(Tile& t, int k_count) {
  MultiplyPortable(t, k_count);
}
#endif

float Half(bool bf16, uint32_t bits) {
  return bf16 ? FromBf16(bits) : FromF16(bits);
}

}  // namespace

// Registers hold pairs, the first in the low half. g = lane / 4, t = lane % 4: A's register r has
// row g + 8 (r % 2) and columns 2t, 2t + 1 (+ 8 for r >= 2); B's has rows 2t, 2t + 1 + 8 r of
// column g; C's pairs have columns 2t, 2t + 1 of rows g and g + 8. tf32 has one value a register:
// columns t and t + 4.
void MultiplyMatrices(Warp& w, const Instr& in, uint32_t) {
  ++w.block->counters->matrix_products;
  Tile tile;
  const bool tf32 = in.mode == kMmaTf32K8, deep = in.mode <= kMmaF16K16;
  const bool bf16 = in.mode == kMmaBf16K16 || in.mode == kMmaBf16K8;
  const int a_count = deep || tf32 ? 4 : 2, b_count = deep || tf32 ? 2 : 1, k_count = deep ? 16 : 8;
  for (int r = 0; r < a_count; ++r) {
    const uint32_t* v = w.Reg<uint32_t>(in.s[r]);
    for (int lane = 0; lane < kLanes; ++lane) {
      const int row = lane / 4 + 8 * (r % 2);
      if (tf32) {
        tile.a[row][lane % 4 + 4 * (r / 2)] = FromTf32(v[lane]);
      } else {
        const int column = lane % 4 * 2 + 8 * (r / 2);
        tile.a[row][column] = Half(bf16, v[lane] & 0xffff);
        tile.a[row][column + 1] = Half(bf16, v[lane] >> 16);
      }
    }
  }
  for (int r = 0; r < b_count; ++r) {
    const uint32_t* v = w.Reg<uint32_t>(in.s[a_count + r]);
    for (int lane = 0; lane < kLanes; ++lane) {
      if (tf32) {
        tile.b[lane % 4 + 4 * r][lane / 4] = FromTf32(v[lane]);
      } else {
        const int row = lane % 4 * 2 + 8 * r;
        tile.b[row][lane / 4] = Half(bf16, v[lane] & 0xffff);
        tile.b[row + 1][lane / 4] = Half(bf16, v[lane] >> 16);
      }
    }
  }
  for (int r = 0; r < 4; ++r) {
    const float* v = w.Reg<float>(in.s[a_count + b_count + r]);
    for (int lane = 0; lane < kLanes; ++lane) {
      tile.c[lane / 4 + 8 * (r / 2)][lane % 4 * 2 + r % 2] = v[lane];
    }
  }
  static const bool avx2 = ProcessorInstructionSet() >= InstructionSet::kAvx2;
  avx2 ? MultiplyAvx2(tile, k_count) : MultiplyPortable(tile, k_count);
  for (int r = 0; r < 4; ++r) {
    float* v = w.Reg<float>(in.d[r]);
    for (int lane = 0; lane < kLanes; ++lane) {
      v[lane] = tile.c[lane / 4 + 8 * (r / 2)][lane % 4 * 2 + r % 2];
    }
  }
}

}  // namespace fovea::ptx
