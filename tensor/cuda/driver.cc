#include "tensor/cuda/driver.h"

#include <dlfcn.h>

#include "tensor/error.h"

namespace fovea::cuda {
namespace {

std::string ErrorName(const Driver& driver, Result result) {
  const char *name = nullptr, *text = nullptr;
  if (driver.GetErrorName(result, &name) != kSuccess || !name) {
    return "error " + std::to_string(result);
  }
  if (driver.GetErrorString(result, &text) != kSuccess || !text) return name;
  return std::string(name) + ": " + text;
}

// Fills the table; names what is missing.
std::string FillTable(void* library, Driver& driver) {
#define FOVEA_CUDA_ENTRY(name, symbol, arguments)                                 \
  driver.name = reinterpret_cast<decltype(driver.name)>(dlsym(library, #symbol)); \
  if (!driver.name)                                                               \
    return std::string("the driver has no ") + #symbol + "; install driver 580 or later";
  FOVEA_CUDA_DRIVER(FOVEA_CUDA_ENTRY)
#undef FOVEA_CUDA_ENTRY
  return {};
}

std::string Start(const Driver& driver) {
  const Result result = driver.Init(0);
  if (result == kNoDevice) return "the driver finds no GPU";
  if (result == kStub) return "libcuda.so.1 is the toolkit's stub; install NVIDIA's driver";
  if (result != kSuccess) return "the driver does not start: " + ErrorName(driver, result);
  return {};
}

}  // namespace

DriverSearch OpenDriver(const char* library) {
  void* const handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    return {nullptr, std::string("no NVIDIA driver: ") + library +
                         " cannot be opened; install driver 580 or later"};
  }
  Driver filled;
  DriverSearch search;
  search.problem = FillTable(handle, filled);
  if (search.problem.empty()) search.problem = Start(filled);
  if (!search.problem.empty()) {
    dlclose(handle);
    return search;
  }
  // The library stays open: its threads and its primary context outlive whoever asked first.
  static const Driver started = filled;
  search.driver = &started;
  return search;
}

void Check(const Driver& driver, Result result, std::string_view what) {
  if (result == kSuccess) return;
  throw Error(result == kOutOfMemory ? ErrorCode::kOutOfMemory : ErrorCode::kDevice,
              "CUDA, " + std::string(what) + ": " + ErrorName(driver, result));
}

}  // namespace fovea::cuda
