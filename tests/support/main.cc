// The one main() of all test programs. They obey FOVEA_ISA, as the programs do.
#define CATCH_CONFIG_RUNNER  // where Catch2 2 puts its own code; 3 is a library
#include <catch2/catch.hpp>
#include <cstdio>

#include "tensor/error.h"
#include "tensor/instruction_set.h"

int main(int argc, char** argv) {
  try {
    // Tests call kernels without a backend, so the set must be chosen before them.
    fovea::UsedInstructionSet();
  } catch (const fovea::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
  return Catch::Session().run(argc, argv);
}
