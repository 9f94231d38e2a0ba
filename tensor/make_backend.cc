#include "tensor/make_backend.h"

#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/device_list.h"

namespace fovea {
namespace {

const cuda::Driver& DriverOrThrow(int index) {
  const cuda::DriverSearch search = cuda::OpenDriver();
  if (search.driver) return *search.driver;
  throw Error(ErrorCode::kDevice,
              "cuda:" + std::to_string(index) + ": " + search.problem + "; or compute on the CPU");
}

}  // namespace

std::unique_ptr<Backend> MakeBackend(DeviceKind device, int index) {
  if (device == DeviceKind::kCpu) return MakeCpuBackend();
  return MakeCudaBackend(std::make_unique<cuda::Device>(DriverOrThrow(index), index));
}

void EnsureDevice(DeviceKind device, int index) {
  if (device == DeviceKind::kCpu) return;
  cuda::EnsureUsable(DriverOrThrow(index), index);
}

}  // namespace fovea
