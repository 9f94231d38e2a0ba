// The one table of checkpoint tensors that a model may leave unread.
#pragma once

#include <string_view>

namespace fovea {

// Training state, constants that we derive, and copies: nothing that changes a result.
bool IsIgnorable(std::string_view tensor_name);

}  // namespace fovea
