// The perturbed heads that a person names with --perturb: a list itself, "@FILE" or "preset:NAME".
//
// A file holds a list (attention/heads/perturbation_list.h), and may say in lines "kind: TEXT",
// "scope: TEXT", "scale: NUMBER" and "steps: RANGE" what the flags of these names would. A "#"
// begins a comment. A preset is such a file in assets/perturbs, NAME.perturb; its first comment
// line says what it is for.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "attention/heads/perturbation_list.h"

namespace fovea {

struct PerturbSource {
  PerturbList list;
  std::optional<std::string> kind, scope, steps;  // checked
  std::optional<double> scale;                    // 0 to 1e6
};

// Pure; fuzzed. Throws kUsage.
PerturbSource ParsePerturbFile(std::string_view text);

// `presets` is the folder of the presets. Throws kUsage for what does not parse and for an unknown
// preset, listing those that there are; kBadFile for a file that cannot be read or names no head.
PerturbSource ReadPerturb(std::string_view argument, const std::filesystem::path& presets);

}  // namespace fovea
