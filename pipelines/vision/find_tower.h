// Which component of a folder sees pictures, which one reads texts, and where its tokenizer lies.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "models/model_folder.h"

namespace fovea {

// The component of `folder` that sees pictures, and the one that reads texts: the one that `name`
// says, or the only one of its kind. Throws kUsage, kBadFile or kUnsupported saying what there is.
const ComponentFolder& FindPictureComponent(const ModelFolder& folder,
                                            const std::optional<std::string>& name);
const ComponentFolder& FindTextComponent(const ModelFolder& folder);
// Where that component's tokenizer lies.
std::filesystem::path FindTextTokenizer(const ModelFolder& folder, const ComponentFolder& text);

}  // namespace fovea
