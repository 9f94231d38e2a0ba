// Attention: the model's layers on the left, the plan and what it saves on the right.
#include <algorithm>

#include "ui/panels/operator_card.h"
#include "ui/panels/panels.h"
#include "ui/plan_text.h"
#include "ui/widgets/controls.h"
#include "ui/widgets/prompt_box.h"

namespace fovea {
namespace {

constexpr float kPlanHeight = 236;

// The first operator that the desk reports for a layer, and how many more.
std::string UseOf(const Snapshot& snapshot, const SiteView& site, std::string* refusal) {
  if (snapshot.check == nullptr) return "dense";
  std::string text;
  int more = 0;
  for (const SiteUse& use : snapshot.check->uses) {
    if (use.path != site.path) continue;
    if (!use.refusal.empty()) *refusal = use.refusal;
    if (text.empty())
      text = use.op;
    else if (use.op != text)
      ++more;
  }
  if (text.empty()) return "dense";
  return more == 0 ? text : text + " +" + std::to_string(more);
}

// The card shows what the chosen layer has.
void ShowOperatorOf(Frame& frame, const SiteView& site) {
  std::string refusal;
  std::string use = UseOf(frame.snapshot, site, &refusal);
  use = use.substr(0, use.find(" +"));
  // A dense one keeps what was chosen, to be assigned to it.
  if (use == "dense") return;
  frame.state.operator_name = ReadOperatorText(use, &frame.state.operator_args);
}

void DrawSite(Frame& frame, const SiteView& site, int row) {
  const Palette& p = frame.look.palette;
  UiState& state = frame.state;
  const std::string name = "attention.site." + std::to_string(row);
  ImGui::TableNextRow();
  ImGui::TableNextColumn();
  const bool selected = site.path == state.selected_site;
  if (ImGui::Selectable(("##" + name).c_str(), selected,
                        ImGuiSelectableFlags_SpanAllColumns | ImGuiSelectableFlags_AllowItemOverlap,
                        {0, frame.look.Px(22)})) {
    state.selected_site = site.path;
    ShowOperatorOf(frame, site);
  }
  frame.Mark(name);
  Tip(frame, site.path);
  ImGui::SameLine(0, 0);
  CutText(frame, ShortPath(site.path), p.text);
  ImGui::TableNextColumn();
  CutText(frame, site.kind, site.kind == "cross" ? p.faint : p.dim);
  ImGui::TableNextColumn();
  CutText(frame, std::to_string(site.heads) + " x " + std::to_string(site.head_dim), p.dim);
  ImGui::TableNextColumn();
  CutText(frame,
          site.rows > 0
              ? std::to_string(site.rows) + " x " + std::to_string(site.columns) +
                    (site.before + site.after > 0 ? " + " + std::to_string(site.before + site.after)
                                                  : "")
              : std::to_string(site.tokens),
          p.dim);
  ImGui::TableNextColumn();
  std::string refusal;
  const std::string use = UseOf(frame.snapshot, site, &refusal);
  if (use == "dense") {
    CutText(frame, use, refusal.empty() ? p.faint : p.warn);
  } else {
    Chip(frame, use, WithAlpha(p.accent, 0.2f), p.accent);
  }
  Tip(frame, refusal.empty() ? use : "left dense: " + refusal);
}

void DrawSites(Frame& frame) {
  const Snapshot& s = frame.snapshot;
  if (s.model == nullptr) {
    EmptyState(frame, kIconCube, "No model",
               s.model_error.empty() ? "The model is being opened." : s.model_error.c_str());
    return;
  }
  if (frame.state.selected_site.empty()) {
    for (const SiteView& site : s.model->sites) {
      if (site.kind != "cross") frame.state.selected_site = site.path;
      if (!frame.state.selected_site.empty()) break;
    }
  }
  Heading(frame,
          (s.model->shown + ", " + std::to_string(s.model->sites.size()) + " layers").c_str());
  constexpr auto kFlags = ImGuiTableFlags_ScrollY | ImGuiTableFlags_RowBg |
                          ImGuiTableFlags_SizingStretchProp | ImGuiTableFlags_PadOuterX;
  if (!ImGui::BeginTable("sites", 5, kFlags | ImGuiTableFlags_Resizable)) return;
  ImGui::TableSetupScrollFreeze(0, 1);
  ImGui::TableSetupColumn("Layer", 0, 5);
  ImGui::TableSetupColumn("Kind", 0, 1.3f);
  ImGui::TableSetupColumn("Heads", 0, 1.6f);
  ImGui::TableSetupColumn("Tokens", 0, 1.6f);
  ImGui::TableSetupColumn("Operator", 0, 3);
  ImGui::TableHeadersRow();
  for (size_t i = 0; i < s.model->sites.size(); ++i) {
    DrawSite(frame, s.model->sites[i], static_cast<int>(i));
  }
  ImGui::EndTable();
}

void DrawPlan(Frame& frame) {
  const Snapshot& s = frame.snapshot;
  UiState& state = frame.state;
  Heading(frame, "Plan");
  Tip(frame, FieldHelp("attention"));
  const float presets = frame.look.Px(214), gap = ImGui::GetStyle().ItemSpacing.x;
  const float clear = ImGui::CalcTextSize("Clear").x + 2 * ImGui::GetStyle().FramePadding.x;
  ImGui::SameLine(ImGui::GetWindowContentRegionMax().x - presets - clear - gap);
  ImGui::SetNextItemWidth(presets);
  if (ImGui::BeginCombo("##preset", "Presets", ImGuiComboFlags_HeightLarge)) {
    for (const PresetView& preset : s.catalog->presets) {
      if (ImGui::Selectable(preset.name.c_str())) state.draft.attention = preset.text;
      frame.Mark("attention.preset." + preset.name);
      Tip(frame, preset.about + "\n\n" + preset.text);
    }
    ImGui::EndCombo();
  } else {
    frame.Mark("attention.presets");
  }
  ImGui::SameLine();
  if (QuietButton(frame, "attention.clear", "Clear", "Dense attention everywhere",
                  !state.draft.attention.empty())) {
    state.draft.attention.clear();
  }
  PromptBox(frame, "attention.plan",
            "Dense everywhere. Choose an operator below, or write a plan: "
            "*attn1@0-14: clear(r=4)",
            &state.draft.attention, frame.look.Px(64));
  const CheckView* check = s.check.get();
  if (check != nullptr && !check->ok) {
    SmallText(frame, std::string(frame.look.Of(kIconWarning)) + " " + check->problem,
              frame.look.palette.bad);
    if (!check->fix_label.empty() && QuietButton(frame, "attention.fix", check->fix_label)) {
      state.draft = check->fix;
    }
  } else if (check != nullptr && check->flops > 0) {
    const double saved = check->dense_flops / check->flops;
    std::string text = "Predicted work: " + FixedText(check->flops / 1e9, 1) + " GFLOP";
    if (saved > 1.0005) {
      text += ", " + FixedText(saved, 2) + " times less than dense (" +
              FixedText(check->dense_flops / 1e9, 1) + ")";
    } else if (!state.draft.attention.empty()) {
      text += ", the same as dense";
      std::string why;
      for (const SiteUse& use : check->uses) {
        if (!use.refusal.empty()) why = ShortPath(use.path) + ": " + use.refusal;
      }
      text += why.empty() ? ": no layer of this model is named by it, or all keys are seen anyway"
                          : ": " + why;
    }
    SmallText(frame, text, frame.look.palette.dim);
  }
}

void DrawAb(Frame& frame) {
  UiState& state = frame.state;
  const Snapshot& s = frame.snapshot;
  const float button = frame.look.Px(120);
  Label(frame, "A/B: the same seed with this plan as A, and the plan above as B");
  ImGui::SetNextItemWidth(ImGui::GetContentRegionAvail().x - button - frame.look.Px(8));
  TextBox(frame, "attention.plan_a", "dense", &state.plan_a);
  ImGui::SameLine();
  const bool current =
      s.check != nullptr && s.check->version == state.version && state.asked_plan_a == state.plan_a;
  const std::string problem = current ? s.check->problem_a : std::string();
  const bool differ = state.plan_a != state.draft.attention;
  const bool may = s.check != nullptr && s.check->ok && differ && problem.empty();
  if (PrimaryButton(frame, "attention.ab", "Run A/B", {button, 0}, may)) {
    frame.Send(RunComparison{state.draft, state.plan_a, state.draft.attention});
    state.comparison = 0;
    state.tab = Tab::kCompare;
  }
  Tip(frame, may                ? "Makes both pictures and opens them under Compare"
             : !differ          ? "A and B are the same plan: choose another operator first"
             : !problem.empty() ? "A cannot run: " + problem
                                : "B, the plan above, cannot run");
  if (!problem.empty()) {
    ImGui::PushStyleColor(ImGuiCol_Text, frame.look.palette.bad);
    const ScopedFont font(frame.look.fonts.small);
    CutText(frame, "A: " + problem, frame.look.palette.bad);
    frame.Mark("attention.problem_a");
    ImGui::PopStyleColor();
  }
}

}  // namespace

void DrawAttention(Frame& frame) {
  const float gap = frame.look.Px(10);
  const float left = std::max(frame.look.Px(480), ImGui::GetContentRegionAvail().x * 0.46f);
  if (BeginCard(frame, "layers", {left, 0})) DrawSites(frame);
  EndCard();
  ImGui::SameLine(0, gap);
  ImGui::BeginGroup();
  const float height = ImGui::GetContentRegionAvail().y;
  if (frame.snapshot.catalog != nullptr) {
    if (BeginCard(frame, "plan", {0, frame.look.Px(kPlanHeight)})) {
      DrawPlan(frame);
      DrawAb(frame);
    }
    EndCard();
    if (BeginCard(frame, "operator", {0, height - frame.look.Px(kPlanHeight) - gap}, true)) {
      DrawOperatorCard(frame);
    }
    EndCard();
  }
  ImGui::EndGroup();
}

}  // namespace fovea
