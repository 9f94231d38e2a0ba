// Compare: two pictures side by side, swiped or subtracted, with what each took.
#include <algorithm>

#include "ui/panels/panels.h"
#include "ui/widgets/controls.h"

namespace fovea {
namespace {

const PictureView* Find(const Snapshot& snapshot, int64_t id) {
  if (snapshot.pictures == nullptr || id == 0) return nullptr;
  for (const auto& picture : *snapshot.pictures) {
    if (picture->id == id) return picture.get();
  }
  return nullptr;
}

const ComparisonView* Chosen(const Frame& frame) {
  const auto& list = frame.snapshot.comparisons;
  if (list == nullptr || list->empty()) return nullptr;
  for (const ComparisonView& each : *list) {
    if (each.id == frame.state.comparison) return &each;
  }
  return &list->front();
}

std::string PlanOf(const PictureView* picture, bool waits) {
  if (picture == nullptr) return waits ? "being made" : "was not made";
  return picture->settings.attention.empty() ? "dense" : picture->settings.attention;
}

void DrawList(Frame& frame, const ComparisonView* chosen) {
  Heading(frame, "Comparisons");
  BeginArea("list");
  int row = 0;
  for (const ComparisonView& each : *frame.snapshot.comparisons) {
    const std::string name = "compare." + std::to_string(row++);
    const PictureView* left = Find(frame.snapshot, each.left);
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float height = frame.look.Px(46);
    if (ImGui::Selectable(("##" + name).c_str(), chosen != nullptr && each.id == chosen->id, 0,
                          {0, height})) {
      frame.state.comparison = each.id;
      frame.Send(ShowComparison{each.id});
    }
    frame.Mark(name);
    Tip(frame, each.label);
    const ImVec2 after = ImGui::GetCursorScreenPos();
    ImGui::SetCursorScreenPos({at.x + frame.look.Px(8), at.y + frame.look.Px(5)});
    ImGui::BeginGroup();
    const float room = ImGui::GetContentRegionAvail().x - frame.look.Px(8);
    const char* missing = each.waits ? "being made" : "was not made";
    CutText(frame, left == nullptr ? missing : left->settings.prompt, frame.look.palette.text,
            room);
    ImGui::PushFont(frame.look.fonts.small);
    ImGui::SetCursorScreenPos({at.x + frame.look.Px(8), at.y + frame.look.Px(25)});
    CutText(frame, each.label, frame.look.palette.dim, room);
    ImGui::PopFont();
    ImGui::EndGroup();
    ImGui::SetCursorScreenPos(after);
  }
  ImGui::EndChild();
}

void Caption(Frame& frame, const char* letter, const std::string& plan, float width) {
  Chip(frame, letter, WithAlpha(frame.look.palette.accent, 0.22f), frame.look.palette.accent);
  ImGui::SameLine();
  CutText(frame, plan, frame.look.palette.dim, width - frame.look.Px(36));
}

void DrawSideBySide(Frame& frame, const ComparisonView& view, ImVec2 room) {
  const float gap = frame.look.Px(10);
  const bool all = view.difference != nullptr && room.x > frame.look.Px(760);
  const int count = all ? 3 : 2;
  const float width = (room.x - gap * static_cast<float>(count - 1)) / static_cast<float>(count);
  const float caption = frame.look.Px(28);
  const ImVec2 box{width, room.y - caption};
  const auto column = [&](const char* letter, const std::string& text, const std::string& name,
                          const ImagePtr& image) {
    ImGui::BeginGroup();
    Caption(frame, letter, text, width);
    PictureBox(frame, name, image, box);
    ImGui::EndGroup();
  };
  column("A", PlanOf(Find(frame.snapshot, view.left), view.waits), "compare.left", view.left_image);
  ImGui::SameLine(0, gap);
  column("B", PlanOf(Find(frame.snapshot, view.right), view.waits), "compare.right",
         view.right_image);
  if (!all) return;
  ImGui::SameLine(0, gap);
  column("A - B", "difference, 4 times as strong", "compare.difference", view.difference);
}

std::string WhyNoDifference(const ComparisonView& view) {
  if (view.left_image == nullptr || view.right_image == nullptr) {
    return view.waits ? "One of the pictures is still being made." : "One picture is not there.";
  }
  const auto size = [](const Image& image) {
    return std::to_string(image.width) + " x " + std::to_string(image.height);
  };
  return "The pictures have different sizes: " + size(*view.left_image) + " and " +
         size(*view.right_image) + ". Side by side and Swipe still show both.";
}

// A left of the line, B right of it; the line follows the mouse.
void DrawSwipe(Frame& frame, const ComparisonView& view, ImVec2 room) {
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const WidgetRect rect = PictureBox(frame, "compare.swipe", view.left_image, room);
  if (view.right_image == nullptr || rect.width <= 0) return;
  ImGui::SetCursorScreenPos({rect.x, rect.y});
  ImGui::InvisibleButton("##swipe", {rect.width, rect.height});
  if (ImGui::IsItemHovered()) {
    frame.state.swipe = std::clamp((ImGui::GetIO().MousePos.x - rect.x) / rect.width, 0.0f, 1.0f);
  }
  const float share = frame.state.swipe, x = rect.x + share * rect.width;
  ImDrawList& draw = *ImGui::GetWindowDrawList();
  draw.AddImage(frame.textures.Get(view.right_image), {x, rect.y},
                {rect.x + rect.width, rect.y + rect.height}, {share, 0}, {1, 1});
  draw.AddLine({x, rect.y}, {x, rect.y + rect.height}, frame.look.palette.accent, frame.look.Px(2));
  ImGui::SetCursorScreenPos({at.x, at.y + room.y});
}

void Cell(Frame& frame, const std::string& text, ImU32 colour) {
  ImGui::TableNextColumn();
  CutText(frame, text, colour);
}

void DrawFigures(Frame& frame, const ComparisonView& view) {
  const Palette& p = frame.look.palette;
  const PictureView* pictures[2] = {Find(frame.snapshot, view.left),
                                    Find(frame.snapshot, view.right)};
  if (!ImGui::BeginTable("figures", 6, ImGuiTableFlags_SizingStretchSame)) return;
  for (const char* title : {"", "Time", "Work", "Memory", "Seed", "Plan"}) {
    Cell(frame, title, p.faint);
  }
  for (int i = 0; i < 2; ++i) {
    const PictureView* each = pictures[i];
    ImGui::TableNextRow();
    Cell(frame, i == 0 ? "A" : "B", p.accent);
    Cell(frame, each == nullptr ? "..." : SecondsText(each->seconds), p.text);
    Cell(frame, each == nullptr ? "" : FixedText(each->gflop, 1) + " GFLOP", p.text);
    Cell(frame, each == nullptr ? "" : BytesText(static_cast<double>(each->peak_bytes)), p.text);
    Cell(frame, each == nullptr ? "" : std::to_string(each->settings.seed.value_or(0)), p.text);
    Cell(frame, PlanOf(each, view.waits), p.text);
  }
  ImGui::EndTable();
  if (view.difference == nullptr) return;
  std::string text = view.max_difference == 0
                         ? "The pictures are equal, bit for bit."
                         : "Mean difference " + FixedText(view.mean_difference, 2) + " of 255, " +
                               "largest " + FixedText(view.max_difference, 0) + ", PSNR " +
                               FixedText(view.psnr, 1) + " dB";
  if (pictures[0] != nullptr && pictures[1] != nullptr && pictures[1]->seconds > 0 &&
      pictures[0]->seconds > 0) {
    text += ".  B took " + FixedText(pictures[1]->seconds / pictures[0]->seconds, 2) +
            " times as long as A.";
  }
  SmallText(frame, text, p.dim);
}

}  // namespace

void DrawCompare(Frame& frame) {
  const Snapshot& s = frame.snapshot;
  if (s.comparisons == nullptr || s.comparisons->empty()) {
    if (BeginCard(frame, "empty", {0, 0})) {
      EmptyState(frame, kIconCompare, "Nothing to compare yet",
                 "Under Attention, Run A/B makes one picture with two plans. In the gallery, any "
                 "two pictures can be compared.");
    }
    EndCard();
    return;
  }
  const ComparisonView* chosen = Chosen(frame);
  const float left = frame.look.Px(250), gap = frame.look.Px(10);
  if (BeginCard(frame, "comparisons", {left, 0})) DrawList(frame, chosen);
  EndCard();
  ImGui::SameLine(0, gap);
  if (BeginCard(frame, "pictures", {0, 0})) {
    int mode = static_cast<int>(frame.state.compare_mode);
    if (Segments(frame, "compare.mode", {"Side by side", "Swipe", "Difference"}, &mode,
                 frame.look.Px(360))) {
      frame.state.compare_mode = static_cast<CompareMode>(mode);
    }
    ImGui::SameLine(ImGui::GetContentRegionAvail().x - frame.look.Px(14));
    if (IconButton(frame, "compare.remove", kIconTrash,
                   "Forget this comparison; its pictures stay")) {
      frame.Send(RemoveComparison{chosen->id});
    }
    const float foot = frame.look.Px(120);
    ImVec2 room = ImGui::GetContentRegionAvail();
    room.y = std::max(frame.look.Px(80), room.y - foot);
    if (chosen->left_image == nullptr && chosen->right_image == nullptr) {
      BeginArea("wait", room);
      if (chosen->waits) {
        EmptyState(frame, kIconClock, "Both pictures are on their way",
                   "They appear here one by one.");
        frame.animates = true;
      } else {
        EmptyState(frame, kIconWarning, "These pictures are not there",
                   "The run was stopped or failed, or the pictures were deleted. The bin above "
                   "forgets the comparison.");
        frame.Mark("compare.missing");
      }
      ImGui::EndChild();
    } else if (frame.state.compare_mode == CompareMode::kSwipe) {
      DrawSwipe(frame, *chosen, room);
    } else if (frame.state.compare_mode == CompareMode::kDifference) {
      if (chosen->difference != nullptr) {
        PictureBox(frame, "compare.difference", chosen->difference, room);
      } else {
        BeginArea("nothing", room);
        EmptyState(frame, kIconCompare, "No difference to show", WhyNoDifference(*chosen).c_str());
        frame.Mark("compare.no_difference");
        ImGui::EndChild();
      }
    } else {
      DrawSideBySide(frame, *chosen, room);
    }
    DrawFigures(frame, *chosen);
  }
  EndCard();
}

}  // namespace fovea
