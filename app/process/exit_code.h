// What the programs tell their caller: one exit code and one line on standard error.
#pragma once

#include <string>

#include "tensor/error.h"

namespace fovea {

enum ExitCode : int {
  kExitDone = 0,
  kExitInternal = 1,
  kExitUsage = 2,
  kExitBadFile = 3,
  kExitUnsupported = 4,
  kExitOutOfMemory = 5,
  kExitDevice = 6,
  kExitSomeFailed = 7,  // of several jobs; the others are done
  kExitCancelled = 130,
};

// Thrown where a person asked to stop; not an error. What was finished by then stays.
struct Cancelled {
  int written = 0, of = 0;  // pictures
};

ExitCode ExitCodeOf(ErrorCode code);

// The exit code of the exception being handled, and the line to print about it. Call in a catch
// block.
struct Failure {
  ExitCode code = kExitInternal;
  std::string message;
};
Failure DescribeCurrentException();

// The text on one line: line breaks and other control characters become spaces.
std::string OneLine(const std::string& text);

}  // namespace fovea
