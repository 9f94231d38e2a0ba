// Which vector instructions do the kernels use, and how does a person lower them?
#pragma once

#include <optional>
#include <string_view>

namespace fovea {

// In rising order. Each name is what pictures store and what FOVEA_ISA takes (save the last).
enum class InstructionSet {
  kPortable,    // "portable": plain C++ of ours, SSE4.1 of oneDNN
  kAvx2,        // "avx2", with FMA
  kAvx512,      // "avx512": F, BW, DQ and VL; no dot products of bf16
  kAvx512Bf16,  // "avx512_bf16": all that the processor has
};

// The set that every kernel uses, Highway's (ours) and oneDNN's alike: what the processor has, or
// less where the environment variable FOVEA_ISA says so. It never raises the set: "avx512" on a
// processor of AVX2 is avx2. An empty variable counts as none.
//
// The first call decides; later changes of the variable do nothing. Call it before the first
// kernel: MakeCpuBackend does, and programs do at their start. Any thread may call.
// Throws kUsage for a value that names no set.
InstructionSet UsedInstructionSet();

std::string_view Name(InstructionSet set);
// Of UsedInstructionSet. Stored with pictures, since their last bits depend on it.
std::string_view InstructionSetName();

// What the processor has, whatever FOVEA_ISA says.
InstructionSet ProcessorInstructionSet();

// A value of FOVEA_ISA; null: no limit. Throws kUsage.
std::optional<InstructionSet> ParseInstructionSetLimit(const char* value);

}  // namespace fovea
