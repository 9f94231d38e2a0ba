// The driver's table without a driver: what is said of one that is missing, and the declarations
// beside those of the toolkit's header where there is one.
#include "tensor/cuda/driver.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <type_traits>

#include "tensor/cuda/device_list.h"
#include "tensor/cuda/kernel_images.h"
#include "tensor/error.h"

#if __has_include(<cuda.h>)
#include <cuda.h>
#define FOVEA_HAS_CUDA_H 1
#endif

namespace fovea {
namespace {

using Catch::Contains;

#ifdef FOVEA_HAS_CUDA_H
template <class Ours, class Theirs>
constexpr bool kSameKind =
    sizeof(Ours) == sizeof(Theirs) && std::is_pointer_v<Ours> == std::is_pointer_v<Theirs>;
template <class... Ours, class... Theirs>
constexpr bool SameCall(cuda::Result (*)(Ours...), CUresult (*)(Theirs...)) {
  if constexpr (sizeof...(Ours) != sizeof...(Theirs)) {
    return false;
  } else {
    return (kSameKind<Ours, Theirs> && ...);
  }
}
#define FOVEA_CUDA_ENTRY(name, symbol, arguments) \
  static_assert(SameCall(decltype(cuda::Driver::name){}, decltype(&symbol){}), #symbol);
FOVEA_CUDA_DRIVER(FOVEA_CUDA_ENTRY)
#undef FOVEA_CUDA_ENTRY
static_assert(cuda::kOutOfMemory == CUDA_ERROR_OUT_OF_MEMORY);
static_assert(cuda::kStub == CUDA_ERROR_STUB_LIBRARY && cuda::kNoDevice == CUDA_ERROR_NO_DEVICE);
static_assert(cuda::kClockKhz == CU_DEVICE_ATTRIBUTE_CLOCK_RATE);
static_assert(cuda::kMultiprocessors == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
static_assert(cuda::kMemoryClockKhz == CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE);
static_assert(cuda::kMemoryBusBits == CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH);
static_assert(cuda::kL2Bytes == CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
static_assert(cuda::kMajor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
static_assert(cuda::kMinor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
static_assert(cuda::kSharedBytesOptIn == CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
static_assert(cuda::kRegisters == CU_FUNC_ATTRIBUTE_NUM_REGS);
static_assert(cuda::kMaxDynamicShared == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
static_assert(cuda::kNonBlocking == CU_STREAM_NON_BLOCKING);
#endif

TEST_CASE("cuda driver: a library that is missing or another one is a sentence") {
  const cuda::DriverSearch none = cuda::OpenDriver("libno-such-driver.so.1");
  CHECK(none.driver == nullptr);
  CHECK_THAT(none.problem, Contains("no NVIDIA driver") && Contains("libno-such-driver.so.1"));
  const cuda::DriverSearch other = cuda::OpenDriver("libm.so.6");
  CHECK(other.driver == nullptr);
  CHECK_THAT(other.problem, Contains("cuInit") && Contains("580"));
  const cuda::DeviceList list = cuda::ListDevices(none);
  CHECK(list.problem == none.problem);
  CHECK(list.devices.empty());
}

// Two devices: a Turing and a Hopper.
cuda::Driver TwoDevices() {
  cuda::Driver driver;
  driver.DriverGetVersion = [](int* version) { return *version = 13000, cuda::kSuccess; };
  driver.DeviceGetCount = [](int* count) { return *count = 2, cuda::kSuccess; };
  driver.DeviceGet = [](cuda::Ordinal* device, int index) {
    return *device = index, cuda::kSuccess;
  };
  driver.DeviceGetName = [](char* name, int, cuda::Ordinal device) {
    std::strcpy(name, device == 0 ? "older" : "newer");
    return cuda::kSuccess;
  };
  driver.DeviceGetAttribute = [](int* value, int key, cuda::Ordinal device) {
    *value = key == cuda::kMajor ? (device == 0 ? 7 : 9) : key == cuda::kMinor ? 5 : 1000;
    return cuda::kSuccess;
  };
  driver.DeviceTotalMem = [](size_t* bytes, cuda::Ordinal) {
    return *bytes = size_t{1} << 37, cuda::kSuccess;
  };
  driver.GetErrorName = [](cuda::Result, const char** name) {
    return *name = "CUDA_ERROR_ECC_UNCORRECTABLE", cuda::kSuccess;
  };
  driver.GetErrorString = [](cuda::Result, const char** text) {
    return *text = "uncorrectable ECC error", cuda::kSuccess;
  };
  return driver;
}

TEST_CASE("cuda devices: what cannot be used says why") {
  cuda::Driver driver = TwoDevices();
  const cuda::DeviceList list = cuda::ListDevices({&driver, ""});
  CHECK(list.problem.empty());
  REQUIRE(list.devices.size() == 2);
  CHECK_THAT(list.devices[0].problem, Contains("7.5") && Contains("8.0"));
  CHECK(list.devices[1].problem.empty());
  CHECK(list.devices[1].name == "newer");
  CHECK(list.devices[1].bytes == size_t{1} << 37);

  driver.DriverGetVersion = [](int* version) { return *version = 12080, cuda::kSuccess; };
  for (const cuda::DeviceInfo& each : cuda::ListDevices({&driver, ""}).devices) {
    CHECK_THAT(each.problem, Contains("12.8") && Contains("13.0") && Contains("580"));
  }

  driver.DeviceGetCount = [](int*) { return 214; };
  CHECK_THROWS_WITH(cuda::ListDevices({&driver, ""}),
                    Contains("CUDA_ERROR_ECC_UNCORRECTABLE") && Contains("number of devices"));
}

TEST_CASE("cuda kernels: each image is a fatbin, or there is none at all") {
  CHECK(cuda::KernelImages().empty() == cuda::KernelArchitectures().empty());
  for (const cuda::KernelImage& image : cuda::KernelImages()) {
    INFO(image.name);
    uint32_t magic = 0;
    REQUIRE(image.bytes.size() > 64);
    std::memcpy(&magic, image.bytes.data(), sizeof magic);
    CHECK(magic == 0xba55ed50);
  }
}

}  // namespace
}  // namespace fovea
