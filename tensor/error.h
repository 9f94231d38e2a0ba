// The one exception type of the project, and the checks that throw it.
//
// A message says what happened, where (file, tensor, layer) and what to do, in one line. The library
// never prints, aborts or exits; main() and the engine's job loop catch.
#pragma once

#include <stdexcept>
#include <string>

namespace fovea {

enum class ErrorCode {
  kInternal,     // a bug of ours
  kUsage,        // a flag, value or expression that does not parse
  kBadFile,      // a missing, broken or unwritable file
  kUnsupported,  // a class, operator or combination that we lack
  kOutOfMemory,  // foreseen before the run
  kDevice,       // the device or its driver failed
};

struct Error : std::runtime_error {
  Error(ErrorCode error_code, const std::string& what) : std::runtime_error(what), code(error_code) {}
  ErrorCode code;
};

[[noreturn]] void ThrowCheckFailed(const char* condition, const char* file, int line,
                                   const std::string& detail = {});

}  // namespace fovea

// An invariant of our own code; on in all builds. Text after the condition is optional detail.
// (Not called CHECK: Catch2 has that name.)
#define ENSURE(condition, ...)                                                            \
  do {                                                                                   \
    if (!(condition))                                                                    \
      ::fovea::ThrowCheckFailed(#condition, __FILE__, __LINE__ __VA_OPT__(, ) __VA_ARGS__); \
  } while (false)
