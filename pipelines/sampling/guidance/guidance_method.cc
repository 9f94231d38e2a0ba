#include "pipelines/sampling/guidance/guidance_method.h"

#include <array>

#include "tensor/error.h"

namespace fovea {

std::span<const GuidanceMethodInfo> GuidanceMethods() {
  static const std::array kMethods = {CfgMethod(), CfgZeroStarMethod(), ApgMethod()};
  return kMethods;
}

std::unique_ptr<GuidanceMethod> MakeGuidanceMethod(const OperatorSpec& method, bool flow) {
  std::string known;
  for (const GuidanceMethodInfo& info : GuidanceMethods()) {
    if (info.name == method.name) {
      return info.make(OpArgs(info.name, info.args, method.params), flow);
    }
    known += (known.empty() ? "" : ", ") + std::string(info.name);
  }
  throw Error(ErrorCode::kUsage,
              "guidance: \"" + method.name.substr(0, 80) + "\" is not among " + known);
}

}  // namespace fovea
