#include "app/engine/model_access.h"

#include "app/flags/common_flags.h"

namespace fovea {

ModelFolder ModelAccess::Open(const GenerateSettings& settings) const {
  ModelFlags flags;
  flags.folders = folders;
  flags.needs_tokenizer = true;
  return flags.Open(settings.model, ParseLoraText(settings.lora), settings.overlay);
}

std::string WeightsKey(const GenerateSettings& settings) {
  return settings.model + "\n" + settings.lora + "\n" + settings.overlay;
}

}  // namespace fovea
