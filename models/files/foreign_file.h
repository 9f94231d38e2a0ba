// What a file is that should have been another: a Git LFS pointer, a web page, a pickle, GGUF.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "tensor/error.h"

namespace fovea {

struct ForeignFile {
  ErrorCode code = ErrorCode::kBadFile;  // kUnsupported: a whole file of a kind that is not read
  std::string what;                      // "is a web page (HTML), ...; what to do"
};

// Told by its first bytes; nothing where they are of no kind that is known here. Pure; fuzzed with
// the safetensors files.
std::optional<ForeignFile> TellForeignFile(std::span<const std::byte> first_bytes);

}  // namespace fovea
