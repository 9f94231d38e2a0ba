// PNG files: our own round trip, Pillow's files (tests/golden/png, made by tools/golden/png.py),
// and broken ones.
#include "pipelines/pictures/formats/png_file.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>

#include "tensor/error.h"
#include "tensor/memory/host_tensor.h"
#include "tests/support/source_dir.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

const std::filesystem::path kGolden = SourceDir() / "tests/golden/png";

std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Image TestImage(int width, int height) {
  Image image{width, height, {}};
  for (int i = 0; i < width * height * 3; ++i) {
    image.rgb.push_back(static_cast<uint8_t>(i * 37 + i / 7));
  }
  return image;
}

ErrorCode ParseCode(const std::string& bytes) {
  try {
    ParsePngText(std::as_bytes(std::span(bytes)), "test.png");
  } catch (const Error& error) {
    return error.code;
  }
  return ErrorCode::kInternal;
}

std::string Chunk(const std::string& type, const std::string& data) {
  const auto size = static_cast<uint32_t>(data.size());
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(size >> shift & 0xff);
  return out + type + data + std::string(4, '\0');  // texts are read whatever the checksum
}

const std::string kSignature = "\x89PNG\r\n\x1a\n";

PngText TextOf(const std::string& chunks) {
  const std::string bytes = kSignature + chunks + Chunk("IEND", "");
  return ParsePngText(std::as_bytes(std::span(bytes)), "test.png");
}

}  // namespace

TEST_CASE("a picture and its texts survive a file") {
  const TempDir folder;
  const PngText text = {{"parameters", "a cat\nNegative prompt: \nSteps: 3"},
                        {"fovea", R"({"a":1})"},
                        {"wide", "猫 und Käse"},
                        {"empty", ""}};
  for (const auto& [width, height] : {std::pair{1, 1}, {7, 3}, {64, 40}}) {
    const Image image = TestImage(width, height);
    WritePng(folder / "a.png", image, text);
    WritePng(folder / "b.png", image, text);
    CHECK(ReadAll(folder / "a.png") == ReadAll(folder / "b.png"));
    const Image read = ReadPng(folder / "a.png");
    CHECK(read.width == width);
    CHECK(read.height == height);
    CHECK(read.rgb == image.rgb);
    CHECK(ReadPngText(folder / "a.png") == text);
  }
  const std::string bytes = ReadAll(folder / "a.png");
  CHECK(bytes.find("tIME") == std::string::npos);
  CHECK(bytes.find("parameters") < bytes.find("IDAT"));
  CHECK(bytes.find("wide") < bytes.find("IDAT"));
  // ASCII as tEXt; the rest as iTXt, uncompressed.
  CHECK(bytes.substr(bytes.find("parameters") - 4, 4) == "tEXt");
  CHECK(bytes.substr(bytes.find("wide") - 4, 4) == "iTXt");
  CHECK(bytes.find("猫 und Käse") != std::string::npos);
}

TEST_CASE("Pillow's pictures and texts are read") {
  const PngText text = ReadPngText(kGolden / "utf8_behind.png");
  REQUIRE(text.size() == 6);
  CHECK(text.at("parameters") == "a cat\nNegative prompt: \nSteps: 20, Sampler: Euler a");
  CHECK(text.at("latin") == "Crème brûlée");
  CHECK(text.at("wide") == "猫 と 犬");
  CHECK(text.at("packed").size() == 1000);
  CHECK(text.at("packed wide").size() == 900);
  CHECK(text.at("prompt") == "猫");

  const Image image = ReadPng(kGolden / "pillow.png");
  REQUIRE(image.rgb.size() == 18);
  for (int i = 0; i < 6; ++i) {
    CHECK(image.rgb[static_cast<size_t>(3 * i)] == 10 * i);
    CHECK(image.rgb[static_cast<size_t>(3 * i + 1)] == 255 - i);
    CHECK(image.rgb[static_cast<size_t>(3 * i + 2)] == i * i);
  }
  CHECK(ReadPng(kGolden / "alpha.png").rgb == image.rgb);
  CHECK(ReadPng(kGolden / "gray.png").rgb.size() == 18);
}

TEST_CASE("broken PNG files are refused") {
  const std::string whole = ReadAll(kGolden / "utf8_behind.png");
  for (size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK(ParseCode(whole.substr(0, size)) == ErrorCode::kBadFile);
  }
  CHECK(ParseCode("GIF89a") == ErrorCode::kBadFile);
  CHECK(ParseCode(kSignature + "\xff\xff\xff\xfftEXt" + std::string(20, 'a')) ==
        ErrorCode::kBadFile);
  const auto code = [](const std::string& type, const std::string& data) {
    return ParseCode(kSignature + Chunk(type, data) + Chunk("IEND", ""));
  };
  using namespace std::string_literals;
  CHECK(code("tEXt", "no end of the key") == ErrorCode::kBadFile);
  CHECK(code("tEXt", "\0no key"s) == ErrorCode::kBadFile);
  CHECK(code("tEXt", std::string(80, 'k') + "\0long key"s) == ErrorCode::kBadFile);
  CHECK(code("zTXt", "key\0"s) == ErrorCode::kBadFile);
  CHECK(code("zTXt", "key\0\1abc"s) == ErrorCode::kBadFile);
  CHECK(code("zTXt", "key\0\0no zlib stream"s) == ErrorCode::kBadFile);
  CHECK(code("iTXt", "key\0"s) == ErrorCode::kBadFile);
  CHECK(code("iTXt", "key\0\0\0no language"s) == ErrorCode::kBadFile);
  CHECK(code("iTXt", "key\0\0\0\0\0\xff\xfe"s) == ErrorCode::kBadFile);
  CHECK(code("iTXt", "key\0\1\7\0\0abc"s) == ErrorCode::kBadFile);

  const TempDir folder;
  CHECK_THROWS_AS(ReadPng(folder / "absent.png"), Error);
  CHECK_THROWS_AS(ReadPngText(folder / "absent.png"), Error);
  std::ofstream(folder / "cut.png", std::ios::binary) << whole.substr(0, whole.size() / 2);
  std::ofstream(folder / "empty.png", std::ios::binary);
  CHECK_THROWS_AS(ReadPng(folder / "cut.png"), Error);
  CHECK_THROWS_AS(ReadPng(folder / "empty.png"), Error);
  CHECK_THROWS_AS(ReadPng(folder.Path()), Error);
}

TEST_CASE("a picture of inflated text is refused before it fills the memory") {
  // 40 MB of zeros in 40 kB.
  const std::string bomb = ReadAll(kGolden / "bomb.zlib");
  REQUIRE(bomb.size() < 100000);
  using namespace std::string_literals;
  CHECK_THROWS_AS(TextOf(Chunk("zTXt", "key\0\0"s + bomb)), Error);
  CHECK_THROWS_AS(TextOf(Chunk("iTXt", "key\0\1\0\0\0"s + bomb)), Error);
}

TEST_CASE("of a key given twice the last counts") {
  using namespace std::string_literals;
  CHECK(TextOf(Chunk("tEXt", "a\0one"s) + Chunk("tEXt", "a\0two"s)) == PngText{{"a", "two"}});
  CHECK(TextOf("").empty());
}

TEST_CASE("an unwritable target leaves nothing behind") {
  const TempDir folder;
  CHECK_THROWS_AS(WritePng(folder / "absent" / "a.png", TestImage(2, 2), {}), Error);
  CHECK_THROWS_AS(WritePng(folder.Path(), TestImage(2, 2), {}), Error);
  CHECK(std::filesystem::is_empty(folder.Path()));
}

TEST_CASE("pictures are rounded as diffusers rounds them") {
  // (x / 2 + 0.5) * 255 at halves goes to the even number.
  const std::vector<float> values = {
      -1, 1, 0, -3, 3, NAN, 2 * (100.5f / 255) - 1, 2 * (101.5f / 255) - 1, 0.999f};
  const HostTensor x({1, 3, 3}, values);
  const Image image = ToImage(x.View());
  CHECK(image.width == 3);
  CHECK(image.height == 1);
  CHECK(image.rgb == std::vector<uint8_t>{0, 255, 128, 0, 255, 0, 100, 102, 255});
}

}  // namespace fovea
