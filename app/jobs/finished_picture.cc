#include "app/jobs/finished_picture.h"

#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

#include <zlib.h>

#include "models/files/sha256.h"
#include "models/files/text_file.h"
#include "models/lora/lora_choice.h"
#include "pipelines/metadata/metadata.h"
#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostBytes = size_t{1} << 30;

uint32_t BigEndian(std::span<const std::byte> bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | std::to_integer<uint32_t>(bytes[i]);
  return value;
}

std::string Stem(const std::string& path) {
  const fs::path own(path);
  return (own.has_filename() ? own : own.parent_path()).filename().string();
}

std::string LoraStems(const std::string& text) {
  std::vector<NamedLora> loras = ParseLoraText(text);
  for (NamedLora& lora : loras) lora.name = fs::path(lora.name).stem().string();
  return LoraText(loras);
}

// The first setting that was asked for and that the picture has otherwise.
std::optional<std::string> Differing(const GenerateSettings& asked, const GenerateSettings& made,
                                     bool prompt_given) {
  const GenerateSettings defaults;
  GenerateSettings want = asked, have = made;
  want.batch = 1;
  // Names of files are what pictures hold of them.
  want.lora = LoraStems(want.lora);
  have.lora = LoraStems(have.lora);
  want.overlay = fs::path(want.overlay).stem().string();
  if (!want.model.empty()) {
    // A single file is called by its stem, a folder by its name.
    const std::string name = Stem(want.model), stem = fs::path(name).stem().string();
    if (have.model == stem)
      want.model = stem;
    else
      want.model = name;
  }
  std::optional<std::string> differing;
  want.ForEachField([&](std::string_view name, auto& value, const char*) {
    have.ForEachField([&](std::string_view other, auto& found, const char*) {
      if constexpr (std::is_same_v<decltype(value), decltype(found)>) {
        if (other != name || differing || value == found) return;
        GenerateSettings plain = defaults;
        bool given = false;
        plain.ForEachField([&](std::string_view third, auto& usual, const char*) {
          if constexpr (std::is_same_v<decltype(value), decltype(usual)>) {
            if (third == name) given = !(value == usual);
          }
        });
        if (name == "prompt") given = prompt_given;
        if (name == "negative" && !asked.negative) given = false;
        if (name == "dtype" && asked.dtype == "auto") given = false;
        if (given) differing = std::string(name);
      }
    });
  });
  return differing;
}

}  // namespace

bool IsWholePng(std::span<const std::byte> bytes) {
  static constexpr unsigned char kSignature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  if (bytes.size() < sizeof kSignature ||
      std::memcmp(bytes.data(), kSignature, sizeof kSignature) != 0) {
    return false;
  }
  bytes = bytes.subspan(sizeof kSignature);
  bool first = true, data = false;
  while (bytes.size() >= 12) {
    const size_t length = BigEndian(bytes);
    if (length > bytes.size() - 12) return false;
    const std::string_view type(reinterpret_cast<const char*>(bytes.data()) + 4, 4);
    if (first != (type == "IHDR")) return false;
    first = false;
    data = data || type == "IDAT";
    const uLong sum =
        crc32(0, reinterpret_cast<const Bytef*>(bytes.data()) + 4, static_cast<uInt>(length + 4));
    if (sum != BigEndian(bytes.subspan(8 + length))) return false;
    bytes = bytes.subspan(12 + length);
    if (type == "IEND") return data && bytes.empty();
  }
  return false;
}

std::optional<std::string> WhyNotFinished(const fs::path& path, const GenerateSettings& asked,
                                          bool prompt_given) {
  try {
    const std::string text = ReadTextFile(path, kMostBytes);
    const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
    if (!IsWholePng(bytes)) return "is not whole";
    const PictureSettings made =
        ReadPictureSettings(ParsePngText(bytes, path.string()), path.string());
    if (made.foreign) return "was not made by Fovea";
    if (const auto differing = Differing(asked, made.settings, prompt_given)) {
      return "was made with another " + *differing;
    }
    return std::nullopt;
  } catch (const Error& error) {
    return error.what();
  }
}

std::string PixelDigest(const Image& image) {
  Sha256 hash;
  hash.Add(std::as_bytes(std::span(image.rgb.data(), image.rgb.size())));
  return hash.Hex();
}

}  // namespace fovea
