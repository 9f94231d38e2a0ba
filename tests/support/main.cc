// The one main() of all test programs. They obey FOVEA_ISA, as the programs do.
#define CATCH_CONFIG_RUNNER  // where Catch2 2 puts its own code; 3 is a library
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstring>
#include <string>

#include "tensor/error.h"
#include "tensor/machine/instruction_set.h"

int main(int argc, char** argv) {
  try {
    // Tests call kernels without a backend, so the set must be chosen before them.
    const fovea::InstructionSet used = fovea::UsedInstructionSet();
    // Runs at a lower set are named after it, so none of them can run at another by mistake.
    for (int i = 1; i + 1 < argc; ++i) {
      if (std::strcmp(argv[i], "--name") != 0) continue;
      const auto named = fovea::ParseInstructionSetLimit(argv[i + 1]);
      if (named && used > *named) {
        throw fovea::Error(
            fovea::ErrorCode::kUsage,
            "this run is for FOVEA_ISA=" + std::string(argv[i + 1]) + ", which is not set");
      }
    }
  } catch (const fovea::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
  return Catch::Session().run(argc, argv);
}
