#include "tensor/backend.h"

namespace fovea {

std::string_view Name(Act act) {
  switch (act) {
    case Act::kNone:
      return "none";
    case Act::kSilu:
      return "silu";
    case Act::kGeluErf:
      return "gelu";
    case Act::kGeluTanh:
      return "gelu_tanh";
    case Act::kQuickGelu:
      return "quick_gelu";
    case Act::kRelu:
      return "relu";
  }
  return "unknown";
}

}  // namespace fovea
