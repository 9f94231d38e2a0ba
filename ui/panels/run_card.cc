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

void DrawProblem(Frame& frame, const CheckView& check) {
  const Palette& p = frame.look.palette;
  ImGui::PushStyleColor(ImGuiCol_Text, p.bad);
  const float button = check.fix_label.empty() ? 0 : frame.look.Px(30);
  ImGui::BeginChild("problem", {0, frame.look.Px(58) - button + frame.look.Px(14)}, false);
  SmallText(frame, std::string(frame.look.Of(kIconWarning)) + " " + check.problem, p.bad);
  ImGui::EndChild();
  ImGui::PopStyleColor();
  if (!check.fix_label.empty() &&
      QuietButton(frame, "create.fix", check.fix_label, "Changes the setting that is in the way")) {
    frame.state.draft = check.fix;
  }
}

}  // namespace

float RunCardHeight(const Frame& frame) {
  const CheckView* check = frame.snapshot.check.get();
  const bool problem = check != nullptr && !check->ok;
  return frame.look.Px(problem ? 132 : 74);
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
  Tip(frame, "Ctrl+Enter");
}

}  // namespace fovea
