// Create, middle: the picture in the making or the one that was opened, and the last ones below.
#include <algorithm>

#include "ui/panels/panels.h"
#include "ui/panels/start_picture.h"
#include "ui/widgets/controls.h"
#include "ui/widgets/thumbnail.h"
#include "ui/widgets/zoom_box.h"

namespace fovea {
namespace {

const JobView* RunningJob(const Snapshot& snapshot) {
  if (snapshot.jobs == nullptr) return nullptr;
  for (const JobView& job : *snapshot.jobs) {
    if (job.state == JobState::kRunning) return &job;
  }
  return nullptr;
}

const PictureView* FindPicture(const Snapshot& snapshot, int64_t id) {
  if (snapshot.pictures == nullptr) return nullptr;
  for (const auto& picture : *snapshot.pictures) {
    if (picture->id == id) return picture.get();
  }
  return nullptr;
}

std::string StageText(const JobView& job) {
  if (job.stage == "step") {
    return "step " + std::to_string(job.step) + " of " + std::to_string(job.steps);
  }
  if (job.stage == "text") return "reading the prompt";
  if (job.stage == "decoding") return "decoding the picture";
  if (job.stage == "loading") return "loading the model";
  return job.stage;
}

void DrawProgress(Frame& frame, const JobView& job) {
  frame.animates = true;
  const float per =
      job.steps > 0 ? static_cast<float>(job.step) / static_cast<float>(job.steps) : 0;
  const float share =
      (static_cast<float>(job.done) + per) / static_cast<float>(std::max(1, job.count));
  std::string text = StageText(job);
  if (job.count > 1) {
    text = "picture " + std::to_string(job.done + 1) + " of " + std::to_string(job.count) + ", " +
           text;
  }
  if (job.remaining > 0) text += ", " + SecondsText(job.remaining) + " left";
  const float button = frame.look.Px(88);
  ImGui::BeginGroup();
  BeginArea("bar", {-button - frame.look.Px(10), frame.look.Px(40)});
  CutText(frame, text, frame.look.palette.dim);
  Progress(frame, share, frame.look.Px(6));
  ImGui::EndChild();
  ImGui::EndGroup();
  ImGui::SameLine();
  if (QuietButton(frame, "create.cancel", std::string(frame.look.Of(kIconStop)) + "  Stop",
                  "Stops within a block of the network. Esc", true, {button, 0})) {
    frame.Send(CancelJob{job.id});
  }
}

void DrawCaption(Frame& frame, const PictureView& picture) {
  const GenerateSettings& s = picture.settings;
  const float buttons = frame.look.Px(4 * 34 + 2 * 34);
  ImGui::BeginChild("caption", {-buttons, frame.look.Px(40)}, false);
  CutText(frame, s.prompt.empty() ? "no prompt" : s.prompt, frame.look.palette.text);
  {
    const ScopedFont font(frame.look.fonts.small);
    CutText(frame,
            "seed " + std::to_string(s.seed.value_or(0)) + "   " + std::to_string(s.width) + " x " +
                std::to_string(s.height) + "   " + std::to_string(s.steps) + " steps" +
                (s.attention.empty() ? "" : "   " + s.attention) +
                (picture.seconds > 0 ? "   " + SecondsText(picture.seconds) : ""),
            frame.look.palette.dim);
  }
  ImGui::EndChild();
  ImGui::SameLine();
  if (IconButton(frame, "canvas.favourite", picture.favourite ? kIconStar : kIconNoStar,
                 "Favourite", picture.favourite)) {
    frame.Send(SetFavourite{picture.id, !picture.favourite});
  }
  ImGui::SameLine(0, 0);
  if (IconButton(frame, "canvas.restore", kIconRestore, "Use this picture's settings again")) {
    frame.state.draft = picture.settings;
  }
  ImGui::SameLine(0, 0);
  if (IconButton(frame, "canvas.start", kIconStart, "Start from this picture")) {
    frame.Send(UseKeptPicture{picture.id});
  }
  ImGui::SameLine(0, 0);
  if (IconButton(frame, "canvas.copy", kIconCopy, "Copy the file's path")) {
    ImGui::SetClipboardText(picture.file.c_str());
  }
  ImGui::SameLine(0, 0);
  if (IconButton(frame, "canvas.folder", kIconFolder, "Show the file in its folder")) {
    frame.Send(ShowInFolder{picture.id});
  }
  ImGui::SameLine(0, 0);
  if (IconButton(frame, "canvas.trash", kIconTrash, "Move to the trash (Del)")) {
    frame.Send(TrashPicture{picture.id});
  }
}

void DrawFilm(Frame& frame, float height) {
  const Snapshot& s = frame.snapshot;
  BeginArea("film", {0, height}, ImGuiWindowFlags_HorizontalScrollbar);
  const float side = height - frame.look.Px(14);
  int shown = 0;
  for (const auto& picture : *s.pictures) {
    if (picture->trashed) continue;
    if (shown == 40) break;
    if (shown++ > 0) ImGui::SameLine(0, frame.look.Px(6));
    const bool opened = picture->id == s.opened_id && RunningJob(s) == nullptr;
    if (Thumbnail(frame, "film." + std::to_string(shown), *picture, side, opened)) {
      frame.Send(OpenPicture{picture->id});
    }
  }
  ImGui::EndChild();
}

}  // namespace

void DrawCanvas(Frame& frame) {
  const Snapshot& s = frame.snapshot;
  const JobView* job = RunningJob(s);
  const PictureView* opened = FindPicture(s, s.opened_id);
  if (opened != nullptr && opened->trashed) opened = nullptr;
  const bool film = s.pictures != nullptr && !s.pictures->empty();
  const float film_height = film ? frame.look.Px(92) : 0;
  const bool may_start = !frame.state.draft.image.empty();
  if (may_start) DrawMaskTools(frame);
  const float foot = frame.look.Px(52) + (film ? film_height + frame.look.Px(8) : 0);
  const ImVec2 room = ImGui::GetContentRegionAvail();
  const ImVec2 box{room.x, std::max(frame.look.Px(60), room.y - foot)};
  const ImagePtr picture = job != nullptr && s.preview != nullptr ? s.preview
                           : opened != nullptr                    ? s.opened
                                                                  : nullptr;
  BeginArea("stage", box, ImGuiWindowFlags_NoScrollWithMouse);
  if (may_start && frame.state.show_start) {
    DrawMaskCanvas(frame);
  } else if (picture != nullptr) {
    ZoomBox(frame, "create.picture", picture, ImGui::GetContentRegionAvail(), job != nullptr);
  } else if (job != nullptr) {
    EmptyState(frame, kIconCreate, "On its way", StageText(*job).c_str());
  } else if (film && s.opened_id == 0) {
    EmptyState(frame, kIconPicture, "No picture is open", "Choose one below.");
  } else {
    EmptyState(frame, kIconPicture, "No picture yet",
               "Write a prompt on the left and press Generate, or Ctrl+Enter. The built-in model "
               "draws coloured shapes on a table; other models are chosen under Model.");
  }
  ImGui::EndChild();
  if (job != nullptr) {
    DrawProgress(frame, *job);
  } else if (opened != nullptr) {
    DrawCaption(frame, *opened);
  } else {
    ImGui::Dummy({1, frame.look.Px(40)});
  }
  if (film) DrawFilm(frame, film_height);
}

}  // namespace fovea
