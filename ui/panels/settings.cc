// Create, left: what to draw and how, what it will take, and the button.
#include <algorithm>
#include <cmath>
#include <random>

#include <imgui.h>
#include <imgui_stdlib.h>

#include "ui/panels/panels.h"
#include "ui/panels/run_card.h"
#include "ui/panels/start_picture.h"
#include "ui/widgets/controls.h"
#include "ui/widgets/prompt_box.h"

namespace fovea {
namespace {

constexpr int kSides[] = {128, 192, 256, 384, 512, 768, 1024};

// Controls in one row, each under its label. Places are set by hand: SameLine would shift the
// labels after the first to the text in its box.
struct Columns {
  Frame& frame;
  int count;
  float gap = frame.look.Px(10);
  float width = (ImGui::GetContentRegionAvail().x - gap * static_cast<float>(count - 1)) /
                static_cast<float>(count);
  ImVec2 begin = {ImGui::GetCursorPosX(), ImGui::GetCursorPosY() + frame.look.Px(3)};
  int at = 0;

  void Next(const char* label, const char* field) {
    if (at > 0) ImGui::EndGroup();
    ImGui::SetCursorPos({begin.x + (width + gap) * static_cast<float>(at), begin.y});
    ImGui::BeginGroup();
    Label(frame, label, field);
    ImGui::SetCursorPosY(ImGui::GetCursorPosY() - frame.look.Px(4));  // a label is near its control
    ImGui::SetNextItemWidth(width);
    ++at;
  }
  ~Columns() { ImGui::EndGroup(); }
};

void DrawModel(Frame& frame) {
  const Snapshot& s = frame.snapshot;
  GenerateSettings& draft = frame.state.draft;
  ImGui::Dummy({1, frame.look.Px(1)});
  Label(frame, "Model", "model");
  std::string shown = draft.model.empty() ? "still-life-unet (built in)" : draft.model;
  const size_t slash = shown.find_last_of('/');
  if (slash != std::string::npos && slash + 1 < shown.size()) shown = shown.substr(slash + 1);
  ImGui::SetNextItemWidth(-FLT_MIN);
  const bool open = ImGui::BeginCombo("##model", shown.c_str(), ImGuiComboFlags_HeightLarge);
  if (!open) frame.Mark("create.model");
  if (!open) Tip(frame, FieldHelp("model"));
  if (!open || s.models == nullptr) {
    if (open) ImGui::EndCombo();
    return;
  }
  std::string origin;
  for (size_t i = 0; i < s.models->size(); ++i) {
    const ModelChoice& choice = (*s.models)[i];
    if (choice.looks_only) continue;
    if (choice.origin != origin) SmallText(frame, choice.origin, frame.look.palette.faint);
    origin = choice.origin;
    const std::string id = "create.model." + std::to_string(i);
    if (ImGui::Selectable((choice.shown + "##" + id).c_str(), choice.name == draft.model)) {
      draft.model = choice.name;
      frame.Send(LoadModel{choice.name});
    }
    frame.Mark(id);
  }
  std::string lookers;
  for (const ModelChoice& choice : *s.models) {
    if (choice.looks_only) lookers += (lookers.empty() ? "" : ", ") + choice.shown;
  }
  if (!lookers.empty()) {
    ImGui::Separator();
    SmallText(frame,
              "Vision Transformers, which make no pictures; `fovea inspect`, `classify` and "
              "`embed` work with them: " +
                  lookers,
              frame.look.palette.dim);
    frame.Mark("create.model.lookers");
  }
  ImGui::Separator();
  SmallText(frame, "Another one: a folder, a .safetensors file or a name, then Enter",
            frame.look.palette.dim);
  ImGui::SetNextItemWidth(frame.look.Px(320));
  const std::string typed = frame.state.typed_model;
  const bool entered = ImGui::InputTextWithHint("##typed", "path or name", &frame.state.typed_model,
                                                ImGuiInputTextFlags_EnterReturnsTrue);
  frame.Mark("create.model.path");
  KeepOnEscape(typed, &frame.state.typed_model);
  if (entered && !frame.state.typed_model.empty()) {
    draft.model = frame.state.typed_model;
    frame.Send(LoadModel{draft.model});
    frame.state.typed_model.clear();
    ImGui::CloseCurrentPopup();
  }
  ImGui::EndCombo();
}

void DrawSize(Frame& frame) {
  GenerateSettings& draft = frame.state.draft;
  Columns columns{frame, 2};
  const auto side = [&](const char* label, const char* field, const std::string& name, int* value,
                        int otherwise) {
    const std::string model =
        std::string(label) + " (0: the model's " + std::to_string(otherwise) + ")";
    columns.Next(*value == 0 && otherwise > 0 ? model.c_str() : label, field);
    ImGui::InputInt(("##" + name).c_str(), value, 8, 64);
    frame.Mark(name);  // what cannot be is said by the check, not changed
    Tip(frame, FieldHelp(field) + ". 0: the model's.");
  };
  const ModelView* model = frame.snapshot.model.get();
  const auto own = [&](int ModelView::*which) { return model == nullptr ? 0 : model->*which; };
  side("Width", "width", "create.width", &draft.width, own(&ModelView::trained_width));
  side("Height", "height", "create.height", &draft.height, own(&ModelView::trained_height));
}

void DrawSizePresets(Frame& frame) {
  GenerateSettings& draft = frame.state.draft;
  const ScopedFont font(frame.look.fonts.small);
  ImGui::PushStyleVar(ImGuiStyleVar_FramePadding, {frame.look.Px(6), frame.look.Px(3)});
  ImGui::PushStyleVar(ImGuiStyleVar_ItemSpacing, {frame.look.Px(4), frame.look.Px(4)});
  const int model = frame.snapshot.model == nullptr ? 0 : frame.snapshot.model->trained_width;
  int shown = 0;
  for (const int side : kSides) {
    if (side < model || shown == 4) continue;
    if (shown++ > 0) ImGui::SameLine();
    const std::string text = std::to_string(side);
    if (QuietButton(frame, "create.size." + text, text, text + " x " + text + " pixels")) {
      draft.width = draft.height = side;
    }
  }
  ImGui::SameLine();
  if (QuietButton(frame, "create.swap", frame.look.Of(kIconSwap), "Swap width and height")) {
    std::swap(draft.width, draft.height);
  }
  ImGui::PopStyleVar(2);
}

void DrawSampling(Frame& frame) {
  GenerateSettings& draft = frame.state.draft;
  static const CatalogView kEmpty;
  const CatalogView& catalog = frame.snapshot.catalog == nullptr ? kEmpty : *frame.snapshot.catalog;
  {
    Columns columns{frame, 2};
    columns.Next("Steps", "steps");
    WholeSlider(frame, "create.steps", &draft.steps, 1, 60);
    Tip(frame, FieldHelp("steps") + ". Ctrl+click to type.");
    columns.Next("Guidance", "cfg");
    auto cfg = static_cast<float>(draft.cfg);
    if (NumberSlider(frame, "create.cfg", &cfg, 1, 20, 1)) {
      draft.cfg = std::round(static_cast<double>(cfg) * 10) / 10;
    }
    Tip(frame, FieldHelp("cfg"));
  }
  Columns columns{frame, 2};
  columns.Next("Sampler", "sampler");
  Choose(frame, "create.sampler", catalog.samplers, "model's own", &draft.sampler);
  Tip(frame, FieldHelp("sampler"));
  columns.Next("Schedule", "schedule");
  Choose(frame, "create.schedule", catalog.schedules, "", &draft.schedule);
  Tip(frame, FieldHelp("schedule"));
}

// The seed of the newest picture: what locking holds on to.
uint64_t LastSeed(const Snapshot& snapshot) {
  if (snapshot.pictures == nullptr || snapshot.pictures->empty()) return std::random_device()();
  return snapshot.pictures->front()->settings.seed.value_or(1);
}

void DrawSeed(Frame& frame) {
  GenerateSettings& draft = frame.state.draft;
  Columns columns{frame, 2};
  const float button = frame.look.Px(34);
  columns.Next("Seed", "seed");
  ImGui::SetNextItemWidth(columns.width - 2 * button);
  if (draft.seed) {
    uint64_t seed = *draft.seed;
    ImGui::InputScalar("##create.seed", ImGuiDataType_U64, &seed);
    draft.seed = seed;
  } else {
    std::string random = "random";
    ImGui::BeginDisabled();
    ImGui::InputText("##create.seed", random.data(), random.size() + 1);
    ImGui::EndDisabled();
  }
  frame.Mark("create.seed");
  Tip(frame, FieldHelp("seed"));
  ImGui::SameLine(0, frame.look.Px(2));
  const bool locked = draft.seed.has_value();
  if (IconButton(frame, "create.lock", locked ? kIconLock : kIconUnlock,
                 locked ? "Locked: every run uses this seed. Press for random ones."
                        : "Random seeds. Press to hold on to the last picture's.",
                 locked)) {
    if (locked)
      draft.seed.reset();
    else
      draft.seed = LastSeed(frame.snapshot);
  }
  ImGui::SameLine(0, 0);
  if (IconButton(frame, "create.dice", kIconDice, "Another seed", false, locked)) {
    draft.seed = (*draft.seed * 2654435761u + 12345u) % 4294967296u;
  }
  columns.Next("Pictures", "batch");
  WholeSlider(frame, "create.batch", &draft.batch, 1, 16);
  Tip(frame, FieldHelp("batch") + ". Each is saved as soon as it is there.");
}

// Files of the search path, added to settings.lora with a scale.
void DrawLora(Frame& frame) {
  GenerateSettings& draft = frame.state.draft;
  Label(frame, "LoRA: NAME:SCALE; more behind a semicolon", "lora");
  const float pick = frame.look.Px(96);
  ImGui::SetNextItemWidth(ImGui::GetContentRegionAvail().x - pick - frame.look.Px(6));
  TextBox(frame, "create.lora", "none", &draft.lora);
  ImGui::SameLine(0, frame.look.Px(6));
  ImGui::SetNextItemWidth(pick);
  const auto& known = frame.snapshot.loras;
  const bool open = ImGui::BeginCombo("##create.lora.add", "Add...", ImGuiComboFlags_HeightLarge);
  if (!open) {
    frame.Mark("create.lora.add");
    return;
  }
  if (known == nullptr || known->empty()) {
    SmallText(frame, "No LoRA file in the folders of --models", frame.look.palette.dim);
  } else {
    for (size_t i = 0; i < known->size(); ++i) {
      const std::string& each = (*known)[i];
      if (ImGui::Selectable(each.c_str())) {
        draft.lora += (draft.lora.empty() ? "" : ";") + each + ":1";
      }
      frame.Mark("create.lora." + std::to_string(i));
    }
  }
  ImGui::EndCombo();
}

void DrawAdvanced(Frame& frame) {
  GenerateSettings& draft = frame.state.draft;
  const bool was = frame.state.show_advanced;
  if (QuietButton(frame, "create.advanced", was ? "Less" : "More settings")) {
    frame.state.show_advanced = !was;
  }
  if (!was) return;
  DrawLora(frame);
  {
    Columns columns{frame, 2};
    columns.Next("High resolution", "hires");
    static const std::vector<std::string> kHires{"off", "auto", "hidiffusion", "raunet",
                                                 "two-pass"};
    Choose(frame, "create.hires", kHires, "", &draft.hires);
    Tip(frame, FieldHelp("hires"));
    columns.Next("Compute in", "dtype");
    Choose(frame, "create.dtype", {"auto", "f32", "bf16"}, "", &draft.dtype);
    Tip(frame, FieldHelp("dtype"));
  }
  {
    Columns columns{frame, 2};
    columns.Next("Noise", "rng");
    Choose(frame, "create.rng", {"philox", "torch"}, "", &draft.rng);
    Tip(frame, FieldHelp("rng"));
    columns.Next("Prompt weights", "prompt-weights");
    Choose(frame, "create.weights", {"a1111", "comfy", "off"}, "", &draft.prompt_weights);
    Tip(frame, FieldHelp("prompt-weights"));
  }
  Columns columns{frame, 2};
  columns.Next("Eta (DDIM)", "eta");
  auto eta = static_cast<float>(draft.eta);
  if (NumberSlider(frame, "create.eta", &eta, 0, 1, 2)) {
    draft.eta = std::round(static_cast<double>(eta) * 100) / 100;
  }
  Tip(frame, FieldHelp("eta"));
  columns.Next("Clip skip", "clip-skip");
  WholeSlider(frame, "create.clip_skip", &draft.clip_skip, 0, 4);
  Tip(frame, FieldHelp("clip-skip"));
}

}  // namespace

void DrawSettings(Frame& frame) {
  GenerateSettings& draft = frame.state.draft;
  const float foot = RunCardHeight(frame);
  BeginArea("settings", {0, -foot - ImGui::GetStyle().ItemSpacing.y});
  Label(frame, "Prompt", "prompt");
  // In a low window everything up to the seed still fits.
  const bool low = ImGui::GetContentRegionAvail().y < frame.look.Px(640);
  PromptBox(frame, "create.prompt", "Say what to draw", &draft.prompt,
            frame.look.Px(low ? 62 : 86));
  const CheckView* check = frame.snapshot.check.get();
  // A model that does not open reads no prompt.
  const bool read = check != nullptr && (!check->prompt.tokens.empty() || draft.prompt.empty());
  if (read) PromptChips(frame, check->prompt);
  ImGui::Dummy({1, frame.look.Px(1)});
  Label(frame, "Avoid", "negative");
  std::string negative = NegativeOf(draft);
  if (PromptBox(frame, "create.negative", "What should not be there", &negative,
                frame.look.Px(low ? 30 : 44))) {
    SetNegative(negative, &draft);
  }
  DrawModel(frame);
  DrawStartPicture(frame);
  DrawSize(frame);
  DrawSizePresets(frame);
  DrawSampling(frame);
  DrawSeed(frame);
  DrawAdvanced(frame);
  ImGui::EndChild();
  DrawRunCard(frame);
}

}  // namespace fovea
