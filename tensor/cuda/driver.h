// Which functions of NVIDIA's driver do we call, and what if there is no driver?
//
// The driver is opened at run time: programs link no CUDA library and run on machines without one.
// The types and numbers are those of the driver's stable ABI, declared here so that a build needs
// no toolkit; tests/tensor/cuda/driver_test.cc compares them with cuda.h where there is one. The
// tests fill the same table with an interpreter of kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace fovea::cuda {

using Result = int;                            // CUresult
using Ordinal = int;                           // CUdevice
using Address = uint64_t;                      // CUdeviceptr
using PrimaryContext = struct ContextRecord*;  // CUcontext
using Stream = struct StreamRecord*;           // CUstream
using Module = struct ModuleRecord*;           // CUmodule
using Function = struct FunctionRecord*;       // CUfunction

inline constexpr Result kSuccess = 0, kOutOfMemory = 2, kStub = 34, kNoDevice = 100;

// CUdevice_attribute
inline constexpr int kClockKhz = 13, kMultiprocessors = 16, kMemoryClockKhz = 36,
                     kMemoryBusBits = 37, kL2Bytes = 38, kMajor = 75, kMinor = 76,
                     kSharedBytesOptIn = 97;
// CUfunction_attribute
inline constexpr int kRegisters = 4, kMaxDynamicShared = 8;
inline constexpr unsigned kNonBlocking = 1;  // CUstream_flags

// (name here, symbol, arguments)
#define FOVEA_CUDA_DRIVER(X)                                                                     \
  X(Init, cuInit, (unsigned flags))                                                              \
  X(DriverGetVersion, cuDriverGetVersion, (int* version))                                        \
  X(GetErrorName, cuGetErrorName, (Result error, const char** name))                             \
  X(GetErrorString, cuGetErrorString, (Result error, const char** text))                         \
  X(DeviceGetCount, cuDeviceGetCount, (int* count))                                              \
  X(DeviceGet, cuDeviceGet, (Ordinal * device, int index))                                       \
  X(DeviceGetName, cuDeviceGetName, (char* name, int size, Ordinal device))                      \
  X(DeviceGetAttribute, cuDeviceGetAttribute, (int* value, int key, Ordinal device))             \
  X(DeviceTotalMem, cuDeviceTotalMem_v2, (size_t * bytes, Ordinal device))                       \
  X(PrimaryCtxRetain, cuDevicePrimaryCtxRetain, (PrimaryContext * context, Ordinal device))      \
  X(PrimaryCtxRelease, cuDevicePrimaryCtxRelease_v2, (Ordinal device))                           \
  X(CtxSetCurrent, cuCtxSetCurrent, (PrimaryContext context))                                    \
  X(MemGetInfo, cuMemGetInfo_v2, (size_t * free, size_t * total))                                \
  X(MemAlloc, cuMemAlloc_v2, (Address * address, size_t bytes))                                  \
  X(MemFree, cuMemFree_v2, (Address address))                                                    \
  X(MemHostAlloc, cuMemHostAlloc, (void** memory, size_t bytes, unsigned flags))                 \
  X(MemFreeHost, cuMemFreeHost, (void* memory))                                                  \
  X(CopyToDevice, cuMemcpyHtoDAsync_v2,                                                          \
    (Address to, const void* from, size_t bytes, Stream stream))                                 \
  X(CopyToHost, cuMemcpyDtoHAsync_v2, (void* to, Address from, size_t bytes, Stream stream))     \
  X(CopyOnDevice, cuMemcpyDtoDAsync_v2, (Address to, Address from, size_t bytes, Stream stream)) \
  X(StreamCreate, cuStreamCreate, (Stream * stream, unsigned flags))                             \
  X(StreamDestroy, cuStreamDestroy_v2, (Stream stream))                                          \
  X(StreamSynchronize, cuStreamSynchronize, (Stream stream))                                     \
  X(ModuleLoadData, cuModuleLoadData, (Module * module, const void* image))                      \
  X(ModuleUnload, cuModuleUnload, (Module module))                                               \
  X(ModuleGetFunction, cuModuleGetFunction,                                                      \
    (Function * function, Module module, const char* name))                                      \
  X(FuncSetAttribute, cuFuncSetAttribute, (Function function, int key, int value))               \
  X(FuncGetAttribute, cuFuncGetAttribute, (int* value, int key, Function function))              \
  X(LaunchKernel, cuLaunchKernel,                                                                \
    (Function function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,     \
     unsigned block_y, unsigned block_z, unsigned shared_bytes, Stream stream, void** params,    \
     void** extra))

struct Driver {
#define FOVEA_CUDA_ENTRY(name, symbol, arguments) Result(*name) arguments = nullptr;
  FOVEA_CUDA_DRIVER(FOVEA_CUDA_ENTRY)
#undef FOVEA_CUDA_ENTRY
};

// What the kernels' cubins need: CUDA 13.0, driver 580.
inline constexpr int kDriverFloor = 13000;

struct DriverSearch {
  const Driver* driver = nullptr;  // null: see `problem`; lives as long as the program
  std::string problem;             // one sentence
};

// Opens the library and starts it. No call of the driver is made before this one, and no other
// library is loaded. Any thread; a process that forks must do so before.
DriverSearch OpenDriver(const char* library = "libcuda.so.1");

// Throws kDevice, or kOutOfMemory, with the driver's own name of the error.
void Check(const Driver& driver, Result result, std::string_view what);

}  // namespace fovea::cuda
