#include "tensor/make_backend.h"

namespace fovea {

std::unique_ptr<Backend> MakeBackend(DeviceKind device) {
  switch (device) {
    case DeviceKind::kCpu:
      return MakeCpuBackend();
    case DeviceKind::kCuda:
      break;
  }
  throw Error(ErrorCode::kDevice, "this build has no CUDA backend; compute on the CPU");
}

}  // namespace fovea
