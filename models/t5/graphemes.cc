#include "models/t5/graphemes.h"

#include <unicode/uchar.h>

namespace fovea::unicode {
namespace {

int Break(char32_t c) {
  return u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_GRAPHEME_CLUSTER_BREAK);
}

bool IsControl(int kind) {
  return kind == U_GCB_CONTROL || kind == U_GCB_CR || kind == U_GCB_LF;
}

// Whether there is a boundary between two neighbours. `pictograph`: before them stand a pictograph
// and its extensions, the left one being the last of those or a joiner.
bool Breaks(int left, int right, bool pictograph, bool right_is_pictograph) {
  if (left == U_GCB_CR && right == U_GCB_LF) return false;
  if (IsControl(left) || IsControl(right)) return true;
  if (left == U_GCB_L &&
      (right == U_GCB_L || right == U_GCB_V || right == U_GCB_LV || right == U_GCB_LVT)) {
    return false;
  }
  if ((left == U_GCB_LV || left == U_GCB_V) && (right == U_GCB_V || right == U_GCB_T)) return false;
  if ((left == U_GCB_LVT || left == U_GCB_T) && right == U_GCB_T) return false;
  if (right == U_GCB_EXTEND || right == U_GCB_ZWJ || right == U_GCB_SPACING_MARK) return false;
  if (left == U_GCB_PREPEND) return false;
  return !(pictograph && left == U_GCB_ZWJ && right_is_pictograph);
}

}  // namespace

size_t GraphemeLength(std::u32string_view text) {
  if (text.empty()) return 0;
  bool pictograph = false;
  for (size_t i = 0;; ++i) {
    const bool own =
        u_hasBinaryProperty(static_cast<UChar32>(text[i]), UCHAR_EXTENDED_PICTOGRAPHIC);
    const int left = Break(text[i]);
    pictograph = own || (pictograph && (left == U_GCB_EXTEND || left == U_GCB_ZWJ));
    if (i + 1 == text.size()) return text.size();
    const char32_t next = text[i + 1];
    if (Breaks(left, Break(next), pictograph,
               u_hasBinaryProperty(static_cast<UChar32>(next), UCHAR_EXTENDED_PICTOGRAPHIC))) {
      return i + 1;
    }
  }
}

}  // namespace fovea::unicode
