#include "ui/panels/run_card.h"

#include <algorithm>

#include "ui/widgets/controls.h"

namespace fovea {
namespace {

// The answer is to the settings as they stand.
bool IsCurrent(const Frame& frame) {
  return frame.snapshot.check != nullptr && frame.state.asked_once &&
         frame.snapshot.check->version == frame.state.version &&
         SameSettings(frame.state.asked, frame.state.draft);
}

void DrawPrediction(Frame& frame, const CheckView& check) {
  const Palette& p = frame.look.palette;
  const int count = std::max(1, frame.state.draft.batch);
  const ScopedFont font(frame.look.fonts.small);
  std::string time = check.seconds > 0 ? "about " + SecondsText(check.seconds * count)
                                       : "time: known after the first picture";
  ImGui::PushStyleColor(ImGuiCol_Text, p.dim);
  ImGui::Text("%s %s", frame.look.Of(kIconClock), time.c_str());
  Tip(frame, FixedText(check.flops / 1e9, 0) + " GFLOP a picture" +
                 (check.seconds > 0 ? ", at the speed of the last pictures of this model" : ""));
  ImGui::SameLine(0, frame.look.Px(14));
  ImGui::Text("%s %s", frame.look.Of(kIconMemory),
              BytesText(static_cast<double>(check.peak_bytes)).c_str());
  Tip(frame, "Most memory at a time, counted before the run; " +
                 BytesText(static_cast<double>(check.available_bytes)) + " are available");
  if (check.dense_flops > check.flops * 1.005) {
    ImGui::SameLine(0, frame.look.Px(14));
    ImGui::Text("%s %sx", frame.look.Of(kIconBolt),
                FixedText(check.dense_flops / check.flops, 2).c_str());
    Tip(frame, "Work saved by the attention plan and high resolution settings");
  }
  ImGui::PopStyleColor();
}

// A path has no blanks to break at: it gets some, after its slashes.
std::string ProblemText(const Frame& frame, const CheckView& check) {
  std::string text = std::string(frame.look.Of(kIconWarning)) + " ";
  int run = 0;
  for (const char c : check.problem) {
    text += c;
    run = c == ' ' ? 0 : run + 1;
    if (c == '/' && run > 24) {
      text += ' ';
      run = 0;
    }
  }
  return text;
}

// As high as the text, up to a third of the window; then it scrolls.
float ProblemHeight(const Frame& frame, const CheckView& check) {
  const ScopedFont font(frame.look.fonts.small);
  const float width = frame.look.Px(352 - 28) - ImGui::GetStyle().ScrollbarSize;
  const float height =
      ImGui::CalcTextSize(ProblemText(frame, check).c_str(), nullptr, false, width).y;
  return std::clamp(height + frame.look.Px(4), frame.look.Px(30),
                    ImGui::GetMainViewport()->Size.y / 3);
}

void DrawProblem(Frame& frame, const CheckView& check) {
  const Palette& p = frame.look.palette;
  BeginArea("problem", {0, ProblemHeight(frame, check)});
  SmallText(frame, ProblemText(frame, check), p.bad);
  ImGui::EndChild();
  frame.Mark("create.problem");
  if (!check.fix_label.empty() &&
      QuietButton(frame, "create.fix", check.fix_label, "Changes the setting that is in the way")) {
    frame.state.draft = check.fix;
  }
}

}  // namespace

float RunCardHeight(const Frame& frame) {
  const CheckView* check = frame.snapshot.check.get();
  if (check == nullptr || check->ok) return frame.look.Px(74);
  return frame.look.Px(check->fix_label.empty() ? 56 : 92) + ProblemHeight(frame, *check);
}

// While an answer is on its way the button stays; the desk looks again before it runs.
bool MayRun(const Frame& frame) {
  return frame.snapshot.check != nullptr && (!IsCurrent(frame) || frame.snapshot.check->ok);
}

void Run(Frame& frame) {
  GenerateSettings settings = frame.state.draft;
  frame.Send(Generate{settings});
  frame.state.show_start = false;
  frame.state.history.Commit(settings);
  frame.Send(KeepHistory{frame.state.history.Entries(), frame.state.history.Cursor()});
}

void DrawRunCard(Frame& frame) {
  const Snapshot& s = frame.snapshot;
  if (s.check == nullptr) {
    SmallText(frame, "Opening the model...", frame.look.palette.dim);
  } else if (!s.check->ok) {
    DrawProblem(frame, *s.check);
  } else {
    DrawPrediction(frame, *s.check);
  }
  const int count = std::max(1, frame.state.draft.batch);
  const bool busy = s.jobs != nullptr && !s.jobs->empty();
  std::string label = busy ? "Add to queue" : "Generate";
  if (count > 1) label += " (" + std::to_string(count) + ")";
  if (PrimaryButton(frame, "create.generate", label, {-FLT_MIN, frame.look.Px(44)},
                    MayRun(frame))) {
    Run(frame);
  }
}

}  // namespace fovea
