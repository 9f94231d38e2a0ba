// Reads a small file whole.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace fovea {

// Throws kBadFile: missing, unreadable, not a regular file, or over `limit` bytes.
std::string ReadTextFile(const std::filesystem::path& path, size_t limit);

}  // namespace fovea
