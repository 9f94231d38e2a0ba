#include "pipelines/settings/prompt_weights_mode.h"

#include <string>

#include "tensor/error.h"

namespace fovea {

PromptWeights ParsePromptWeights(std::string_view name) {
  if (name == "off") return PromptWeights::kOff;
  if (name == "a1111") return PromptWeights::kA1111;
  if (name == "comfy") return PromptWeights::kComfy;
  throw Error(ErrorCode::kUsage, "prompt-weights: \"" + std::string(name.substr(0, 80)) +
                                     "\" is not among a1111, comfy, off");
}

}  // namespace fovea
