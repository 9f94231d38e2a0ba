// PNG files with text chunks: what we write and what we read back.
//
// Pure ASCII text is written as tEXt, anything else as uncompressed iTXt in UTF-8, before IDAT, so
// that Pillow-based tools and ComfyUI both read it.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "pipelines/pictures/image.h"

namespace fovea {

using PngText = std::map<std::string, std::string>;  // key -> UTF-8

// Writes under a temporary name, then renames. Same image and text give the same bytes.
void WritePng(const std::filesystem::path& path, const Image& image, const PngText& text);
Image ReadPng(const std::filesystem::path& path);
// tEXt, zTXt and iTXt chunks. Throws kBadFile. The second form is pure and fuzzed: it bounds chunk
// sizes and inflated sizes.
PngText ReadPngText(const std::filesystem::path& path);
PngText ParsePngText(std::span<const std::byte> bytes, const std::string& where);
// What standards call Latin-1, but some programs write in UTF-8, as UTF-8; text of one kind that is
// not pure ASCII is hardly ever the other kind too.
std::string Utf8OrLatin1(std::string_view text);

}  // namespace fovea
