// The files that pictures come in: which format one is, and its bytes.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <vector>

namespace fovea {

enum class PictureFormat { kNone, kPng, kJpeg, kWebp };
PictureFormat FormatOf(std::span<const std::byte> first_bytes);  // 12 are enough

// The whole file. Throws kBadFile: a folder, unreadable, or over half a gigabyte.
std::vector<std::byte> ReadPictureBytes(const std::filesystem::path& path);

}  // namespace fovea
