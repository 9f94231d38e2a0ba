// The error of a kernel that a device lacks.
#pragma once

#include <string>
#include <string_view>

#include "tensor/context.h"

namespace fovea {

[[noreturn]] inline void NoKernel(const Context& ctx, std::string_view what) {
  throw Error(ErrorCode::kUnsupported,
              std::string(what) + " has no kernel for this device (" +
                  (ctx.backend.Kind() == DeviceKind::kCpu ? "cpu" : "cuda") + ")");
}

}  // namespace fovea
