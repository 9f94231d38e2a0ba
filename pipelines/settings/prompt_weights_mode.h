// Whose rules for weights inside prompts apply (--prompt-weights).
#pragma once

#include <cstdint>
#include <string_view>

namespace fovea {

enum class PromptWeights : uint8_t { kOff, kA1111, kComfy };
// Of "off", "a1111", "comfy". Throws kUsage.
PromptWeights ParsePromptWeights(std::string_view name);

}  // namespace fovea
