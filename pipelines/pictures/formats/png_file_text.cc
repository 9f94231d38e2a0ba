// Walks the chunks of a PNG of unknown origin for its texts.

#include <cstring>

#include <zlib.h>

#include "pipelines/pictures/formats/png_file.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr size_t kMaxTextBytes = size_t{16} << 20;  // of all texts together, inflated
constexpr size_t kMaxKeyBytes = 79;
constexpr unsigned char kSignature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

uint32_t BigEndian(std::string_view bytes) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

bool IsUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const size_t length = byte < 0x80                   ? 1
                          : byte >= 0xc2 && byte < 0xe0 ? 2
                          : byte >= 0xe0 && byte < 0xf0 ? 3
                          : byte >= 0xf0 && byte < 0xf5 ? 4
                                                        : 0;
    if (length == 0 || i + length > text.size()) return false;
    for (size_t k = 1; k < length; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return false;
    }
    i += length;
  }
  return true;
}

class TextReader {
 public:
  explicit TextReader(const std::string& where) : where_(where) {}

  void Read(std::string_view type, std::string_view data) {
    const std::string key(Until0(data, "key"));
    if (key.empty() || key.size() > kMaxKeyBytes) Fail("a text chunk has a key of wrong length");
    std::string value;
    if (type == "tEXt") {
      value = Utf8OrLatin1(data);
      budget_ = Spend(value.size());
    } else if (type == "zTXt") {
      if (data.empty() || data[0] != 0) Fail("a zTXt chunk has an unknown compression");
      value = Utf8OrLatin1(Inflate(data.substr(1)));
    } else {
      if (data.size() < 2) Fail("an iTXt chunk is cut short");
      const bool compressed = data[0] != 0;
      if (compressed && data[1] != 0) Fail("an iTXt chunk has an unknown compression");
      data.remove_prefix(2);
      Until0(data, "language");
      Until0(data, "translated key");
      if (compressed) {
        value = Inflate(data);
      } else {
        value = std::string(data);
        budget_ = Spend(value.size());
      }
      if (!IsUtf8(value)) Fail("an iTXt chunk is not UTF-8");
    }
    text_[Utf8OrLatin1(key)] = std::move(value);
  }

  PngText Take() { return std::move(text_); }

  [[noreturn]] void Fail(const std::string& what) const {
    throw Error(ErrorCode::kBadFile, where_ + ": " + what);
  }

 private:
  // What is before the next zero byte; `data` moves behind it.
  std::string_view Until0(std::string_view& data, const char* what) const {
    const size_t end = data.find('\0');
    if (end == std::string_view::npos) Fail(std::string("a text chunk ends within its ") + what);
    const std::string_view found = data.substr(0, end);
    data.remove_prefix(end + 1);
    return found;
  }

  size_t Spend(size_t bytes) const {
    if (bytes > budget_) {
      Fail("more than " + std::to_string(kMaxTextBytes) + " bytes of text");
    }
    return budget_ - bytes;
  }

  std::string Inflate(std::string_view data) {
    z_stream stream = {};
    if (inflateInit(&stream) != Z_OK) throw Error(ErrorCode::kInternal, "zlib: no memory");
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
    stream.avail_in = static_cast<uInt>(data.size());
    std::string out;
    char block[16384];
    int status = Z_OK;
    while (status == Z_OK && out.size() <= budget_) {
      stream.next_out = reinterpret_cast<Bytef*>(block);
      stream.avail_out = sizeof block;
      status = inflate(&stream, Z_NO_FLUSH);
      out.append(block, sizeof block - stream.avail_out);
    }
    inflateEnd(&stream);
    budget_ = Spend(out.size());
    if (status != Z_STREAM_END) Fail("a compressed text chunk is broken");
    return out;
  }

  const std::string& where_;
  size_t budget_ = kMaxTextBytes;
  PngText text_;
};

}  // namespace

std::string Utf8OrLatin1(std::string_view text) {
  if (IsUtf8(text)) return std::string(text);
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      out += c;
    } else {
      out += static_cast<char>(0xc0 | byte >> 6);
      out += static_cast<char>(0x80 | (byte & 0x3f));
    }
  }
  return out;
}

PngText ParsePngText(std::span<const std::byte> bytes, const std::string& where) {
  TextReader reader(where);
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (rest.size() < sizeof kSignature ||
      std::memcmp(rest.data(), kSignature, sizeof kSignature) != 0) {
    reader.Fail("not a PNG file");
  }
  rest.remove_prefix(sizeof kSignature);
  while (true) {
    if (rest.size() < 12) reader.Fail("the PNG is cut short");
    const size_t length = BigEndian(rest);
    const std::string_view type = rest.substr(4, 4);
    if (length > rest.size() - 12) {
      reader.Fail("a PNG chunk of " + std::to_string(length) + " bytes is cut short");
    }
    if (type == "IEND") return reader.Take();
    if (type == "tEXt" || type == "zTXt" || type == "iTXt")
      reader.Read(type, rest.substr(8, length));
    rest.remove_prefix(12 + length);  // length, type, data, checksum
  }
}

}  // namespace fovea
