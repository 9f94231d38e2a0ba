// Texts of pictures of every kind.
#include "pipelines/pictures/formats/picture_text.h"

#include <catch2/catch.hpp>

#include "pipelines/pictures/formats/exif.h"
#include "tensor/error.h"

namespace fovea {
namespace {

std::string Number(uint32_t value, int bytes, bool little) {
  std::string out;
  for (int i = 0; i < bytes; ++i) {
    const int shift = 8 * (little ? i : bytes - 1 - i);
    out += static_cast<char>(value >> shift);
  }
  return out;
}

// A TIFF header with one comment, behind an entry that is to be passed over.
std::string Tiff(const std::string& comment, bool little) {
  const auto n = [&](uint32_t value, int bytes) { return Number(value, bytes, little); };
  const auto entry = [&](uint32_t tag, uint32_t kind, size_t count, uint32_t value) {
    return n(tag, 2) + n(kind, 2) + n(static_cast<uint32_t>(count), 4) + n(value, 4);
  };
  return (little ? "II" : "MM") + n(42, 2) + n(8, 4) + n(2, 2) + entry(0x10f, 2, 4, 0) +
         entry(0x8769, 4, 1, 38) + n(0, 4) + n(1, 2) + entry(0x9286, 7, comment.size(), 56) +
         n(0, 4) + comment;
}

std::string Jpeg(const std::string& tiff) {
  const auto segment = [](const std::string& marker, const std::string& data) {
    return marker + Number(static_cast<uint32_t>(data.size() + 2), 2, false) + data;
  };
  return "\xff\xd8" + segment("\xff\xe0", "JFIF") + "\xff" +
         segment("\xff\xe1", std::string("Exif\0\0", 6) + tiff) + "\xff\xda";
}

std::string Webp(const std::string& tiff) {
  const auto chunk = [](const std::string& type, const std::string& data) {
    return type + Number(static_cast<uint32_t>(data.size()), 4, true) + data +
           std::string(data.size() % 2, '\0');
  };
  const std::string chunks = chunk("VP8 ", "odd") + chunk("EXIF", tiff);
  return "RIFF" + Number(static_cast<uint32_t>(chunks.size() + 4), 4, true) + "WEBP" + chunks;
}

std::string Utf16(const std::u16string& text, bool little) {
  std::string out("UNICODE\0", 8);
  for (const char16_t unit : text) out += Number(unit, 2, little);
  return out;
}

PngText Parse(const std::string& bytes) {
  return ParsePictureText(std::as_bytes(std::span(bytes)), "x");
}

std::string Comment(const std::string& bytes) {
  const PngText text = Parse(bytes);
  const auto found = text.find("parameters");
  return found == text.end() ? "none" : found->second;
}

TEST_CASE("comments of JPEG and WebP files are A1111's text") {
  const std::u16string text = u"a caf\u00e9, \u732b \U0001f408\nSteps: 2";
  const std::string utf8 = "a caf\xc3\xa9, \xe7\x8c\xab \xf0\x9f\x90\x88\nSteps: 2";
  for (const bool little : {false, true}) {
    for (const bool little_text : {false, true}) {
      const std::string tiff = Tiff(Utf16(text, little_text), little);
      CHECK(Comment(Jpeg(tiff)) == utf8);
      CHECK(Comment(Webp(tiff)) == utf8);
      CHECK(Comment(Webp(std::string("Exif\0\0", 6) + tiff)) == utf8);
    }
    CHECK(Comment(Jpeg(Tiff(Utf16(u"\ufeff\u732b", little), false))) == "\xe7\x8c\xab");
  }
  CHECK(Comment(Jpeg(Tiff(std::string("ASCII\0\0\0plain\0\0", 15), true))) == "plain");
  CHECK(Comment(Jpeg(Tiff(std::string(8, '\0') + "caf\xe9", true))) == "caf\xc3\xa9");
  CHECK(Comment(Jpeg(Tiff(Utf16(u"x\xd800y", false), false))) == "x\xef\xbf\xbdy");
}

TEST_CASE("a comment that is cut, absent or a lie is none") {
  const std::string jpeg = Jpeg(Tiff(Utf16(u"a cat", false), false));
  // The last segment is whole only with the comment, whose end then may be missing.
  for (size_t size = 3; size < jpeg.size() - 2; ++size) {
    CHECK(Comment(jpeg.substr(0, size)) == "none");
  }
  CHECK(Comment(Jpeg(Tiff("short", false))) == "none");
  CHECK(Comment(Jpeg("MM")) == "none");
  CHECK(Comment(Webp("")) == "none");
  CHECK(Parse("\x89PNG\r\n\x1a\n" + Number(0, 4, false) + "IEND" + Number(0, 4, false)).empty());
  for (const char* other : {"", "hello", "RIFF1234WAVE", "\xff\xd8"}) {
    CHECK_THROWS_AS(Parse(other), Error);
  }
  CHECK_THROWS_AS(ReadPictureText("/no/such"), Error);
  CHECK(Parse("GIF89a").empty());  // a picture, but of a kind that has no such text
}

}  // namespace
}  // namespace fovea
