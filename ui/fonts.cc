// Finding and loading the studio's letters.
#include <array>
#include <filesystem>

#include "ui/theme.h"

namespace fovea {
namespace {

struct Face {
  const char* regular;
  const char* strong;
};
// As Debian installs them: fonts-inter, fonts-roboto, fonts-noto-core, fonts-dejavu-core.
constexpr std::array kFaces = {
    Face{"/usr/share/fonts/opentype/inter/Inter-Regular.otf",
         "/usr/share/fonts/opentype/inter/Inter-SemiBold.otf"},
    Face{"/usr/share/fonts/truetype/roboto/unhinted/RobotoTTF/Roboto-Regular.ttf",
         "/usr/share/fonts/truetype/roboto/unhinted/RobotoTTF/Roboto-Medium.ttf"},
    Face{"/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf",
         "/usr/share/fonts/truetype/noto/NotoSans-SemiBold.ttf"},
    Face{"/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
         "/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf"},
};
// For letters that the face lacks, in this order; Debian's fonts-noto-cjk, fonts-noto-core,
// fonts-droid-fallback, fonts-wqy-microhei, fonts-freefont-ttf, fonts-dejavu-core.
constexpr std::array kOthers = {
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/noto/NotoSansDevanagari-Regular.ttf",
    "/usr/share/fonts/truetype/noto/NotoSansArabic-Regular.ttf",
    "/usr/share/fonts/truetype/noto/NotoSansHebrew-Regular.ttf",
    "/usr/share/fonts/truetype/noto/NotoSansThai-Regular.ttf",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/freefont/FreeSans.ttf",
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
};
constexpr const char* kIcons = "/usr/share/fonts/truetype/font-awesome/fontawesome-webfont.ttf";

bool Exists(const char* path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error);
}

// Latin, Greek, Cyrillic and punctuation.
constexpr ImWchar kLetters[] = {0x20,   0x17f,  0x370,  0x52f,  0x2010, 0x2044,
                                0x20a0, 0x20bf, 0x2190, 0x2193, 0x2248, 0x2248,
                                0x2260, 0x2265, 0x25a1, 0x25a1, 0};
constexpr ImWchar kIconRange[] = {0xf000, 0xf2e0, 0};

ImFont* Add(ImFontAtlas& atlas, const char* face, float pixels, bool icons,
            const std::vector<ImWchar>& more) {
  ImFontConfig config;
  config.OversampleH = 2;
  config.PixelSnapH = true;
  ImFont* font = atlas.AddFontFromFileTTF(face, pixels, &config, kLetters);
  if (font == nullptr) return font;
  for (const char* other : kOthers) {
    if (more.empty() || !Exists(other)) continue;
    ImFontConfig added;
    added.MergeMode = true;
    added.PixelSnapH = true;
    added.OversampleH = 1;
    atlas.AddFontFromFileTTF(other, pixels, &added, more.data());
  }
  if (!icons) return font;
  ImFontConfig merged;
  merged.MergeMode = true;
  merged.PixelSnapH = true;
  merged.GlyphMinAdvanceX = pixels * 1.15f;  // icons of one width
  merged.GlyphOffset = {0, pixels * 0.06f};
  atlas.AddFontFromFileTTF(kIcons, pixels * 0.95f, &merged, kIconRange);
  return font;
}

}  // namespace

Fonts LoadFonts(ImFontAtlas& atlas, float scale, const std::vector<ImWchar>& more) {
  Fonts fonts;
  fonts.more = std::make_shared<std::vector<ImWchar>>();
  for (const ImWchar letter : more) fonts.more->insert(fonts.more->end(), {letter, letter});
  if (!more.empty()) fonts.more->push_back(0);
  const std::vector<ImWchar>& ranges = *fonts.more;
  atlas.Clear();
  fonts.has_icons = Exists(kIcons);
  for (const Face& face : kFaces) {
    if (!Exists(face.regular)) continue;
    const char* strong = Exists(face.strong) ? face.strong : face.regular;
    fonts.body = Add(atlas, face.regular, 15 * scale, fonts.has_icons, ranges);
    fonts.strong = Add(atlas, strong, 15 * scale, fonts.has_icons, ranges);
    fonts.title = Add(atlas, strong, 20 * scale, fonts.has_icons, ranges);
    fonts.small = Add(atlas, face.regular, 12.5f * scale, fonts.has_icons, ranges);
    break;
  }
  if (fonts.body == nullptr) {
    ImFontConfig config;
    config.SizePixels = 13 * scale;
    fonts.body = fonts.strong = fonts.title = fonts.small = atlas.AddFontDefault(&config);
    fonts.has_icons = false;
    fonts.note = "no font was found; install fonts-inter for readable letters";
  } else if (fonts.has_icons) {
    ImFontConfig config;
    config.PixelSnapH = true;
    fonts.icons = atlas.AddFontFromFileTTF(kIcons, 44 * scale, &config, kIconRange);
  } else {
    fonts.note = "icons are shown as words; install fonts-font-awesome";
  }
  return fonts;
}

}  // namespace fovea
