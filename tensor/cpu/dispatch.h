// From run-time values to template arguments: the element type of activations, the activation.
#pragma once

#include <string>
#include <type_traits>

#include "tensor/backend.h"

namespace fovea {

// Calls f(T{}) with T = float or BFloat16.
template <class F>
void DispatchActivationType(DType dtype, F&& f) {
  if (dtype == DType::kF32) {
    f(float{});
  } else {
    ENSURE(dtype == DType::kBF16, "activations of " + std::string(Name(dtype)));
    f(BFloat16{});
  }
}

// Calls f(std::integral_constant<Act, ...>{}).
template <class F>
void DispatchAct(Act act, F&& f) {
  switch (act) {
    case Act::kNone:
      return f(std::integral_constant<Act, Act::kNone>{});
    case Act::kSilu:
      return f(std::integral_constant<Act, Act::kSilu>{});
    case Act::kGeluErf:
      return f(std::integral_constant<Act, Act::kGeluErf>{});
    case Act::kGeluTanh:
      return f(std::integral_constant<Act, Act::kGeluTanh>{});
    case Act::kQuickGelu:
      return f(std::integral_constant<Act, Act::kQuickGelu>{});
    case Act::kRelu:
      return f(std::integral_constant<Act, Act::kRelu>{});
  }
}

}  // namespace fovea
