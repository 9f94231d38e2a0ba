#include "ui/letters.h"

#include <algorithm>

namespace fovea {
namespace {

constexpr size_t kMost = 6000;
constexpr unsigned kFirst = 0x530;  // up to here every atlas has them

}  // namespace

bool Letters::Learn(const std::string& text) {
  bool fresh = false;
  for (size_t i = 0; i + 2 < text.size(); ++i) {
    const auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
    // Three bytes are U+0800 to U+FFFF; two, Hebrew and Arabic among them, up to U+07FF.
    unsigned letter = 0;
    if ((byte(i) & 0xf0) == 0xe0) {
      letter = (byte(i) & 0x0fu) << 12 | (byte(i + 1) & 0x3fu) << 6 | (byte(i + 2) & 0x3fu);
    } else if ((byte(i) & 0xe0) == 0xc0) {
      letter = (byte(i) & 0x1fu) << 6 | (byte(i + 1) & 0x3fu);
    }
    if (letter < kFirst || (letter >= 0xd800 && letter < 0xf900)) continue;
    const auto wide = static_cast<ImWchar>(letter);
    const auto at = std::lower_bound(more_.begin(), more_.end(), wide);
    if ((at != more_.end() && *at == wide) || more_.size() >= kMost) continue;
    more_.insert(at, wide);
    fresh = true;
  }
  return fresh;
}

bool Letters::Learn(const Snapshot& snapshot, const UiState& state) {
  bool fresh = Learn(state.draft.prompt + "  ");
  fresh = Learn(NegativeOf(state.draft) + "  ") || fresh;
  fresh = Learn(state.search + "  ") || fresh;
  if (snapshot.pictures != nullptr && snapshot.pictures != pictures_) {
    pictures_ = snapshot.pictures;
    for (const auto& each : *pictures_) fresh = Learn(each->settings.prompt + "  ") || fresh;
  }
  if (snapshot.jobs != nullptr && snapshot.jobs != jobs_) {
    jobs_ = snapshot.jobs;
    for (const JobView& each : *jobs_) fresh = Learn(each.settings.prompt + "  ") || fresh;
  }
  return fresh;
}

}  // namespace fovea
