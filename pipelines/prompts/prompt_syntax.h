// Which parts of a prompt other programs read as commands and we read as words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "pipelines/prompts/prompt_weights.h"

namespace fovea {

// Each once, in order, with what it would be: "[red:blue:0.5] (prompt editing)". The web UI's
// [from:to:when] and [a|b] and, in prompts that are not negative, AND, where weights are read as it
// reads them; tags <KIND:...> and ComfyUI's embedding:NAME whenever weights are read. Where weights
// are off, text is meant literally: nothing. Linear in the prompt's length. Pure; fuzzed.
std::vector<std::string> UnreadSyntax(std::string_view prompt, PromptWeights mode, bool negative);

}  // namespace fovea
