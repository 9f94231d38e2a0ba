#include "tests/ptx/emulated_device.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <vector>

#include "tensor/cuda/kernel_images.h"
#include "tests/ptx/device_memory.h"
#include "tests/ptx/kernel.h"

namespace fovea::ptx {
namespace {

using cuda::Result;

constexpr Result kOk = cuda::kSuccess, kInvalidValue = 1, kNotFound = 500, kLaunchFailed = 719;

struct LoadedModule {
  Kernels kernels;
};
struct LoadedFunction {
  std::shared_ptr<const Kernel> kernel;
  int dynamic_shared = 48 << 10;
};

struct State {
  DeviceMemory memory;
  std::map<void*, size_t> pages;  // of each buffer, closed outside of the driver's calls
  std::vector<std::unique_ptr<LoadedModule>> modules;
  std::vector<std::unique_ptr<LoadedFunction>> functions;
};

State& TheState() {
  static State state;
  return state;
}

// Device memory is no memory to the host: whoever touches it outside of the driver's calls dies.
class Opened {
 public:
  Opened() { Protect(PROT_READ | PROT_WRITE); }
  ~Opened() { Protect(PROT_NONE); }

 private:
  static void Protect(int how) {
    for (const auto& [memory, bytes] : TheState().pages) mprotect(memory, bytes, how);
  }
};

bool Broken() {
  return !TheEmulated().error.empty();
}

Result Fail(const std::string& what) {
  TheEmulated().error = what;
  return kLaunchFailed;
}

// The whole range must lie in one buffer.
Result CheckRange(cuda::Address address, size_t bytes) {
  if (Broken()) return kLaunchFailed;
  if (bytes == 0 || TheState().memory.Find(address, bytes)) return kOk;
  return Fail("a copy of " + std::to_string(bytes) + " bytes " +
              TheState().memory.Nearest(address));
}

Result Copy(void* to, const void* from, size_t bytes) {
  const Opened opened;
  std::memmove(to, from, bytes);
  return kOk;
}

Result LoadModule(cuda::Module* module, const void* image) {
  for (const cuda::KernelImage& each : cuda::KernelImages()) {
    if (each.bytes.data() != image) continue;
    // Parsed once a process; the file is the build's.
    static std::map<std::string, Kernels, std::less<>> parsed;
    if (const auto known = parsed.find(each.name); known != parsed.end() && !TheEmulated().change) {
      TheState().modules.push_back(std::make_unique<LoadedModule>(LoadedModule{known->second}));
      *module = reinterpret_cast<cuda::Module>(TheState().modules.back().get());
      return kOk;
    }
    std::ifstream file(std::string(FOVEA_PTX_DIR) + "/" + std::string(each.name) + ".ptx");
    std::stringstream text;
    text << file.rdbuf();
    if (!file) return kNotFound;
    TheState().modules.push_back(std::make_unique<LoadedModule>());
    Kernels& kernels = TheState().modules.back()->kernels;
    if (TheEmulated().change) {
      kernels = ParsePtx(TheEmulated().change(std::string(each.name), text.str()));
    } else {
      kernels = parsed[std::string(each.name)] = ParsePtx(text.str());
    }
    *module = reinterpret_cast<cuda::Module>(TheState().modules.back().get());
    return kOk;
  }
  return kInvalidValue;
}

Result GetFunction(cuda::Function* function, cuda::Module module, const char* name) {
  const Kernels& kernels = reinterpret_cast<LoadedModule*>(module)->kernels;
  const auto it = kernels.find(name);
  if (it == kernels.end()) return kNotFound;
  TheState().functions.push_back(std::make_unique<LoadedFunction>());
  TheState().functions.back()->kernel = it->second;
  *function = reinterpret_cast<cuda::Function>(TheState().functions.back().get());
  return kOk;
}

Result LaunchKernel(cuda::Function function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                    unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                    cuda::Stream, void** parameters, void** extra) {
  if (Broken()) return kLaunchFailed;
  const auto& loaded = *reinterpret_cast<LoadedFunction*>(function);
  const Kernel& kernel = *loaded.kernel;
  if (extra || static_cast<int>(shared_bytes + kernel.static_shared) > loaded.dynamic_shared) {
    return kInvalidValue;
  }
  std::vector<uint8_t> packed(static_cast<size_t>(kernel.parameters_bytes));
  for (size_t i = 0; i < kernel.parameter_offset.size(); ++i) {
    std::memcpy(packed.data() + kernel.parameter_offset[i], parameters[i],
                static_cast<size_t>(kernel.parameter_bytes[i]));
  }
  const Opened opened;
  Emulated& emulated = TheEmulated();
  ++emulated.launches[kernel.name];
  try {
    Launch(kernel, TheState().memory, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z},
           shared_bytes, packed.data(), emulated.options, emulated.counters[kernel.name]);
  } catch (const PtxError& error) {
    return Fail(error.what());
  }
  return kOk;
}

Result Allocate(cuda::Address* address, size_t bytes) {
  Emulated& emulated = TheEmulated();
  if (bytes == 0) return kInvalidValue;
  if (bytes > emulated.limit - emulated.in_use) return cuda::kOutOfMemory;
  const size_t rounded = (bytes + 4095) / 4096 * 4096;
  void* const memory =
      mmap(nullptr, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return cuda::kOutOfMemory;
  std::memset(memory, 0xff, rounded);  // NaN
  mprotect(memory, rounded, PROT_NONE);
  TheState().pages[memory] = rounded;
  TheState().memory.Add(memory, bytes, "of " + std::to_string(bytes) + " bytes");
  emulated.in_use += bytes;
  *address = reinterpret_cast<cuda::Address>(memory);
  return kOk;
}

Result Free(cuda::Address address) {
  void* const memory = reinterpret_cast<void*>(address);
  if (!TheState().memory.Has(memory)) return kInvalidValue;
  TheEmulated().in_use -= TheState().memory.Bytes(memory);
  TheState().memory.Remove(memory);
  munmap(memory, TheState().pages.at(memory));
  TheState().pages.erase(memory);
  return kOk;
}

cuda::Driver Fill() {
  cuda::Driver d;
  d.Init = [](unsigned) { return kOk; };
  d.DriverGetVersion = [](int* version) { return *version = cuda::kDriverFloor, kOk; };
  d.GetErrorName = [](Result, const char** name) { return *name = "EMULATED_ERROR", kOk; };
  d.GetErrorString = [](Result error, const char** text) {
    static std::string kept;
    kept = error == cuda::kOutOfMemory ? "out of memory" : TheEmulated().error;
    return *text = kept.c_str(), kOk;
  };
  d.DeviceGetCount = [](int* count) { return *count = 1, kOk; };
  d.DeviceGet = [](cuda::Ordinal* device, int index) {
    *device = index;
    return index == 0 ? kOk : 101;
  };
  d.DeviceGetName = [](char* name, int size, cuda::Ordinal) {
    std::strncpy(name, "emulated", static_cast<size_t>(size));
    return kOk;
  };
  d.DeviceGetAttribute = [](int* value, int key, cuda::Ordinal) {
    *value = key == cuda::kMajor              ? 8
             : key == cuda::kMinor            ? 0
             : key == cuda::kSharedBytesOptIn ? 163 << 10
                                              : 1;
    return kOk;
  };
  d.DeviceTotalMem = [](size_t* bytes, cuda::Ordinal) { return *bytes = TheEmulated().limit, kOk; };
  d.PrimaryCtxRetain = [](cuda::PrimaryContext* context, cuda::Ordinal) {
    *context = reinterpret_cast<cuda::PrimaryContext>(&TheState());
    return kOk;
  };
  d.PrimaryCtxRelease = [](cuda::Ordinal) { return kOk; };
  d.CtxSetCurrent = [](cuda::PrimaryContext) { return kOk; };
  d.MemGetInfo = [](size_t* free, size_t* total) {
    *total = TheEmulated().limit;
    *free = *total - TheEmulated().in_use;
    return kOk;
  };
  d.MemAlloc = Allocate;
  d.MemFree = Free;
  d.MemHostAlloc = [](void** memory, size_t bytes, unsigned) {
    return (*memory = std::malloc(bytes)) ? kOk : cuda::kOutOfMemory;
  };
  d.MemFreeHost = [](void* memory) { return std::free(memory), kOk; };
  d.CopyToDevice = [](cuda::Address to, const void* from, size_t bytes, cuda::Stream) {
    const Result result = CheckRange(to, bytes);
    return result ? result : Copy(reinterpret_cast<void*>(to), from, bytes);
  };
  d.CopyToHost = [](void* to, cuda::Address from, size_t bytes, cuda::Stream) {
    const Result result = CheckRange(from, bytes);
    return result ? result : Copy(to, reinterpret_cast<const void*>(from), bytes);
  };
  d.CopyOnDevice = [](cuda::Address to, cuda::Address from, size_t bytes, cuda::Stream) {
    Result result = CheckRange(to, bytes);
    if (!result) result = CheckRange(from, bytes);
    return result ? result
                  : Copy(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
  };
  d.StreamCreate = [](cuda::Stream* stream, unsigned) {
    *stream = reinterpret_cast<cuda::Stream>(&TheState());
    return kOk;
  };
  d.StreamDestroy = [](cuda::Stream) { return kOk; };
  d.StreamSynchronize = [](cuda::Stream) { return Broken() ? kLaunchFailed : kOk; };
  d.ModuleLoadData = LoadModule;
  d.ModuleUnload = [](cuda::Module) { return kOk; };
  d.ModuleGetFunction = GetFunction;
  d.FuncSetAttribute = [](cuda::Function function, int key, int value) {
    if (key != cuda::kMaxDynamicShared || value > (163 << 10)) return kInvalidValue;
    reinterpret_cast<LoadedFunction*>(function)->dynamic_shared = value;
    return kOk;
  };
  d.FuncGetAttribute = [](int* value, int, cuda::Function) { return *value = 0, kOk; };
  d.LaunchKernel = LaunchKernel;
  return d;
}

}  // namespace

Emulated& TheEmulated() {
  static Emulated emulated;
  return emulated;
}

const cuda::Driver& EmulatedDriver() {
  static const cuda::Driver driver = Fill();
  return driver;
}

bool HasKernels() {
  return !cuda::KernelImages().empty();
}

}  // namespace fovea::ptx
