// The attention plan that a person names: the plan itself, "@FILE" or "preset:NAME".
//
// A plan file holds the grammar or the JSON form of attention/plans/plan.h. In the grammar, line
// breaks are blanks, and a line whose first character besides blanks is "#" is a comment. A preset
// is such a file in assets/plans; its first comment line says what it is for.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "attention/plans/plan.h"

namespace fovea {

struct PlanPreset {
  std::string name, about;
};

// The presets NAME.plan of a folder, by name; none if there is no such folder.
std::vector<PlanPreset> ListPlanPresets(const std::filesystem::path& folder);

// `presets` is the folder of the presets. Text() of the result no longer refers to any file.
// Throws kUsage for a plan that does not parse and for an unknown preset, listing those that there
// are; kBadFile for a file that cannot be read or holds no rule.
AttentionPlan ReadPlan(std::string_view argument, const std::filesystem::path& presets);

}  // namespace fovea
