// Which instruction sets can be tested here beside the one in use, and which cannot? Prints
//   avx512_bf16: avx512 avx2 portable; lacking:
#include <cstdio>
#include <string>

#include "tensor/instruction_set.h"

int main() {
  using fovea::InstructionSet;
  const InstructionSet best = fovea::UsedInstructionSet();
  std::printf("%s:", std::string(fovea::Name(best)).c_str());
  constexpr InstructionSet kAll[] = {InstructionSet::kAvx512Bf16, InstructionSet::kAvx512,
                                     InstructionSet::kAvx2, InstructionSet::kPortable};
  for (const InstructionSet set : kAll) {
    if (set < best) std::printf(" %s", std::string(fovea::Name(set)).c_str());
  }
  std::printf("; lacking:");
  for (const InstructionSet set : kAll) {
    if (set > best) std::printf(" %s", std::string(fovea::Name(set)).c_str());
  }
  std::printf("\n");
  return 0;
}
