// Fuzzes the texts of PNG, JPEG and WebP files, and the settings that our own text holds.
#include <span>

#include "pipelines/metadata/metadata.h"
#include "pipelines/pictures/formats/picture_text.h"
#include "tests/fuzz/fuzz_target.h"

namespace fovea {
namespace {

std::string BigEndian(uint32_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
  return out;
}

// The reader does not look at the checksum of a chunk.
std::string Chunk(const std::string& type, const std::string& data) {
  return BigEndian(static_cast<uint32_t>(data.size())) + type + data + BigEndian(0);
}

std::string Png(const std::string& chunks) {
  const std::string header = BigEndian(1) + BigEndian(1) + std::string("\x08\x02\0\0\0", 5);
  return "\x89PNG\r\n\x1a\n" + Chunk("IHDR", header) + chunks + Chunk("IEND", "");
}

}  // namespace

std::vector<std::string> FuzzSeeds() {
  // "hello hello hello" as zlib makes it
  const std::string zipped("\x78\xda\xcb\x48\xcd\xc9\xc9\x57\xc8\x40\x90\x00\x3a\x2e\x06\x7d", 16);
  const std::string settings = PictureText(GenerateSettings{}, Provenance{}, 0).at("fovea");
  const std::string tiff =
      "MM" + std::string("\0\x2a\0\0\0\x8\0\1\x87\x69\0\4\0\0\0\1\0\0\0\x1a\0\0\0\0", 24) +
      std::string("\0\1\x92\x86\0\7\0\0\0\x18\0\0\0\x2c\0\0\0\0UNICODE\0\0a\0 \0c\0a\0t\0!\0?\0.",
                  42);
  const std::string jpeg = std::string(
                               "\xff\xe1\0\x4a"
                               "Exif\0\0",
                               10) +
                           tiff;
  return {
      Png(Chunk("tEXt", std::string("parameters\0a cube\nSteps: 3, Seed: 7", 36))),
      Png(Chunk("zTXt", std::string("parameters\0\0", 12) + zipped)),
      Png(Chunk("iTXt", std::string("fovea\0\0\0\0\0", 10) + settings)),
      Png(Chunk("iTXt", std::string("k\0\1\0de\0k\0", 9) + zipped) + Chunk("tEXt", "none")),
      settings,
      "\xff\xd8" + jpeg,
      "RIFF" + BigEndian(0) + "WEBPEXIF" + std::string("\x44\0\0\0", 4) + tiff,
  };
}

}  // namespace fovea

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fovea;
  PngText text;
  RefusesOrReads([&] { text = ParsePictureText(std::as_bytes(std::span(data, size)), "x.png"); });
  RefusesOrReads([&] { ReadPictureSettings(text, "x.png"); });
  text["fovea"] = std::string(reinterpret_cast<const char*>(data), size);
  RefusesOrReads([&] { ReadPictureSettings(text, "x.png"); });
  return 0;
}
