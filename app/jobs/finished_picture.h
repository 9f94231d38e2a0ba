// Whether a file is the whole picture that a job asks for.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "pipelines/pictures/image.h"
#include "pipelines/settings/settings.h"

namespace fovea {

// Signature, lengths and checksums of all chunks, IEND last. Pure; fuzzed.
bool IsWholePng(std::span<const std::byte> bytes);

// Why the file is not the picture of these settings (as asked for, with their seed); none: it is.
// What was left to the model is not compared.
std::optional<std::string> WhyNotFinished(const std::filesystem::path& path,
                                          const GenerateSettings& asked, bool prompt_given);

// SHA-256 of the rows of RGB, 8 bits each.
std::string PixelDigest(const Image& image);

}  // namespace fovea
