// Given pictures: files of every kind against Pillow and diffusers' load_image
// (tests/golden/pictures, made by tools/golden/pictures.py), and broken ones.
#include "pipelines/pictures/picture_file.h"

#include <cmath>
#include <fstream>
#include <iterator>
#include <tuple>

#include <catch2/catch.hpp>

#include "models/files/safetensors.h"
#include "pipelines/pictures/formats/exif.h"
#include "tensor/error.h"
#include "tests/support/golden_case.h"
#include "tests/support/temp_dir.h"
#include "tests/support/worst.h"

namespace fovea {
namespace {

std::filesystem::path Pictures() {
  return GoldenFolder() / "pictures";
}

std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The largest difference of levels; NaN where sizes differ.
double WorstLevel(const Image& got, const HostTensor& want) {
  Worst worst;
  if (!(want.shape() == Shape{got.height, got.width, 3})) return worst.Value();
  for (size_t i = 0; i < got.rgb.size(); ++i) worst.Add(got.rgb[i], want.Data<uint8_t>()[i]);
  return worst.Value();
}

// The checksum of IHDR, for who changed it.
void SealHeader(std::string* png) {
  uint32_t sum = ~0u;
  for (size_t i = 12; i < 29; ++i) {
    sum ^= static_cast<uint8_t>((*png)[i]);
    for (int bit = 0; bit < 8; ++bit) sum = sum >> 1 ^ (sum & 1 ? 0xedb88320u : 0);
  }
  for (size_t i = 0; i < 4; ++i) (*png)[29 + i] = static_cast<char>(~sum >> (24 - 8 * i));
}

// The message of the refusal, or "read" and an empty one where there is none.
std::string Refusal(const std::string& bytes) {
  try {
    DecodePicture(std::as_bytes(std::span(bytes)), "x.png");
  } catch (const Error& error) {
    CHECK(error.code == ErrorCode::kBadFile);
    return error.what();
  }
  return "read";
}

}  // namespace

TEST_CASE("pictures are read as load_image reads them") {
  const NamedTensors want = ReadSafetensors(Pictures() / "pictures.safetensors");
  REQUIRE(want.size() > 18);
  for (const auto& [name, pixels] : want) {
    CAPTURE(name);
    const double worst = WorstLevel(ReadPicture(Pictures() / name), pixels);
    // Pillow has the same JPEG decoder here; another version of it may round differently.
    CHECK(worst <= (name.ends_with(".jpg") ? 2 : 0));
  }
}

TEST_CASE("of 16 bits the upper 8 count") {
  const NamedTensors want = ReadSafetensors(Pictures() / "pictures.safetensors");
  CHECK(WorstLevel(ReadPicture(Pictures() / "deep.png"), want.at("tall.png")) == 0);
}

TEST_CASE("orientations turn a picture upright") {
  const Image image{2, 3, {0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5}};
  const auto reds = [&](int orientation) {
    std::string text;
    const Image turned = Upright(image, orientation);
    for (size_t i = 0; i < turned.rgb.size(); i += 3) {
      if (i > 0 && i / 3 % static_cast<size_t>(turned.width) == 0) text += ' ';
      text += std::to_string(turned.rgb[i]);
    }
    return text;
  };
  CHECK(reds(0) == "01 23 45");
  CHECK(reds(1) == "01 23 45");
  CHECK(reds(2) == "10 32 54");
  CHECK(reds(3) == "54 32 10");
  CHECK(reds(4) == "45 23 01");
  CHECK(reds(5) == "024 135");
  CHECK(reds(6) == "420 531");
  CHECK(reds(7) == "531 420");
  CHECK(reds(8) == "135 024");
  CHECK(reds(9) == "01 23 45");
}

TEST_CASE("what is no picture is refused in one line") {
  const std::string png = ReadAll(Pictures() / "tall.png"), jpeg = ReadAll(Pictures() / "full.jpg");
  CHECK(Refusal(png) == "read");
  CHECK(Refusal("").find("x.png: is empty") == 0);
  CHECK(Refusal("GIF89a and more").find("not a readable GIF") != std::string::npos);
  CHECK(Refusal("RIFF1234WEBPVP8 ").find("not a readable WebP") != std::string::npos);
  CHECK(Refusal("some text").find("is no picture of a format that is read: PNG") !=
        std::string::npos);
  CHECK(Refusal("<html>Sign in</html>").find("HTML") != std::string::npos);
  CHECK(Refusal(png.substr(0, 20)) != "read");
  CHECK(Refusal(png.substr(0, png.size() / 2)) != "read");
  CHECK(Refusal(jpeg.substr(0, 100)) != "read");
  CHECK(Refusal(jpeg.substr(0, jpeg.size() / 2)) != "read");
  std::string huge = png;
  huge.replace(16, 8, std::string("\0\1\0\0\0\1\0\0", 8));  // 65536 x 65536
  CHECK(Refusal(huge) != "read");
  std::string large = png;  // 16384 x 16384, and its checksum
  large.replace(16, 8, std::string("\0\0\x40\0\0\0\x40\0", 8));
  SealHeader(&large);
  CHECK(Refusal(large).find("a picture of 16384x16384; at most 67108864 pixels") !=
        std::string::npos);
  std::string flat = png;
  flat.replace(16, 4, std::string(4, '\0'));
  CHECK(Refusal(flat) != "read");

  const TempDir folder;
  for (const std::filesystem::path& path : {folder.Path(), folder.Path() / "none.png"}) {
    CHECK_THROWS_AS(ReadPicture(path), Error);
  }
}

TEST_CASE("broken files of every format are refused") {
  for (const char* name : {"lossless.webp", "lossy.webp", "moving.webp", "few.gif", "moving.gif",
                           "plain.bmp", "plain.tga", "packed.tga", "plain.ppm", "plain.tif",
                           "lzw.tif", "deflated.tif", "plain.psd", "plain.hdr"}) {
    CAPTURE(name);
    const std::string whole = ReadAll(Pictures() / name);
    CHECK(Refusal(whole) == "read");
    for (const size_t left : {size_t{3}, size_t{20}, whole.size() / 4, whole.size() / 2}) {
      CAPTURE(left);
      // Of an animation the first frame may end before.
      const bool frame = std::string_view(name).starts_with("moving") && left > 20;
      if (!frame) CHECK(Refusal(whole.substr(0, left)) != "read");
    }
  }
  // Sizes of more pixels than are read, of files of a few bytes.
  const std::string wide("P6 999999 999999 255\n"), huge("GIF89a\xff\xff\xff\xff\x80\0\0", 13);
  CHECK(Refusal(wide) != "read");
  CHECK(Refusal(huge) != "read");
}

TEST_CASE("formats that are known and not read are named") {
  const std::pair<std::string, const char*> files[] = {{std::string("\0\0\0\x1c"
                                                                    "ftypavif",
                                                                    12),
                                                        "AVIF"},
                                                       {std::string("\0\0\0\x18"
                                                                    "ftypheic",
                                                                    12),
                                                        "HEIF"},
                                                       {"\xff\x0a....", "JPEG XL"},
                                                       {"<svg xmlns='x'>", "SVG"}};
  for (const auto& [bytes, name] : files) {
    CAPTURE(name);
    try {
      DecodePicture(std::as_bytes(std::span(bytes)), "x");
      FAIL("was read");
    } catch (const Error& error) {
      CHECK(error.code == ErrorCode::kUnsupported);
      CHECK(std::string(error.what()).find(name) != std::string::npos);
    }
  }
}

TEST_CASE("HDR's light becomes 8 bits with gamma 2.2") {
  const Image light = ReadPicture(Pictures() / "plain.hdr"),
              tall = ReadPicture(Pictures() / "tall.png");
  REQUIRE(light.rgb.size() == tall.rgb.size());
  for (size_t i = 0; i < light.rgb.size(); ++i) {
    const double want = std::pow(tall.rgb[i] / 256.0, 1 / 2.2) * 255;
    REQUIRE(std::abs(light.rgb[i] - want) <= 1);
  }
}

TEST_CASE("masks are told by their colours, or by what is opaque where there is one colour") {
  const auto mask = [](std::vector<uint8_t> grey, std::vector<uint8_t> alpha) {
    // Two pixels as an uncompressed TGA file of 32 bits, upper left first.
    std::string bytes("\0\0\2\0\0\0\0\0\0\0\0\0\2\0\1\0\x20\x28", 18);
    for (size_t i = 0; i < 2; ++i) {
      bytes.append(3, static_cast<char>(grey[i]));
      bytes += static_cast<char>(alpha[i]);
    }
    const MaskPicture read = DecodeMask(std::as_bytes(std::span(bytes)), "x");
    return std::tuple(read.from_alpha, read.image.rgb[0], read.image.rgb[3]);
  };
  CHECK(mask({255, 255}, {0, 255}) == std::tuple(true, 0, 255));
  CHECK(mask({0, 0}, {9, 200}) == std::tuple(true, 9, 200));
  CHECK(mask({0, 255}, {0, 255}) == std::tuple(false, 0, 255));
  CHECK(mask({7, 7}, {255, 255}) == std::tuple(false, 7, 7));
  CHECK(mask({7, 7}, {128, 128}) == std::tuple(false, 7, 7));
}

TEST_CASE("digests tell pictures by size and pixels") {
  const Image image{2, 1, {1, 2, 3, 4, 5, 6}};
  const std::string digest = PictureDigest(image);
  CHECK(digest.starts_with("2x1-"));
  CHECK(digest.size() == 4 + 16);
  Image other = image;
  other.rgb[5] = 7;
  CHECK(PictureDigest(other) != digest);
  CHECK(PictureDigest({1, 2, image.rgb}) != digest);
  CHECK(PictureDigest(image) == digest);
  CHECK(SizeOfDigest(digest, "image").width == 2);
  CHECK(SizeOfDigest(digest, "image").height == 1);
  for (const char* bad :
       {"", "2x1", "2x1-12", "x1-0123456789abcdef", "0x1-0123456789abcdef", "-2x1-0123456789abcdef",
        "99999999999x1-0123456789abcdef", "2x1-0123456789abcdef0"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(SizeOfDigest(bad, "image"), Error);
  }
}

}  // namespace fovea
