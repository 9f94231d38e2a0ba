// Which instruction sets can be tested here beside the one in use, and which cannot? Prints
//   avx512_bf16: avx512 avx2 portable; lacking:
#include <cstdio>
#include <string>

#include "tensor/error.h"
#include "tensor/machine/instruction_set.h"

namespace fovea {
namespace {

void Print(const char* before, bool (*belongs)(InstructionSet set, InstructionSet used)) {
  std::printf("%s", before);
  for (const InstructionSet set : {InstructionSet::kAvx512Bf16, InstructionSet::kAvx512,
                                   InstructionSet::kAvx2, InstructionSet::kPortable}) {
    if (belongs(set, UsedInstructionSet())) std::printf(" %s", std::string(Name(set)).c_str());
  }
}

}  // namespace
}  // namespace fovea

int main() {
  using fovea::InstructionSet;
  try {
    std::printf("%s", std::string(fovea::InstructionSetName()).c_str());
  } catch (const fovea::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
  fovea::Print(":", [](InstructionSet set, InstructionSet used) { return set < used; });
  fovea::Print("; lacking:", [](InstructionSet set, InstructionSet used) { return set > used; });
  std::printf("\n");
  return 0;
}
