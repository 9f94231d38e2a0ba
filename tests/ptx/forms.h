// The instructions that compute: which forms there are, what they take, what runs them.
#pragma once

#include <string>

#include "tests/ptx/kernel.h"

namespace fovea::ptx {

// `operands`: sizes in bytes, destinations before '=': "4=44". 'p' is a predicate.
struct Form {
  const char* operands;
  Execute execute;
};

// By the whole name, "fma.rn.f32". Null: unknown.
const Form* FindArithmetic(const std::string& name);
const Form* FindConversion(const std::string& name);

// Comparisons write one or two predicates and may combine with a third.
Execute FindComparison(const std::string& comparison, const std::string& type);
enum CombineMode : uint8_t { kNoCombine, kCombineAnd, kCombineOr, kCombineXor };

// What touches memory or several lanes; the decoder sets their operands.
void LoadElements(Warp&, const Instr&, uint32_t);   // mode: sign-extend (1), into 64 bits (2)
void StoreElements(Warp&, const Instr&, uint32_t);  // mode: from 64 bits (2)
void AtomicAddF32(Warp&, const Instr&, uint32_t);
void CopyAsync(Warp&, const Instr&, uint32_t);
void CommitCopies(Warp&, const Instr&, uint32_t);
void WaitCopies(Warp&, const Instr&, uint32_t);
void LoadMatrix(Warp&, const Instr&, uint32_t);  // vector: how many; mode: transposed
void MultiplyMatrices(Warp&, const Instr&, uint32_t);
enum MmaMode : uint8_t { kMmaBf16K16, kMmaF16K16, kMmaBf16K8, kMmaF16K8, kMmaTf32K8 };
void Shuffle(Warp&, const Instr&, uint32_t);
enum ShuffleMode : uint8_t { kUp, kDown, kButterfly, kIndex };
void Vote(Warp&, const Instr&, uint32_t);
enum VoteMode : uint8_t { kBallot, kAny, kAll };
void SyncWarp(Warp&, const Instr&, uint32_t);
void Barrier(Warp&, const Instr&, uint32_t);
void Branch(Warp&, const Instr&, uint32_t);
void Exit(Warp&, const Instr&, uint32_t);
void Nothing(Warp&, const Instr&, uint32_t);
void PutPredicate(Warp&, const Instr&, uint32_t);  // offset: its value
void ReadSpecial(Warp&, const Instr&, uint32_t);   // mode: a Special
void SplitHalves(Warp&, const Instr&, uint32_t);   // mov.b32 {a,b}, c and mov.b64
void JoinHalves(Warp&, const Instr&, uint32_t);
void ToShared(Warp&, const Instr&, uint32_t);  // generic to shared addresses
void OfShared(Warp&, const Instr&, uint32_t);  // and back
enum Special : uint8_t { kTid, kNtid = 3, kCtaid = 6, kNctaid = 9, kLaneId = 12, kWarpId };

}  // namespace fovea::ptx
