#include "models/t5/charsmap.h"

#include "models/clip/unicode_text.h"
#include "models/t5/graphemes.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr size_t kWholeClusterBytes = 6;  // clusters of as many bytes are not looked up whole

uint32_t LittleEndian(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 4; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

// The units of darts-clone's double array.
bool HasLeaf(uint32_t unit) {
  return (unit >> 8 & 1) != 0;
}
uint32_t Value(uint32_t unit) {
  return unit & 0x7fffffffu;
}
uint32_t Label(uint32_t unit) {
  return unit & 0x800000ffu;
}
size_t Offset(uint32_t unit) {
  return static_cast<size_t>(unit >> 10) << (unit >> 6 & 8);
}

}  // namespace

Charsmap Charsmap::Parse(std::string_view bytes, const std::string& where) {
  const auto bad = [&](const std::string& what) {
    throw Error(ErrorCode::kBadFile, where + ": " + what);
  };
  if (bytes.size() < 4) bad("a charsmap has at least 4 bytes, not " + std::to_string(bytes.size()));
  const size_t size = LittleEndian(bytes, 0);
  if (size > bytes.size() - 4 || size % 4 != 0 || size == 0) {
    bad("a charsmap of " + std::to_string(bytes.size()) + " bytes cannot hold a trie of " +
        std::to_string(size));
  }
  Charsmap map;
  for (size_t at = 4; at < 4 + size; at += 4) map.units_.push_back(LittleEndian(bytes, at));
  map.replacements_ = bytes.substr(4 + size);
  return map;
}

bool Charsmap::Find(std::string_view utf8, std::string_view* replacement) const {
  size_t node = Offset(units_[0]);
  for (const char c : utf8) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte == 0) return false;
    node ^= byte;
    if (node >= units_.size() || Label(units_[node]) != byte) return false;
    const uint32_t unit = units_[node];
    node ^= Offset(unit);
    if (node >= units_.size()) return false;
    if (!HasLeaf(unit)) continue;
    const size_t begin = Value(units_[node]);
    if (begin >= replacements_.size()) return false;
    const size_t end = std::min(replacements_.find('\0', begin), replacements_.size());
    *replacement = std::string_view(replacements_).substr(begin, end - begin);
    return true;
  }
  return false;
}

std::u32string Charsmap::Normalize(std::u32string_view text) const {
  std::u32string out;
  std::string_view replacement;
  while (!text.empty()) {
    const std::u32string_view cluster = text.substr(0, unicode::GraphemeLength(text));
    text.remove_prefix(cluster.size());
    // Six characters and more are at least six bytes.
    const std::string whole =
        cluster.size() < kWholeClusterBytes ? unicode::Encode(cluster) : std::string();
    if (!whole.empty() && whole.size() < kWholeClusterBytes && Find(whole, &replacement)) {
      out += unicode::Decode(replacement);
      continue;
    }
    for (const char32_t c : cluster) {
      std::string utf8;
      unicode::AppendUtf8(c, utf8);
      if (Find(utf8, &replacement)) {
        out += unicode::Decode(replacement);
      } else {
        out.push_back(c);
      }
    }
  }
  return out;
}

}  // namespace fovea
