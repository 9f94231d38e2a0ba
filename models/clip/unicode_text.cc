#include "models/clip/unicode_text.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uset.h>
#include <unicode/utf16.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "tensor/error.h"

namespace fovea::unicode {
namespace {

constexpr char32_t kReplacement = 0xfffd;

struct Range {
  char32_t first, last;
};

// Assigned by Unicode 15.1 and 16, and therefore unknown to ICU 72.
constexpr std::array<Range, 22> kNewLetters = {{
    {0x1c89, 0x1c8a},   {0xa7cb, 0xa7cd},   {0xa7da, 0xa7dc},   {0x105c0, 0x105f3},
    {0x10d4a, 0x10d65}, {0x10d6f, 0x10d85}, {0x10ec2, 0x10ec4}, {0x11380, 0x11389},
    {0x1138b, 0x1138b}, {0x1138e, 0x1138e}, {0x11390, 0x113b5}, {0x113b7, 0x113b7},
    {0x113d1, 0x113d1}, {0x113d3, 0x113d3}, {0x11bc0, 0x11be0}, {0x13460, 0x143fa},
    {0x16100, 0x1611d}, {0x16d40, 0x16d6c}, {0x18cff, 0x18cff}, {0x1e5d0, 0x1e5ed},
    {0x1e5f0, 0x1e5f0}, {0x2ebf0, 0x2ee5d},
}};
constexpr std::array<Range, 7> kNewNumbers = {{
    {0x10d40, 0x10d49},
    {0x116d0, 0x116e3},
    {0x11bf0, 0x11bf9},
    {0x16130, 0x16139},
    {0x16d70, 0x16d79},
    {0x1ccf0, 0x1ccf9},
    {0x1e5f1, 0x1e5fa},
}};

struct NewLower {
  char32_t first, last;
  int32_t distance;
};
// Capitals assigned by Unicode 16 and 17.
constexpr std::array<NewLower, 10> kNewLower = {{
    {0x1c89, 0x1c89, 1},
    {0xa7cb, 0xa7cb, -42343},
    {0xa7cc, 0xa7cc, 1},
    {0xa7ce, 0xa7ce, 1},
    {0xa7d2, 0xa7d2, 1},
    {0xa7d4, 0xa7d4, 1},
    {0xa7da, 0xa7da, 1},
    {0xa7dc, 0xa7dc, -42561},
    {0x10d50, 0x10d65, 32},
    {0x16ea0, 0x16eb8, 27},
}};

template <size_t N>
bool Contains(const std::array<Range, N>& ranges, char32_t c) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [c](const Range& range) { return c >= range.first && c <= range.last; });
}

uint32_t Category(char32_t c) {
  return U_GET_GC_MASK(static_cast<UChar32>(c));
}

// Bytes after the lead byte, and the range of the first of them; 0 for a byte that cannot lead.
struct Lead {
  int following;
  uint8_t low, high;
  char32_t bits;
};

Lead ParseLead(uint8_t byte) {
  if (byte >= 0xc2 && byte <= 0xdf) return {1, 0x80, 0xbf, byte & 0x1fu};
  if (byte == 0xe0) return {2, 0xa0, 0xbf, 0};
  if (byte == 0xed) return {2, 0x80, 0x9f, 0xd};
  if (byte >= 0xe1 && byte <= 0xef) return {2, 0x80, 0xbf, byte & 0xfu};
  if (byte == 0xf0) return {3, 0x90, 0xbf, 0};
  if (byte >= 0xf1 && byte <= 0xf3) return {3, 0x80, 0xbf, byte & 0x7u};
  if (byte == 0xf4) return {3, 0x80, 0x8f, 4};
  return {0, 0, 0, 0};
}

void CheckIcu(UErrorCode status) {
  if (U_FAILURE(status)) {
    throw Error(ErrorCode::kInternal, std::string("ICU failed: ") + u_errorName(status));
  }
}

// Normalises only what Unicode 9 had assigned. Never closed: ICU's instances live as long.
const UNormalizer2* Normalizer(Form form) {
  static const std::array<const UNormalizer2*, 4> instances = [] {
    UErrorCode status = U_ZERO_ERROR;
    const USet* known = uset_openPattern(u"[:age=9.0:]", -1, &status);
    const std::array<const UNormalizer2*, 4> whole = {
        unorm2_getNFCInstance(&status), unorm2_getNFDInstance(&status),
        unorm2_getNFKCInstance(&status), unorm2_getNFKDInstance(&status)};
    std::array<const UNormalizer2*, 4> out{};
    for (size_t i = 0; i < out.size(); ++i) out[i] = unorm2_openFiltered(whole[i], known, &status);
    CheckIcu(status);
    return out;
  }();
  return instances[static_cast<size_t>(form)];
}

}  // namespace

std::u32string Decode(std::string_view utf8) {
  std::u32string out;
  out.reserve(utf8.size());
  for (size_t i = 0; i < utf8.size();) {
    const auto byte = static_cast<uint8_t>(utf8[i++]);
    if (byte < 0x80) {
      out.push_back(byte);
      continue;
    }
    Lead lead = ParseLead(byte);
    bool whole = lead.following > 0;
    for (; whole && lead.following > 0; --lead.following) {
      const auto next = i < utf8.size() ? static_cast<uint8_t>(utf8[i]) : uint8_t{0};
      whole = next >= lead.low && next <= lead.high;
      if (!whole) break;
      lead.bits = lead.bits << 6 | (next & 0x3fu);
      lead.low = 0x80;
      lead.high = 0xbf;
      ++i;
    }
    out.push_back(whole ? lead.bits : kReplacement);
  }
  return out;
}

void AppendUtf8(char32_t c, std::string& out) {
  const auto put = [&out](char32_t bits) { out.push_back(static_cast<char>(bits)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xc0 | c >> 6);
    put(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    put(0xe0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3f));
    put(0x80 | (c & 0x3f));
  } else {
    put(0xf0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3f));
    put(0x80 | (c >> 6 & 0x3f));
    put(0x80 | (c & 0x3f));
  }
}

std::string Encode(std::u32string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char32_t c : text) AppendUtf8(c, out);
  return out;
}

bool IsLetter(char32_t c) {
  if (c < 0x80) return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
  return (Category(c) & U_GC_L_MASK) != 0 || Contains(kNewLetters, c);
}

bool IsNumber(char32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9';
  return (Category(c) & U_GC_N_MASK) != 0 || Contains(kNewNumbers, c);
}

bool IsSpace(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
  return u_isUWhiteSpace(static_cast<UChar32>(c));
}

bool IsWord(char32_t c) {
  return (Category(c) & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0 ||
         u_isUAlphabetic(static_cast<UChar32>(c)) || c == 0x200c || c == 0x200d ||
         Contains(kNewLetters, c) || Contains(kNewNumbers, c);
}

std::u32string Lowercase(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (const char32_t c : text) {
    if (c < 0x80) {
      out.push_back(c >= 'A' && c <= 'Z' ? c + 32 : c);
      continue;
    }
    if (c == 0x130) {  // dotted capital I: the one capital whose lower case is two characters
      out += U"i\u0307";
      continue;
    }
    auto lower = static_cast<char32_t>(u_tolower(static_cast<UChar32>(c)));
    for (const NewLower& range : kNewLower) {
      if (c >= range.first && c <= range.last) {
        lower = static_cast<char32_t>(static_cast<int32_t>(c) + range.distance);
      }
    }
    out.push_back(lower);
  }
  return out;
}

std::u32string Normalize(std::u32string_view text, Form form) {
  // Below U+0300 nothing combines; below U+00A0 nothing decomposes in any form.
  const char32_t inert = form == Form::kNfc ? 0x300 : 0xa0;
  if (std::all_of(text.begin(), text.end(), [inert](char32_t c) { return c < inert; })) {
    return std::u32string(text);
  }
  std::u16string source;
  source.reserve(text.size());
  for (const char32_t c : text) {
    if (c < 0x10000) {
      source.push_back(static_cast<char16_t>(c));
    } else {
      source.push_back(static_cast<char16_t>(U16_LEAD(c)));
      source.push_back(static_cast<char16_t>(U16_TRAIL(c)));
    }
  }
  const UNormalizer2* normalizer = Normalizer(form);
  std::u16string target(source.size() + source.size() / 2 + 16, u'\0');
  for (;;) {
    UErrorCode status = U_ZERO_ERROR;
    const int32_t size =
        unorm2_normalize(normalizer, source.data(), static_cast<int32_t>(source.size()),
                         target.data(), static_cast<int32_t>(target.size()), &status);
    target.resize(static_cast<size_t>(size));
    if (status == U_BUFFER_OVERFLOW_ERROR) continue;
    CheckIcu(status);
    break;
  }
  std::u32string out;
  out.reserve(target.size());
  for (size_t i = 0; i < target.size(); ++i) {
    if (U16_IS_LEAD(target[i]) && i + 1 < target.size()) {
      out.push_back(static_cast<char32_t>(U16_GET_SUPPLEMENTARY(target[i], target[i + 1])));
      ++i;
    } else {
      out.push_back(target[i]);
    }
  }
  return out;
}

}  // namespace fovea::unicode
