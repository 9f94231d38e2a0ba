#include "app/process/exit_code.h"

#include <exception>
#include <new>

namespace fovea {

ExitCode ExitCodeOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInternal:
      return kExitInternal;
    case ErrorCode::kUsage:
      return kExitUsage;
    case ErrorCode::kBadFile:
      return kExitBadFile;
    case ErrorCode::kUnsupported:
      return kExitUnsupported;
    case ErrorCode::kOutOfMemory:
      return kExitOutOfMemory;
    case ErrorCode::kDevice:
      return kExitDevice;
  }
  return kExitInternal;
}

Failure DescribeCurrentException() {
  try {
    throw;
  } catch (const Cancelled& cancelled) {
    const std::string written = cancelled.written == 0
                                    ? "nothing was written"
                                    : std::to_string(cancelled.written) + " of " +
                                          std::to_string(cancelled.of) + " pictures were written";
    return {kExitCancelled, "cancelled; " + written};
  } catch (const Error& error) {
    return {ExitCodeOf(error.code), OneLine(error.what())};
  } catch (const std::bad_alloc&) {
    return {kExitOutOfMemory, "out of memory; make the picture or the batch smaller"};
  } catch (const std::exception& error) {
    return {kExitInternal, OneLine(std::string("internal error: ") + error.what())};
  } catch (...) {
    return {kExitInternal, "internal error of an unknown kind"};
  }
}

std::string OneLine(const std::string& text) {
  std::string line = text;
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return line;
}

}  // namespace fovea
