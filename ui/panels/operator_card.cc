#include "ui/panels/operator_card.h"

#include <algorithm>

#include <imgui.h>
#include <imgui_stdlib.h>

#include "ui/plan_text.h"
#include "ui/widgets/controls.h"
#include "ui/widgets/tile_map_picture.h"

namespace fovea {
namespace {

const OperatorView* FindOperator(const Snapshot& snapshot, const std::string& name) {
  for (const OperatorView& each : snapshot.catalog->operators) {
    if (each.name == name) return &each;
  }
  return nullptr;
}

const SiteView* FindSite(const Snapshot& snapshot, const std::string& path) {
  if (snapshot.model == nullptr) return nullptr;
  for (const SiteView& each : snapshot.model->sites) {
    if (each.path == path) return &each;
  }
  return nullptr;
}

void DrawOperators(Frame& frame) {
  UiState& state = frame.state;
  const float right = ImGui::GetCursorScreenPos().x + ImGui::GetContentRegionAvail().x;
  bool first = true;
  ImGui::PushStyleVar(ImGuiStyleVar_ItemSpacing, {frame.look.Px(4), frame.look.Px(4)});
  for (const OperatorView& each : frame.snapshot.catalog->operators) {
    const float width = ImGui::CalcTextSize(each.name.c_str()).x + frame.look.Px(20);
    if (!first) {
      ImGui::SameLine();
      if (ImGui::GetCursorScreenPos().x + width > right) ImGui::NewLine();
    }
    first = false;
    const bool on = each.name == state.operator_name;
    const Palette& p = frame.look.palette;
    ImGui::PushStyleColor(ImGuiCol_Button, on ? WithAlpha(p.accent, 0.22f) : p.raised);
    ImGui::PushStyleColor(ImGuiCol_Text, on ? p.accent : p.dim);
    if (QuietButton(frame, "attention.op." + each.name, each.name, each.what) && !on) {
      state.operator_name = each.name;
      state.operator_args.clear();
    }
    ImGui::PopStyleColor(2);
  }
  ImGui::PopStyleVar();
}

void DrawArguments(Frame& frame, const OperatorView& op) {
  const float gap = frame.look.Px(8);
  const auto count = static_cast<float>(std::min<size_t>(4, std::max<size_t>(1, op.args.size())));
  const float width = (ImGui::GetContentRegionAvail().x - gap * (count - 1)) / count;
  int column = 0;
  ImVec2 row{};
  for (const OperatorArg& arg : op.args) {
    if (column == 0) row = ImGui::GetCursorPos();
    ImGui::SetCursorPos({row.x + (width + gap) * static_cast<float>(column), row.y});
    column = (column + 1) % static_cast<int>(count);
    ImGui::BeginGroup();
    Label(frame, arg.name.c_str());
    const std::string name = "attention.arg." + arg.name;
    ImGui::SetNextItemWidth(width);
    std::string value = frame.state.operator_args[arg.name];
    const std::string before = value;
    const bool typed =
        ImGui::InputTextWithHint(("##" + name).c_str(), arg.otherwise.c_str(), &value);
    KeepOnEscape(before, &value);
    if (typed) {
      frame.state.operator_args[arg.name] = value;
    }
    frame.Mark(name);
    Tip(frame, arg.help + ". Default: " + arg.otherwise);
    ImGui::EndGroup();
  }
}

void DrawAssign(Frame& frame, const std::string& op, const SiteView* site) {
  UiState& state = frame.state;
  const bool cross = site != nullptr && site->kind == "cross";
  if (QuietButton(frame, "attention.assign.layer", "Assign to this layer",
                  site == nullptr ? ""
                  : cross         ? "Cross-attention has few keys, the words; it stays dense"
                                  : site->path,
                  site != nullptr && !cross)) {
    state.draft.attention = AssignOperator(state.draft.attention, site->path, op);
  }
  ImGui::SameLine();
  if (QuietButton(
          frame, "attention.assign.size", "Layers of this size",
          "Every self- or joint-attention layer with as many tokens as the chosen one or more",
          site != nullptr && site->rows > 0 && !cross)) {
    const std::string selector = "* tokens>=" + std::to_string(site->tokens);
    state.draft.attention = AssignOperator(state.draft.attention, selector, op);
  }
  ImGui::SameLine();
  if (QuietButton(frame, "attention.assign.all", "All layers",
                  "Every self- and joint-attention layer that it can serve; others stay dense")) {
    state.draft.attention = AssignOperator(state.draft.attention, "", op);
  }
}

void DrawMap(Frame& frame, const TileMapView& map) {
  const Palette& p = frame.look.palette;
  if (!map.refusal.empty()) {
    SmallText(frame,
              std::string(frame.look.Of(kIconWarning)) + " It cannot run here: " + map.refusal,
              p.warn);
    return;
  }
  const float gap = frame.look.Px(16), text = frame.look.Px(150);
  const ImVec2 room = ImGui::GetContentRegionAvail();
  const float side = std::max(
      frame.look.Px(110),
      std::min({(room.x - text - 2 * gap) / 2, room.y - frame.look.Px(22), frame.look.Px(260)}));
  const auto column = [&](const char* title, void (*draw)(Frame&, const TileMapView&, float)) {
    ImGui::BeginGroup();
    Label(frame, title);
    draw(frame, map, side);
    ImGui::EndGroup();
    ImGui::SameLine(0, gap);
  };
  if (!map.seen.empty()) column("What one query sees", DrawSeenKeys);
  if (map.tiles > 0) column("Tiles of keys that tiles of queries visit", DrawVisits);
  ImGui::BeginGroup();
  // An operator without a map may compute more pairs than there are: a small grid's agents.
  Label(frame, map.density > 1 ? "Work" : "Density");
  {
    const ScopedFont font(frame.look.fonts.title);
    ImGui::Text("%s %%", FixedText(map.density * 100, 1).c_str());
  }
  SmallText(frame,
            map.density > 1 ? "of dense attention's: on a grid as small as this one it costs more"
                            : "of all pairs of queries and keys are seen, " +
                                  FixedText(map.visited_share * 100, 1) + " % are computed",
            map.density > 1 ? p.warn : p.dim);
  frame.Mark("attention.density");
  if (map.text_tokens > 0) {
    SmallText(frame,
              "Beside the picture stand " + std::to_string(map.text_tokens) +
                  " tokens of text; this query sees " + std::to_string(map.text_seen) + " of them",
              p.dim);
  }
  if (!map.note.empty()) SmallText(frame, map.note, p.faint);
  ImGui::EndGroup();
}

}  // namespace

void DrawOperatorCard(Frame& frame) {
  UiState& state = frame.state;
  DrawOperators(frame);
  const OperatorView* op = FindOperator(frame.snapshot, state.operator_name);
  if (op == nullptr) return;
  SmallText(frame, op->what, frame.look.palette.dim);
  Tip(frame, op->source + "\n\nCost: " + op->cost + "\nRefuses: " + op->refuses);
  DrawArguments(frame, *op);
  const std::string text = OperatorText(state.operator_name, state.operator_args);
  const SiteView* site = FindSite(frame.snapshot, state.selected_site);
  DrawAssign(frame, text, site);
  if (site == nullptr) return;
  // The desk draws the map when the question changes; sizes of the model are part of it.
  const std::string question = text + " " + site->path + " " + std::to_string(site->tokens);
  if (question != state.shown_tile_map) {
    state.shown_tile_map = question;
    frame.Send(ShowTileMap{text, site->path});
  }
  ImGui::Separator();
  SmallText(frame, text + " at " + ShortPath(site->path), frame.look.palette.faint);
  const TileMapView* map = frame.snapshot.tile_map.get();
  if (map != nullptr && map->op == text && map->path == site->path) DrawMap(frame, *map);
}

}  // namespace fovea
