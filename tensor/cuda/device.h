// One GPU in use: its memory, its one stream, its kernels by name.
//
// Everything runs in one stream, in the order of the calls; only CopyToHost and Synchronize wait.
// An error of the device is final: every later call fails, too. One thread at a time.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "tensor/cuda/driver.h"

namespace fovea::cuda {

struct Grid {
  int64_t x = 1, y = 1, z = 1;
};

class Device {
 public:
  // `driver` must outlive the result. Throws kDevice for a device that is not there or too old, or
  // where this build has no kernels.
  Device(const Driver& driver, int index);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  Address Allocate(size_t bytes);  // 256-byte aligned; throws kOutOfMemory
  void Free(Address address) noexcept;
  // `from` may be changed once this returns.
  void CopyToDevice(Address to, const void* from, size_t bytes);
  void CopyToHost(void* to, Address from, size_t bytes);
  void CopyOnDevice(Address to, Address from, size_t bytes);
  void Synchronize();

  // The kernel of an image ("elementwise"); blocks beyond the device's limit throw kUnsupported.
  template <class Params>
  void Launch(std::string_view image, const std::string& kernel, Grid blocks, int threads,
              const Params& params, size_t dynamic_shared = 0) {
    Params copy = params;
    void* list[] = {&copy};
    LaunchRaw(image, kernel, blocks, threads, dynamic_shared, list);
  }

 private:
  void LaunchRaw(std::string_view image, const std::string& kernel, Grid blocks, int threads,
                 size_t dynamic_shared, void** params);
  Function Find(std::string_view image, const std::string& kernel);
  void Enter();  // this context is the thread's
  void Check(Result result, std::string_view what) const { cuda::Check(driver_, result, what); }

  const Driver& driver_;
  Ordinal ordinal_ = 0;
  PrimaryContext context_ = nullptr;
  Stream stream_ = nullptr;
  std::map<std::string, Module, std::less<>> modules_;
  std::map<std::string, Function> functions_;
  std::map<Function, size_t> allowed_shared_;
};

}  // namespace fovea::cuda
