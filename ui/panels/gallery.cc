// Gallery: every picture with its settings, searched, starred, compared, deleted and brought back.
#include <algorithm>
#include <cctype>
#include <vector>

#include "ui/panels/panels.h"
#include "ui/widgets/controls.h"
#include "ui/widgets/thumbnail.h"

namespace fovea {
namespace {

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::vector<std::string> WordsOf(const std::string& text) {
  std::vector<std::string> words;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    if (end > begin) words.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

// Every word of the search is in the prompt, the plan, the sampler, the model or the seed.
bool Matches(const PictureView& picture, const std::vector<std::string>& words) {
  const GenerateSettings& s = picture.settings;
  const std::string text = Lower(s.prompt + " " + s.attention + " " + s.sampler + " " + s.model +
                                 " " + std::to_string(s.seed.value_or(0)));
  return std::all_of(words.begin(), words.end(),
                     [&](const std::string& word) { return text.find(word) != std::string::npos; });
}

std::vector<const PictureView*> Filtered(const Frame& frame) {
  std::vector<const PictureView*> shown;
  if (frame.snapshot.pictures == nullptr) return shown;
  const std::vector<std::string> words = WordsOf(Lower(frame.state.search));
  for (const auto& picture : *frame.snapshot.pictures) {
    const bool trash = frame.state.filter == GalleryFilter::kTrash;
    if (picture->trashed != trash) continue;
    if (frame.state.filter == GalleryFilter::kFavourites && !picture->favourite) continue;
    if (words.empty() || Matches(*picture, words)) shown.push_back(picture.get());
  }
  return shown;
}

void DrawBar(Frame& frame, size_t shown) {
  UiState& state = frame.state;
  ImGui::SetNextItemWidth(frame.look.Px(300));
  TextBox(frame, "gallery.search", "Search prompts, plans, seeds", &state.search);
  ImGui::SameLine();
  int filter = static_cast<int>(state.filter);
  if (Segments(frame, "gallery.filter", {"All", "Favourites", "Trash"}, &filter,
               frame.look.Px(300))) {
    state.filter = static_cast<GalleryFilter>(filter);
  }
  ImGui::SameLine(0, frame.look.Px(14));
  ImGui::PushStyleColor(ImGuiCol_Text, frame.look.palette.faint);
  ImGui::Text("%d %s", static_cast<int>(shown), shown == 1 ? "picture" : "pictures");
  ImGui::PopStyleColor();
  if (state.filter != GalleryFilter::kTrash || shown == 0) return;
  ImGui::SameLine(0, frame.look.Px(14));
  if (!state.ask_empty_trash) {
    if (QuietButton(frame, "gallery.empty", "Empty the trash")) state.ask_empty_trash = true;
    return;
  }
  if (QuietButton(frame, "gallery.empty.yes", "Delete for ever")) {
    frame.Send(EmptyTrash{});
    state.ask_empty_trash = false;
  }
  ImGui::SameLine();
  if (QuietButton(frame, "gallery.empty.no", "Keep")) state.ask_empty_trash = false;
}

constexpr float kThumbnail = 148;

// One notch is a row, of a wheel that turns fast several; Home, End and the page keys jump.
void ScrollRows(Frame& frame) {
  const ImGuiIO& io = ImGui::GetIO();
  if (!ImGui::IsWindowHovered(ImGuiHoveredFlags_ChildWindows)) return;
  UiState& state = frame.state;
  float by = 0;
  if (io.MouseWheel != 0) {
    const double now = ImGui::GetTime();
    state.wheel_speed = now - state.wheel_at < 0.12 ? std::min(state.wheel_speed + 0.5f, 8.0f) : 1;
    state.wheel_at = now;
    by = -io.MouseWheel * state.wheel_speed * frame.look.Px(kThumbnail);
  }
  if (!io.WantTextInput) {
    const float page = ImGui::GetWindowHeight() * 0.9f;
    if (Pressed(NamedKey(ImGuiKey_PageDown))) by = page;
    if (Pressed(NamedKey(ImGuiKey_PageUp))) by = -page;
    if (Pressed(NamedKey(ImGuiKey_Home))) by = -ImGui::GetScrollMaxY();
    if (Pressed(NamedKey(ImGuiKey_End))) by = ImGui::GetScrollMaxY();
  }
  if (by != 0) {
    ImGui::SetScrollY(std::clamp(ImGui::GetScrollY() + by, 0.0f, ImGui::GetScrollMaxY()));
  }
}

void DrawGrid(Frame& frame, const std::vector<const PictureView*>& pictures) {
  const float gap = frame.look.Px(8), wanted = frame.look.Px(kThumbnail);
  const float room = ImGui::GetContentRegionAvail().x - ImGui::GetStyle().ScrollbarSize;
  const int columns = std::max(1, static_cast<int>((room + gap) / (wanted + gap)));
  const float side = (room - gap * static_cast<float>(columns - 1)) / static_cast<float>(columns);
  const auto count = static_cast<int>(pictures.size());
  ImGui::PushStyleVar(ImGuiStyleVar_ItemSpacing, {gap, gap});
  ImGuiListClipper clipper;
  clipper.Begin((count + columns - 1) / columns, side + gap);
  while (clipper.Step()) {
    for (int row = clipper.DisplayStart; row < clipper.DisplayEnd; ++row) {
      for (int i = row * columns; i < std::min(count, (row + 1) * columns); ++i) {
        const PictureView& picture = *pictures[static_cast<size_t>(i)];
        if (i > row * columns) ImGui::SameLine();
        const bool selected = picture.id == frame.state.selected_picture;
        if (Thumbnail(frame, "gallery." + std::to_string(i), picture, side, selected)) {
          frame.state.selected_picture = picture.id;
          frame.Send(OpenPicture{picture.id});
        }
      }
    }
  }
  ImGui::PopStyleVar();
}

void Row(Frame& frame, const char* name, const std::string& value) {
  if (value.empty()) return;
  const ScopedFont font(frame.look.fonts.small);
  ImGui::PushStyleColor(ImGuiCol_Text, frame.look.palette.faint);
  ImGui::TextUnformatted(name);
  ImGui::PopStyleColor();
  ImGui::SameLine(frame.look.Px(92));
  ImGui::TextWrapped("%s", value.c_str());
}

void DrawFacts(Frame& frame, const PictureView& picture) {
  const GenerateSettings& s = picture.settings;
  BeginArea("facts", {0, -frame.look.Px(84)});
  ImGui::TextWrapped("%s", s.prompt.empty() ? "no prompt" : s.prompt.c_str());
  ImGui::Dummy({1, frame.look.Px(2)});
  ImGui::PushStyleVar(ImGuiStyleVar_ItemSpacing, {frame.look.Px(8), frame.look.Px(4)});
  Row(frame, "avoid", NegativeOf(s));
  Row(frame, "size", std::to_string(s.width) + " x " + std::to_string(s.height));
  Row(frame, "seed", std::to_string(s.seed.value_or(0)));
  if (!s.image.empty()) {
    Row(frame, "from",
        s.image.substr(0, s.image.find('-')) + " picture" + (s.mask.empty() ? "" : " and mask") +
            ", strength " + FixedText(s.strength, 2));
  }
  Row(frame, "steps", std::to_string(s.steps) + ", guidance " + FixedText(s.cfg, 1));
  Row(frame, "sampler", s.sampler);
  Row(frame, "attention", s.attention.empty() ? "dense" : s.attention);
  Row(frame, "model", s.model.empty() ? "still-life-unet" : s.model);
  Row(frame, "took",
      picture.seconds > 0
          ? SecondsText(picture.seconds) + ", " + FixedText(picture.gflop, 0) + " GFLOP"
          : "");
  Row(frame, "made", picture.created);
  Row(frame, "file", picture.file.substr(picture.file.find_last_of('/') + 1));
  ImGui::PopStyleVar();
  ImGui::EndChild();
}

void DrawDetail(Frame& frame, const PictureView* picture) {
  UiState& state = frame.state;
  if (picture == nullptr) {
    EmptyState(frame, kIconPicture, "Choose a picture",
               "Its settings appear here: use them again, star it, or compare two pictures.");
    return;
  }
  const float width = ImGui::GetContentRegionAvail().x;
  const bool opened = frame.snapshot.opened_id == picture->id;
  PictureBox(frame, "gallery.picture", opened ? frame.snapshot.opened : picture->thumbnail,
             {width, std::min(width, ImGui::GetContentRegionAvail().y * 0.45f)});
  DrawFacts(frame, *picture);
  if (picture->trashed) {
    if (PrimaryButton(frame, "gallery.bring_back", "Bring back", {-FLT_MIN, 0})) {
      frame.Send(RestorePicture{picture->id});
    }
    return;
  }
  if (PrimaryButton(frame, "gallery.restore", "Use these settings", {-FLT_MIN, 0})) {
    state.draft = picture->settings;
    state.tab = Tab::kCreate;
  }
  if (IconButton(frame, "gallery.star", picture->favourite ? kIconStar : kIconNoStar,
                 picture->favourite ? "No longer a favourite" : "Favourite", picture->favourite)) {
    frame.Send(SetFavourite{picture->id, !picture->favourite});
  }
  ImGui::SameLine(0, 0);
  if (IconButton(frame, "gallery.start", kIconStart, "Start from this picture")) {
    frame.Send(UseKeptPicture{picture->id});
  }
  ImGui::SameLine(0, 0);
  if (IconButton(frame, "gallery.trash", kIconTrash, "Move to the trash (Del)")) {
    frame.Send(TrashPicture{picture->id});
    state.selected_picture = 0;
  }
  ImGui::SameLine();
  if (state.compare_first == 0 || state.compare_first == picture->id) {
    const bool first = state.compare_first == picture->id;
    if (QuietButton(frame, "gallery.compare",
                    first ? "Now choose the other one" : "Compare with...",
                    "Then choose the second picture")) {
      state.compare_first = first ? 0 : picture->id;
    }
  } else if (QuietButton(frame, "gallery.compare", "Compare the two")) {
    frame.Send(ComparePictures{state.compare_first, picture->id});
    state.compare_first = 0;
    state.comparison = 0;
    state.tab = Tab::kCompare;
  }
}

}  // namespace

void DrawGallery(Frame& frame) {
  const std::vector<const PictureView*> pictures = Filtered(frame);
  const float right = frame.look.Px(320), gap = frame.look.Px(10);
  if (BeginCard(frame, "grid", {ImGui::GetContentRegionAvail().x - right - gap, 0})) {
    DrawBar(frame, pictures.size());
    // With thousands of pictures a wheel that goes by lines never arrives, and a grip that is to
    // scale cannot be taken hold of.
    ImGui::PushStyleVar(ImGuiStyleVar_GrabMinSize, frame.look.Px(48));
    BeginArea("pictures", {0, 0}, ImGuiWindowFlags_NoScrollWithMouse);
    ImGui::PopStyleVar();
    ScrollRows(frame);
    if (!pictures.empty()) {
      DrawGrid(frame, pictures);
    } else if (!frame.state.search.empty()) {
      EmptyState(frame, kIconSearch, "Nothing found", "No picture has all of these words.");
    } else if (frame.state.filter == GalleryFilter::kFavourites) {
      EmptyState(frame, kIconStar, "No favourites yet", "The star beside a picture makes it one.");
    } else if (frame.state.filter == GalleryFilter::kTrash) {
      EmptyState(frame, kIconTrash, "The trash is empty",
                 "Deleted pictures wait here until you empty it.");
    } else {
      EmptyState(frame, kIconPicture, "No pictures yet",
                 "Every picture that you make is kept here with all of its settings.");
    }
    ImGui::EndChild();
  }
  EndCard();
  ImGui::SameLine(0, gap);
  if (BeginCard(frame, "detail", {0, 0})) {
    const auto found = std::find_if(pictures.begin(), pictures.end(), [&](const PictureView* each) {
      return each->id == frame.state.selected_picture;
    });
    DrawDetail(frame, found == pictures.end() ? nullptr : *found);
  }
  EndCard();
}

}  // namespace fovea
