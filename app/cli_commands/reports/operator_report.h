// What `info --operators` reports: the attention operators and the presets of plans.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace fovea {

// {"operators": names, "details": [{"name", "what", "arguments": [{"name", "default", "help"}],
// "source", "cost", "refuses"}], "presets": [{"name", "about"}]}.
nlohmann::ordered_json DescribeOperators();

void PrintOperators(const nlohmann::ordered_json& report);

}  // namespace fovea
