// A GPU that is not there: the driver's table, filled by the interpreter.
//
// Memory is the host's, closed to all but the driver's calls; streams do everything at once,
// modules are the PTX files of the build by the names of the embedded images. One device a process;
// tests run on one thread.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "tensor/cuda/driver.h"
#include "tests/ptx/launch.h"

namespace fovea::ptx {

struct Emulated {
  LaunchOptions options;
  std::map<std::string, Counters> counters;  // by kernel, since the last Clear
  std::map<std::string, int> launches;
  std::string error;  // of the last failure; as on a device, all calls fail after one
  // Changes the text of an image before it is parsed; for tests of what the checks find.
  std::function<std::string(const std::string& image, std::string text)> change;
  size_t limit = size_t{1} << 32;  // bytes of memory
  size_t in_use = 0;

  void Clear() {
    counters.clear();
    launches.clear();
    error.clear();
    options = {};
    change = nullptr;
  }
};

Emulated& TheEmulated();
const cuda::Driver& EmulatedDriver();
// Whether this build has PTX to run.
bool HasKernels();

}  // namespace fovea::ptx
