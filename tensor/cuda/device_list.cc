#include "tensor/cuda/device_list.h"

#include "tensor/cuda/kernel_images.h"
#include "tensor/error.h"

namespace fovea::cuda {
namespace {

std::string Version(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

DeviceInfo Describe(const Driver& driver, int index) {
  DeviceInfo info;
  info.index = index;
  Ordinal device = 0;
  Check(driver, driver.DeviceGet(&device, index), "device " + std::to_string(index));
  const auto attribute = [&](int key) {
    int value = 0;
    Check(driver, driver.DeviceGetAttribute(&value, key, device), "attributes of a device");
    return value;
  };
  char name[256] = {};
  Check(driver, driver.DeviceGetName(name, sizeof name - 1, device), "name of a device");
  info.name = name;
  info.major = attribute(kMajor);
  info.minor = attribute(kMinor);
  info.multiprocessors = attribute(kMultiprocessors);
  info.clock_khz = attribute(kClockKhz);
  info.l2_bytes = static_cast<size_t>(attribute(kL2Bytes));
  info.shared_bytes = static_cast<size_t>(attribute(kSharedBytesOptIn));
  Check(driver, driver.DeviceTotalMem(&info.bytes, device), "memory of a device");
  if (info.major < 8) {
    info.problem = "compute capability " + std::to_string(info.major) + "." +
                   std::to_string(info.minor) +
                   "; the kernels need 8.0 (Ampere) or later: bf16 products, asynchronous copies";
  }
  return info;
}

}  // namespace

DeviceList ListDevices(const DriverSearch& search) {
  DeviceList list;
  if (!search.driver) {
    list.problem = search.problem;
    return list;
  }
  const Driver& driver = *search.driver;
  Check(driver, driver.DriverGetVersion(&list.driver_version), "version of the driver");
  int count = 0;
  Check(driver, driver.DeviceGetCount(&count), "number of devices");
  for (int i = 0; i < count; ++i) list.devices.push_back(Describe(driver, i));
  if (count == 0) list.problem = "the driver finds no GPU";
  if (list.driver_version >= kDriverFloor) return list;
  for (DeviceInfo& each : list.devices) {
    each.problem = "the driver knows CUDA " + Version(list.driver_version) + "; the kernels need " +
                   Version(kDriverFloor) + ", which is driver 580";
  }
  return list;
}

void EnsureUsable(const Driver& driver, int index) {
  const std::string name = "cuda:" + std::to_string(index);
  if (KernelImages().empty()) {
    throw Error(ErrorCode::kDevice,
                name + ": this build was made without nvcc and has no kernels; compute on the CPU");
  }
  const DeviceList list = ListDevices({&driver, ""});
  if (index < 0 || static_cast<size_t>(index) >= list.devices.size()) {
    throw Error(ErrorCode::kDevice, name + ": the driver lists " +
                                        std::to_string(list.devices.size()) +
                                        " devices; fovea info --devices shows them");
  }
  const DeviceInfo& info = list.devices[static_cast<size_t>(index)];
  if (info.problem.empty()) return;
  throw Error(ErrorCode::kDevice, name + " (" + info.name + "): " + info.problem);
}

std::string KernelArchitectures() {
  return std::string(ImageArchitectures());
}

size_t KernelBytes() {
  size_t bytes = 0;
  for (const KernelImage& image : KernelImages()) bytes += image.bytes.size();
  return bytes;
}

}  // namespace fovea::cuda
