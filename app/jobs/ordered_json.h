// JSON whose order of keys matters, from strangers.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace fovea {

// Throws BrokenLine: text that is not JSON or not UTF-8, a key given twice, nesting over `depth`.
nlohmann::ordered_json ParseOrderedJson(std::string_view text, int depth);

}  // namespace fovea
