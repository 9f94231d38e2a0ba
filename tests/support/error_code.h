// The code of the Error that a call throws; other exceptions pass.
#pragma once

#include <catch2/catch.hpp>

#include "tensor/error.h"

namespace fovea {

// kInternal where nothing is thrown.
template <class Function>
ErrorCode CodeOf(Function function) {
  try {
    function();
  } catch (const Error& error) {
    UNSCOPED_INFO(error.what());
    return error.code;
  }
  return ErrorCode::kInternal;
}

}  // namespace fovea
