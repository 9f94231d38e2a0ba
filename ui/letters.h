// Which letters beyond Latin, Greek and Cyrillic do the texts on the screen have? Fonts of other
// scripts hold tens of thousands of letters: only those that were met are drawn into the atlas.
#pragma once

#include <string>
#include <vector>

#include <imgui.h>

#include "ui/snapshot.h"
#include "ui/state.h"

namespace fovea {

class Letters {
 public:
  // True if the text had new ones.
  bool Learn(const std::string& text);
  // Of what the window may show.
  bool Learn(const Snapshot& snapshot, const UiState& state);
  const std::vector<ImWchar>& More() const { return more_; }  // sorted

 private:
  std::vector<ImWchar> more_;
  std::shared_ptr<const PictureList> pictures_;
  std::shared_ptr<const std::vector<JobView>> jobs_;
};

}  // namespace fovea
