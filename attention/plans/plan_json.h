// The JSON form of an attention plan.
#pragma once

#include <string>
#include <string_view>

namespace fovea {

// Whether a plan is in its JSON form: it begins with "{" and a quote. "{a,b}.*: dense" is a glob.
bool IsPlanJson(std::string_view text);

// The same plan in the grammar of plan.h. Throws kUsage. Depth and size are bounded; fuzzed through
// AttentionPlan::Parse.
std::string PlanFromJson(std::string_view text);

}  // namespace fovea
