// What every fuzz target gives: the entry point of libFuzzer, and inputs to start from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "tensor/error.h"

// Returns 0 for any bytes. Whatever escapes it is a bug.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace fovea {

// Small inputs, most of them valid, for the mutations to start from.
std::vector<std::string> FuzzSeeds();

// Runs the parser. It may refuse its input; it may not break its own invariants.
template <class Body>
void RefusesOrReads(Body&& body) {
  try {
    std::forward<Body>(body)();
  } catch (const Error& error) {
    if (error.code == ErrorCode::kInternal) std::abort();
  }
}

}  // namespace fovea
