// What the configs of all transformers classes have in common.
#pragma once

#include <string>
#include <string_view>

#include "models/config.h"
#include "tensor/backend.h"

namespace fovea {

// The activation that `field` names. Throws kUnsupported for those that we lack.
Act ReadTransformersAct(const Config& config, std::string_view field, const std::string& otherwise);

// The same for a name that is part of the field's value.
Act TransformersAct(const Config& config, std::string_view field, const std::string& name);

// Marks as known what transformers writes into every config and what matters to training or to the
// generation of text only.
void IgnorePretrainedFields(const Config& config);

}  // namespace fovea
