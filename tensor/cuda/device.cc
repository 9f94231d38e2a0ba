#include "tensor/cuda/device.h"

#include <limits>

#include "tensor/cuda/device_list.h"
#include "tensor/cuda/kernel_images.h"
#include "tensor/error.h"

namespace fovea::cuda {
namespace {

// Beyond it a kernel must be told (cuFuncSetAttribute).
constexpr size_t kPlainShared = 48 << 10;

}  // namespace

Device::Device(const Driver& driver, int index) : driver_(driver) {
  EnsureUsable(driver, index);
  const std::string name = "cuda:" + std::to_string(index);
  Check(driver_.DeviceGet(&ordinal_, index), name);
  Check(driver_.PrimaryCtxRetain(&context_, ordinal_), "context of " + name);
  Enter();
  Check(driver_.StreamCreate(&stream_, kNonBlocking), "stream");
}

Device::~Device() {
  driver_.CtxSetCurrent(context_);
  if (stream_) driver_.StreamDestroy(stream_);
  for (const auto& [name, module] : modules_) driver_.ModuleUnload(module);
  driver_.PrimaryCtxRelease(ordinal_);
}

void Device::Enter() {
  Check(driver_.CtxSetCurrent(context_), "context");
}

Address Device::Allocate(size_t bytes) {
  Enter();
  Address address = 0;
  Check(driver_.MemAlloc(&address, bytes > 0 ? bytes : 1),
        "allocation of " + std::to_string(bytes) + " bytes");
  return address;
}

void Device::Free(Address address) noexcept {
  // After an error nothing can be freed, and the context takes all with it.
  driver_.CtxSetCurrent(context_);
  driver_.MemFree(address);
}

void Device::CopyToDevice(Address to, const void* from, size_t bytes) {
  if (bytes == 0) return;
  Enter();
  Check(driver_.CopyToDevice(to, from, bytes, stream_), "copy to the device");
}

void Device::CopyToHost(void* to, Address from, size_t bytes) {
  if (bytes == 0) return;
  Enter();
  Check(driver_.CopyToHost(to, from, bytes, stream_), "copy from the device");
  Synchronize();
}

void Device::CopyOnDevice(Address to, Address from, size_t bytes) {
  if (bytes == 0) return;
  Enter();
  Check(driver_.CopyOnDevice(to, from, bytes, stream_), "copy on the device");
}

void Device::Synchronize() {
  Enter();
  Check(driver_.StreamSynchronize(stream_), "kernels that ran");
}

Function Device::Find(std::string_view image, const std::string& kernel) {
  const auto known = functions_.find(kernel);
  if (known != functions_.end()) return known->second;
  auto module = modules_.find(image);
  if (module == modules_.end()) {
    const KernelImage* found = nullptr;
    for (const KernelImage& each : KernelImages()) {
      if (each.name == image) found = &each;
    }
    ENSURE(found, std::string(image));
    Module loaded = nullptr;
    Check(driver_.ModuleLoadData(&loaded, found->bytes.data()),
          "kernels '" + std::string(image) + "'");
    module = modules_.emplace(std::string(image), loaded).first;
  }
  Function function = nullptr;
  Check(driver_.ModuleGetFunction(&function, module->second, kernel.c_str()),
        "kernel '" + kernel + "'");
  functions_.emplace(kernel, function);
  return function;
}

void Device::LaunchRaw(std::string_view image, const std::string& kernel, Grid blocks, int threads,
                       size_t dynamic_shared, void** params) {
  if (blocks.x == 0 || blocks.y == 0 || blocks.z == 0) return;
  if (blocks.x > std::numeric_limits<int32_t>::max() || blocks.y > 65535 || blocks.z > 65535) {
    throw Error(ErrorCode::kUnsupported, "CUDA, " + kernel + ": a grid of " +
                                             std::to_string(blocks.x) + " x " +
                                             std::to_string(blocks.y) + " x " +
                                             std::to_string(blocks.z) + " blocks is too large");
  }
  Enter();
  const Function function = Find(image, kernel);
  if (dynamic_shared > kPlainShared && allowed_shared_[function] < dynamic_shared) {
    Check(driver_.FuncSetAttribute(function, kMaxDynamicShared, static_cast<int>(dynamic_shared)),
          "shared memory of " + kernel);
    allowed_shared_[function] = dynamic_shared;
  }
  Check(driver_.LaunchKernel(function, static_cast<unsigned>(blocks.x),
                             static_cast<unsigned>(blocks.y), static_cast<unsigned>(blocks.z),
                             static_cast<unsigned>(threads), 1, 1,
                             static_cast<unsigned>(dynamic_shared), stream_, params, nullptr),
        kernel);
}

}  // namespace fovea::cuda
