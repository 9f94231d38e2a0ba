#include "app/cli_commands/grid/label_text.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#define STB_TRUETYPE_IMPLEMENTATION
#define STBTT_STATIC
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#include <stb/stb_truetype.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#include "models/files/text_file.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr const char* kFonts[] = {
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf",
    "/usr/share/fonts/opentype/inter/Inter-Regular.otf",
    "/usr/share/fonts/truetype/inter/Inter-Regular.ttf",
    "/usr/share/fonts/truetype/roboto/unhinted/RobotoTTF/Roboto-Regular.ttf",
    "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf",
};
constexpr size_t kMostBytes = size_t{64} << 20;

// The letters of a text; broken bytes are "?".
std::vector<int> Letters(std::string_view text) {
  std::vector<int> letters;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t length = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : 4;
    int code = length == 1 ? lead : lead & (0x7f >> length);
    bool good = lead < 0x80 || (lead >= 0xc2 && lead < 0xf5 && i + length <= text.size());
    for (size_t k = 1; good && k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      good = next >> 6 == 2;
      code = code << 6 | (next & 0x3f);
    }
    letters.push_back(good ? code : '?');
    i += good ? length : 1;
  }
  return letters;
}

// The text without its last letter.
void DropLetter(std::string* text) {
  while (!text->empty() && (static_cast<unsigned char>(text->back()) & 0xc0) == 0x80) {
    text->pop_back();
  }
  if (!text->empty()) text->pop_back();
}

}  // namespace

struct LabelText::Font {
  std::string bytes;
  stbtt_fontinfo info{};
  float scale = 1;
  int ascent = 0, size = 0;
};

LabelText::LabelText(int size) : font_(std::make_unique<Font>()) {
  for (const char* path : kFonts) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) continue;
    font_->bytes = ReadTextFile(path, kMostBytes);
    const auto* data = reinterpret_cast<const unsigned char*>(font_->bytes.data());
    if (stbtt_InitFont(&font_->info, data, stbtt_GetFontOffsetForIndex(data, 0)) == 0) continue;
    int descent = 0, gap = 0;
    font_->size = size;
    font_->scale = stbtt_ScaleForPixelHeight(&font_->info, static_cast<float>(size) * 0.85f);
    stbtt_GetFontVMetrics(&font_->info, &font_->ascent, &descent, &gap);
    return;
  }
  throw Error(ErrorCode::kUnsupported,
              "no font is installed for the labels of a grid; install fonts-dejavu-core, or write "
              "a table with -o grid.csv");
}

LabelText::~LabelText() = default;

int LabelText::LineHeight() const {
  return font_->size;
}

int LabelText::Width(std::string_view utf8) const {
  float width = 0;
  for (const int letter : Letters(utf8)) {
    int advance = 0, bearing = 0;
    stbtt_GetCodepointHMetrics(&font_->info, letter, &advance, &bearing);
    width += static_cast<float>(advance) * font_->scale;
  }
  return static_cast<int>(std::ceil(width));
}

std::vector<std::string> LabelText::Wrap(std::string_view utf8, int width, int lines) const {
  std::vector<std::string> out;
  std::string line;
  bool cut = false;
  const auto end_line = [&] {
    out.push_back(std::move(line));
    line.clear();
  };
  for (size_t i = 0; i < utf8.size() && !cut;) {
    // A word with the blank before it, or what of it fits.
    size_t end = i + 1;
    while (end < utf8.size() && utf8[end] != ' ' && utf8[end] != ',') ++end;
    const std::string word(utf8.substr(i, end - i));
    if (Width(line + word) <= width) {
      line += word;
      i = end;
    } else if (!line.empty()) {
      end_line();
      while (i < utf8.size() && utf8[i] == ' ') ++i;
    } else {
      line = word;
      while (line.size() > 1 && Width(line) > width) DropLetter(&line);
      if (line.empty()) line = word.substr(0, 1);
      i += line.size();
      end_line();
    }
    cut = static_cast<int>(out.size()) >= lines && (i < utf8.size() || !line.empty());
  }
  if (!cut && !line.empty()) out.push_back(line);
  if (cut || static_cast<int>(out.size()) > lines) {
    out.resize(static_cast<size_t>(lines));
    std::string& last = out.back();
    while (!last.empty() && Width(last + "\xe2\x80\xa6") > width) DropLetter(&last);
    last += "\xe2\x80\xa6";
  }
  return out;
}

void LabelText::Draw(std::string_view utf8, int x, int y, Image* image) const {
  float pen = static_cast<float>(x);
  const int baseline =
      y + static_cast<int>(std::lround(static_cast<float>(font_->ascent) * font_->scale));
  for (const int letter : Letters(utf8)) {
    int width = 0, height = 0, left = 0, top = 0;
    unsigned char* bitmap = stbtt_GetCodepointBitmap(&font_->info, 0, font_->scale, letter, &width,
                                                     &height, &left, &top);
    for (int row = 0; row < height; ++row) {
      for (int column = 0; column < width; ++column) {
        const int px = static_cast<int>(std::lround(pen)) + left + column;
        const int py = baseline + top + row;
        if (px < 0 || py < 0 || px >= image->width || py >= image->height) continue;
        uint8_t* pixel = &image->rgb[static_cast<size_t>(py * image->width + px) * 3];
        for (int c = 0; c < 3; ++c) {
          pixel[c] = static_cast<uint8_t>(pixel[c] * (255 - bitmap[row * width + column]) / 255);
        }
      }
    }
    stbtt_FreeBitmap(bitmap, nullptr);
    int advance = 0, bearing = 0;
    stbtt_GetCodepointHMetrics(&font_->info, letter, &advance, &bearing);
    pen += static_cast<float>(advance) * font_->scale;
  }
}

}  // namespace fovea
