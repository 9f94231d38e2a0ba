#include "ui/emoji_text.h"

namespace fovea {
namespace {

constexpr unsigned kFirst = 0x1f000, kLast = 0x1faff, kPlace = 0xe000;

unsigned Byte(const std::string& text, size_t at) {
  return at < text.size() ? static_cast<unsigned char>(text[at]) : 0;
}

void Append(unsigned letter, std::string* text) {
  const auto tail = [&](unsigned shift) {
    *text += static_cast<char>(0x80 | (letter >> shift & 0x3f));
  };
  if (letter >= 0x10000) {
    *text += static_cast<char>(0xf0 | letter >> 18);
    tail(12);
  } else {
    *text += static_cast<char>(0xe0 | letter >> 12);
  }
  tail(6);
  tail(0);
}

}  // namespace

unsigned PackEmoji(unsigned letter) {
  return letter >= kFirst && letter <= kLast ? letter - kFirst + kPlace : letter;
}

std::string PackEmoji(const std::string& text) {
  std::string packed;
  for (size_t i = 0; i < text.size(); ++i) {
    const unsigned lead = Byte(text, i);
    if (lead == 0xf0 && i + 3 < text.size()) {
      const unsigned letter = (Byte(text, i + 1) & 0x3f) << 12 | (Byte(text, i + 2) & 0x3f) << 6 |
                              (Byte(text, i + 3) & 0x3f);
      if (PackEmoji(letter) != letter) {
        Append(PackEmoji(letter), &packed);
        i += 3;
        continue;
      }
    }
    packed += text[i];
  }
  return packed;
}

std::string UnpackEmoji(const std::string& text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (Byte(text, i) == 0xee && i + 2 < text.size()) {
      const unsigned letter = 0xe000 | (Byte(text, i + 1) & 0x3f) << 6 | (Byte(text, i + 2) & 0x3f);
      if (letter <= kLast - kFirst + kPlace) {
        Append(letter - kPlace + kFirst, &plain);
        i += 2;
        continue;
      }
    }
    plain += text[i];
  }
  return plain;
}

}  // namespace fovea
