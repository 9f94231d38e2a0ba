// Fuzzes pictures that people give us: the pixels of every format, Exif orientations, digests.
#include <fstream>
#include <iterator>
#include <span>

#include "pipelines/pictures/formats/exif.h"
#include "pipelines/pictures/picture_file.h"
#include "tests/fuzz/fuzz_target.h"

namespace fovea {

std::vector<std::string> FuzzSeeds() {
  std::vector<std::string> seeds = {"640x480-0123456789abcdef"};
  for (const char* name :
       {"lossless.webp", "lossy.webp",   "moving.webp",     "few.gif",        "moving.gif",
        "plain.bmp",     "plain.tga",    "packed.tga",      "plain.ppm",      "plain.tif",
        "lzw.tif",       "deflated.tif", "turned.tif",      "plain.psd",      "plain.hdr",
        "tall.png",      "palette.png",  "grey_alpha.png",  "interlaced.png", "turned_6.png",
        "full.jpg",      "halved.jpg",   "progressive.jpg", "grey.jpg",       "turned.jpg"}) {
    std::ifstream file(std::string(FOVEA_SOURCE_DIR "/tests/golden/pictures/") + name,
                       std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return seeds;
}

}  // namespace fovea

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fovea;
  const auto bytes = std::as_bytes(std::span(data, size));
  RefusesOrReads([&] { DecodePicture(bytes, "x.png"); });
  RefusesOrReads([&] { DecodeMask(bytes, "x.png"); });
  RefusesOrReads([&] { ExifOrientation(bytes); });
  RefusesOrReads([&] { SizeOfDigest(std::string(data, data + size), "image"); });
  return 0;
}
