#include "ui/shell.h"

#include <algorithm>
#include <limits>

#include "ui/panels/panels.h"
#include "ui/panels/run_card.h"
#include "ui/panels/start_picture.h"
#include "ui/tab_walk.h"
#include "ui/widgets/controls.h"

namespace fovea {
namespace {

// Questions wait until a person stops typing for this long.
constexpr double kAskAfter = 0.12;
// Redrawn as often while something moves.
constexpr double kMovingFrame = 1.0 / 30;

// What the last session left becomes this one's beginning.
void TakeOver(Frame& frame) {
  UiState& state = frame.state;
  if (state.started || !frame.snapshot.ready || frame.snapshot.start == nullptr) return;
  const StartView& start = *frame.snapshot.start;
  state.history.Reset(start.history, start.cursor);
  state.draft = state.history.Current();
  ReadWindowText(start.window, &state);
  state.started = true;
}

void Ask(Frame& frame) {
  UiState& state = frame.state;
  if (!state.started) return;
  const double now = ImGui::GetTime();
  if (state.asked_once && SameSettings(state.asked, state.draft) &&
      state.asked_plan_a == state.plan_a) {
    state.changed_at = now;
    return;
  }
  if (state.asked_once && now - state.changed_at < kAskAfter) return;
  state.asked = state.draft;
  state.asked_once = true;
  state.asked_plan_a = state.plan_a;
  frame.Send(CheckSettings{++state.version, state.draft, state.plan_a});
}

// A change becomes one step of the history when the control that made it is let go.
void Remember(Frame& frame) {
  UiState& state = frame.state;
  if (!state.started || ImGui::IsAnyItemActive()) return;
  if (!SameSettings(state.draft, state.history.Current())) {
    state.history.Commit(state.draft);
    frame.Send(KeepHistory{state.history.Entries(), state.history.Cursor()});
  }
}

void Keys(Frame& frame) {
  UiState& state = frame.state;
  const ImGuiIO& io = ImGui::GetIO();
  const auto ctrl = [&io](char letter) { return io.KeyCtrl && Pressed(LetterKey(letter)); };
  if (io.KeyCtrl && (Pressed(NamedKey(ImGuiKey_Enter)) || Pressed(NamedKey(kKeypadEnter)))) {
    if (MayRun(frame)) Run(frame);
  }
  if (ctrl('1')) state.tab = Tab::kCreate;
  if (ctrl('2')) state.tab = Tab::kAttention;
  if (ctrl('3')) state.tab = Tab::kCompare;
  if (ctrl('4')) state.tab = Tab::kGallery;
  if (ctrl('5')) state.tab = Tab::kInspect;
  if (ctrl('D')) state.dark = !state.dark;
  if (ctrl('9')) state.zoom = std::min(state.zoom * 1.1f, 2.0f);
  if (ctrl('8')) state.zoom = std::max(state.zoom / 1.1f, 0.7f);
  if (ctrl('0')) state.zoom = 1;
  if (io.WantTextInput) return;
  if (ctrl('Z')) {
    state.draft = io.KeyShift ? state.history.Redo() : state.history.Undo();
    frame.Send(KeepHistory{state.history.Entries(), state.history.Cursor()});
  }
  if (Pressed(NamedKey(ImGuiKey_Escape)) && frame.snapshot.jobs != nullptr) {
    for (const JobView& job : *frame.snapshot.jobs) {
      if (job.state == JobState::kRunning) frame.Send(CancelJob{job.id});
    }
  }
  if (Pressed(NamedKey(ImGuiKey_Delete))) {
    const int64_t id =
        state.tab == Tab::kGallery ? state.selected_picture : frame.snapshot.opened_id;
    if (id != 0 && (state.tab == Tab::kGallery || state.tab == Tab::kCreate)) {
      frame.Send(TrashPicture{id});
    }
  }
}

void DrawTabs(Frame& frame) {
  const Palette& p = frame.look.palette;
  const struct {
    Tab tab;
    const Icon& icon;
    const char* label;
    const char* name;
  } tabs[] = {{Tab::kCreate, kIconCreate, "Create", "tab.create"},
              {Tab::kAttention, kIconAttention, "Attention", "tab.attention"},
              {Tab::kCompare, kIconCompare, "Compare", "tab.compare"},
              {Tab::kGallery, kIconGallery, "Gallery", "tab.gallery"},
              {Tab::kInspect, kIconInspect, "Inspect", "tab.inspect"}};
  for (const auto& each : tabs) {
    ImGui::SameLine(0, frame.look.Px(each.tab == Tab::kCreate ? 24 : 4));
    const bool on = frame.state.tab == each.tab;
    ImGui::PushStyleColor(ImGuiCol_Button, on ? p.raised : WithAlpha(p.raised, 0));
    ImGui::PushStyleColor(ImGuiCol_Text, on ? p.text : p.dim);
    const std::string label =
        (frame.look.fonts.has_icons ? std::string(each.icon.glyph) + "  " : std::string()) +
        each.label + "##" + each.name;
    if (ImGui::Button(label.c_str())) frame.state.tab = each.tab;
    ImGui::PopStyleColor(2);
    frame.Mark(each.name);
  }
}

void DrawTopBar(Frame& frame) {
  {
    const ScopedFont font(frame.look.fonts.title);
    ImGui::SetCursorPosY(ImGui::GetCursorPosY() + frame.look.Px(3));
    ImGui::TextUnformatted("Fovea");
  }
  DrawTabs(frame);
  const float right = frame.look.Px(76);
  ImGui::SameLine(ImGui::GetWindowWidth() - right - ImGui::GetStyle().WindowPadding.x);
  if (IconButton(frame, "bar.keys", kIconKeyboard, "Keys")) frame.state.show_keys = true;
  ImGui::SameLine(0, frame.look.Px(4));
  if (IconButton(frame, "bar.theme", frame.state.dark ? kIconSun : kIconMoon,
                 frame.state.dark ? "Light (Ctrl+D)" : "Dark (Ctrl+D)")) {
    frame.state.dark = !frame.state.dark;
  }
}

void DrawKeys(Frame& frame) {
  if (frame.state.show_keys) ImGui::OpenPopup("Keys");
  ImGui::SetNextWindowPos(ImGui::GetMainViewport()->GetCenter(), ImGuiCond_Always, {0.5f, 0.5f});
  if (!ImGui::BeginPopupModal("Keys", &frame.state.show_keys,
                              ImGuiWindowFlags_AlwaysAutoResize | ImGuiWindowFlags_NoMove)) {
    return;
  }
  constexpr const char* kKeys[][2] = {
      {"Ctrl+Enter", "Generate"},
      {"Esc", "Stop the running job"},
      {"Ctrl+Z, Ctrl+Shift+Z", "Undo, redo a change of settings"},
      {"Ctrl+1 to Ctrl+5", "Create, Attention, Compare, Gallery, Inspect"},
      {"Del", "Move the picture to the trash"},
      {"Ctrl+D", "Dark or light"},
      {"Ctrl+9, Ctrl+8, Ctrl+0", "Larger, smaller, usual letters"},
      {"Ctrl+Up, Ctrl+Down", "Weigh the word at the cursor"},
      {"F12", "Save a picture of this window"}};
  for (const auto& [key, what] : kKeys) {
    ImGui::PushStyleColor(ImGuiCol_Text, frame.look.palette.accent);
    ImGui::TextUnformatted(key);
    ImGui::PopStyleColor();
    ImGui::SameLine(frame.look.Px(210));
    ImGui::TextUnformatted(what);
  }
  if (Pressed(NamedKey(ImGuiKey_Escape))) frame.state.show_keys = false;
  ImGui::EndPopup();
}

void DrawStatusBar(Frame& frame) {
  const Snapshot& s = frame.snapshot;
  const Palette& p = frame.look.palette;
  const ScopedFont font(frame.look.fonts.small);
  std::string left = s.engine.device;
  if (s.model != nullptr) left += "   " + s.model->shown;
  if (s.engine.gflops > 0) left += "   " + FixedText(s.engine.gflops, 0) + " GFLOP/s measured";
  ImGui::PushStyleColor(ImGuiCol_Text, p.faint);
  ImGui::TextUnformatted(left.c_str());
  const std::string right = (frame.look.fonts.note.empty() ? "" : frame.look.fonts.note + "   ") +
                            BytesText(static_cast<double>(s.engine.memory_bytes)) + " in use, " +
                            BytesText(static_cast<double>(s.engine.available_bytes)) + " available";
  ImGui::SameLine(ImGui::GetWindowWidth() - ImGui::CalcTextSize(right.c_str()).x -
                  ImGui::GetStyle().WindowPadding.x);
  ImGui::TextUnformatted(right.c_str());
  ImGui::PopStyleColor();
}

// Notes go by themselves, and so do errors, but only after somebody was there to read them.
constexpr double kNoteSeconds = 8, kErrorSeconds = 40;
constexpr size_t kMostMessages = 3;

void DismissOld(Frame& frame) {
  std::map<int64_t, MessageTime> times;
  const ImVec2 mouse = ImGui::GetIO().MousePos;
  const double now = ImGui::GetTime();
  for (const Message& message : *frame.snapshot.messages) {
    const auto known = frame.state.message_since.find(message.id);
    MessageTime time = known == frame.state.message_since.end()
                           ? MessageTime{now, mouse.x, mouse.y, false}
                           : known->second;
    if (!time.seen && (mouse.x != time.mouse_x || mouse.y != time.mouse_y)) {
      time.seen = true;
      if (message.error) time.since = now;
    }
    times[message.id] = time;
    const bool over = message.error ? time.seen && now - time.since >= kErrorSeconds
                                    : now - time.since >= kNoteSeconds;
    if (over) frame.Send(DismissMessage{message.id});
  }
  frame.state.message_since = std::move(times);
}

void DrawMessages(Frame& frame) {
  if (frame.snapshot.messages == nullptr || frame.snapshot.messages->empty()) return;
  DismissOld(frame);
  const Palette& p = frame.look.palette;
  const ImGuiViewport& view = *ImGui::GetMainViewport();
  // Below the tabs: the bottom has progress, film strip and Generate.
  float y = view.Pos.y + frame.look.Px(52);
  const size_t count = frame.snapshot.messages->size();
  for (size_t i = count; i-- > count - std::min(count, kMostMessages);) {  // the newest first
    const Message& message = (*frame.snapshot.messages)[i];
    ImGui::SetNextWindowPos({view.Pos.x + view.Size.x / 2, y}, ImGuiCond_Always, {0.5f, 0});
    ImGui::PushStyleColor(ImGuiCol_WindowBg, p.raised);
    ImGui::PushStyleColor(ImGuiCol_Border, message.error ? p.bad : p.border);
    ImGui::PushStyleVar(ImGuiStyleVar_WindowRounding, frame.look.Px(8));
    ImGui::PushStyleVar(ImGuiStyleVar_WindowBorderSize, 1);
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {frame.look.Px(14), frame.look.Px(8)});
    const std::string name = "message." + std::to_string(i);
    ImGui::Begin(("##message" + std::to_string(message.id)).c_str(), nullptr,
                 ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_AlwaysAutoResize |
                     ImGuiWindowFlags_NoFocusOnAppearing | ImGuiWindowFlags_NoNav |
                     ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoMove);
    ImGui::AlignTextToFramePadding();
    ImGui::PushStyleColor(ImGuiCol_Text, message.error ? p.bad : p.accent);
    ImGui::TextUnformatted(frame.look.Of(message.error ? kIconWarning : kIconInfo));
    ImGui::PopStyleColor();
    ImGui::SameLine();
    ImGui::PushTextWrapPos(frame.look.Px(640));
    ImGui::TextUnformatted(message.text.c_str());
    ImGui::PopTextWrapPos();
    frame.Mark(name);
    ImGui::SameLine();
    if (!message.undo_label.empty()) {
      if (QuietButton(frame, name + ".undo", message.undo_label)) {
        if (message.settings != nullptr) {
          frame.state.draft = *message.settings;
          frame.state.tab = Tab::kCreate;
          frame.Send(DismissMessage{message.id});
        } else {
          frame.Send(RestorePicture{message.undo_picture});
        }
      }
      ImGui::SameLine();
    }
    if (IconButton(frame, name + ".close", kIconClose, "Dismiss")) {
      frame.Send(DismissMessage{message.id});
    }
    // A window that fits itself to its text is not shown in its first frame, and nothing else may
    // ask for a second one.
    if (ImGui::IsWindowAppearing()) frame.animates = true;
    y += ImGui::GetWindowHeight() + frame.look.Px(8);
    ImGui::End();
    ImGui::PopStyleVar(3);
    ImGui::PopStyleColor(2);
  }
}

void DrawCreate(Frame& frame) {
  const float left = frame.look.Px(352), right = frame.look.Px(292), gap = frame.look.Px(10);
  if (BeginCard(frame, "left", {left, 0})) DrawSettings(frame);
  EndCard();
  ImGui::SameLine(0, gap);
  const float middle = ImGui::GetContentRegionAvail().x - right - gap;
  if (BeginCard(frame, "middle", {middle, 0})) DrawCanvas(frame);
  EndCard();
  ImGui::SameLine(0, gap);
  if (BeginCard(frame, "right", {0, 0})) {
    const size_t jobs = frame.snapshot.jobs == nullptr ? 0 : frame.snapshot.jobs->size();
    int chosen = frame.state.show_history ? 1 : 0;
    const std::string queue = jobs == 0 ? "Queue" : "Queue (" + std::to_string(jobs) + ")";
    if (Segments(frame, "side", {queue, "History"}, &chosen, ImGui::GetContentRegionAvail().x)) {
      frame.state.show_history = chosen == 1;
    }
    ImGui::Dummy({1, frame.look.Px(2)});
    if (frame.state.show_history)
      DrawHistory(frame);
    else
      DrawQueue(frame);
  }
  EndCard();
}

}  // namespace

void DrawStudio(Frame& frame) {
  const bool was_started = frame.state.started;
  frame.state.tip_due = 0;
  std::erase_if(frame.state.tips,
                [](const auto& tip) { return tip.second.frame + 1 < ImGui::GetFrameCount(); });
  BeginTabWalk(&frame.state.walk);
  TakeOver(frame);
  TakeGiven(frame);
  Keys(frame);
  const ImGuiViewport& view = *ImGui::GetMainViewport();
  ImGui::SetNextWindowPos(view.Pos);
  ImGui::SetNextWindowSize(view.Size);
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {frame.look.Px(14), frame.look.Px(10)});
  ImGui::Begin("##studio", nullptr,
               ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove |
                   ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoBringToFrontOnFocus |
                   ImGuiWindowFlags_NoScrollWithMouse);
  ImGui::PopStyleVar();
  DrawTopBar(frame);
  const float foot = ImGui::GetTextLineHeight() + frame.look.Px(4);
  BeginArea("content", {0, -foot});
  switch (frame.state.tab) {
    case Tab::kCreate:
      DrawCreate(frame);
      break;
    case Tab::kAttention:
      DrawAttention(frame);
      break;
    case Tab::kCompare:
      DrawCompare(frame);
      break;
    case Tab::kGallery:
      DrawGallery(frame);
      break;
    case Tab::kInspect:
      DrawInspect(frame);
      break;
  }
  ImGui::EndChild();
  DrawStatusBar(frame);
  ImGui::End();
  DrawMessages(frame);
  DrawKeys(frame);
  Ask(frame);
  Remember(frame);
  std::string window = WindowText(frame.state);
  if (was_started && window != frame.state.kept_window) frame.Send(KeepWindow{window});
  frame.state.kept_window = std::move(window);
}

double NextDraw(const Frame& frame) {
  const auto& jobs = frame.snapshot.jobs;
  const bool works = jobs != nullptr &&
                     std::any_of(jobs->begin(), jobs->end(),
                                 [](const JobView& j) { return j.state == JobState::kRunning; });
  // Frames in which nothing changed cost next to nothing.
  if (frame.animates || works) return kMovingFrame;
  const UiState& state = frame.state;
  if (state.started &&
      (!SameSettings(state.asked, state.draft) || state.asked_plan_a != state.plan_a)) {
    return kAskAfter;
  }
  if (state.tip_due > 0) return std::max(0.01, state.tip_due - ImGui::GetTime());
  if (frame.snapshot.messages != nullptr) {
    for (const Message& message : *frame.snapshot.messages) {
      const auto time = state.message_since.find(message.id);
      // It goes by itself; one that nobody was there to read waits.
      if (!message.error || (time != state.message_since.end() && time->second.seen)) return 1;
    }
  }
  return std::numeric_limits<double>::infinity();
}

}  // namespace fovea
