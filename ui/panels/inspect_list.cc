// Inspect, left: what is looked at, its layers and heads with their numbers, to sort and to choose.
#include <algorithm>
#include <cmath>

#include <imgui.h>
#include <imgui_stdlib.h>

#include "ui/panels/inspect_parts.h"
#include "ui/plan_text.h"
#include "ui/widgets/controls.h"

namespace fovea {
namespace {

struct Line {
  int layer, head;  // head -1: the mean of all
  HeadNumbers numbers;
};

HeadNumbers MeanOf(const std::vector<HeadNumbers>& heads) {
  HeadNumbers sum;
  for (const HeadNumbers& each : heads) {
    sum.entropy += each.entropy;
    sum.distance += each.distance;
    sum.sink += each.sink;
  }
  const auto count = static_cast<float>(std::max<size_t>(1, heads.size()));
  return {sum.entropy / count, sum.distance / count, sum.sink / count};
}

std::vector<Line> LinesOf(const AttentionSource& source, const InspectState& state) {
  std::vector<Line> lines;
  for (size_t i = 0; i < source.Layers().size(); ++i) {
    const InspectLayer& layer = source.Layers()[i];
    if (!state.by_head) {
      lines.push_back({static_cast<int>(i), -1, MeanOf(layer.numbers)});
      continue;
    }
    for (int head = 0; head < layer.heads; ++head) {
      lines.push_back({static_cast<int>(i), head, layer.numbers[static_cast<size_t>(head)]});
    }
  }
  const bool down = state.sorted_by < 0;
  const int column = down ? -state.sorted_by - 1 : state.sorted_by;
  const auto value = [&](const Line& line) -> float {
    const float own = column == 1   ? line.numbers.entropy
                      : column == 2 ? line.numbers.distance
                      : column == 3 ? line.numbers.sink
                                    : static_cast<float>(line.layer);
    return std::isnan(own) ? (down ? -1e9f : 1e9f) : own;
  };
  std::stable_sort(lines.begin(), lines.end(), [&](const Line& a, const Line& b) {
    return down ? value(a) > value(b) : value(a) < value(b);
  });
  return lines;
}

void Number(Frame& frame, float value, int digits) {
  ImGui::TableNextColumn();
  CutText(frame, std::isnan(value) ? "-" : FixedText(static_cast<double>(value), digits),
          frame.look.palette.dim);
}

void DrawLine(Frame& frame, const AttentionSource& source, const Line& line, size_t row) {
  InspectState& state = frame.state.inspect;
  const InspectLayer& layer = source.Layers()[static_cast<size_t>(line.layer)];
  const std::string name = "inspect.layer." + std::to_string(row);
  ImGui::TableNextRow();
  ImGui::TableNextColumn();
  const bool chosen =
      line.layer == state.layer &&
      (line.head < 0 || (state.fusion == HeadChoice::kOne && line.head == state.head));
  if (ImGui::Selectable(("##" + name).c_str(), chosen,
                        ImGuiSelectableFlags_SpanAllColumns | ImGuiSelectableFlags_AllowItemOverlap,
                        {0, frame.look.Px(15)})) {
    state.layer = line.layer;
    if (line.head >= 0) {
      state.head = line.head;
      state.fusion = HeadChoice::kOne;
    }
  }
  frame.Mark(name);
  Tip(frame, layer.path + "\n" + layer.kind + ", " + std::to_string(layer.heads) + " heads, " +
                 std::to_string(layer.rows) + " x " + std::to_string(layer.columns) + " tokens");
  ImGui::SameLine(0, 0);
  const std::string text = ShortestPath(layer.path) + (layer.kind == "cross" ? " words" : "") +
                           (line.head < 0 ? "" : ", head " + std::to_string(line.head));
  CutText(frame, text, frame.look.palette.text);
  Number(frame, line.numbers.entropy, 2);
  Number(frame, line.numbers.distance, 1);
  Number(frame, line.numbers.sink * 100, 1);
}

void DrawTable(Frame& frame, const AttentionSource& source) {
  InspectState& state = frame.state.inspect;
  constexpr auto kFlags = ImGuiTableFlags_ScrollY | ImGuiTableFlags_RowBg |
                          ImGuiTableFlags_SizingStretchProp | ImGuiTableFlags_Sortable |
                          ImGuiTableFlags_Resizable;
  const ScopedFont font(frame.look.fonts.small);
  if (!ImGui::BeginTable("heads", 4, kFlags)) return;
  ImGui::TableSetupScrollFreeze(0, 1);
  constexpr const char* kTips[] = {
      "In the order of the network", "Entropy over its largest value: 0 looks at one key, 1 at all",
      "Mean distance to what is looked at, in tokens",
      "Percent of all weight that the one key gets that gets most: sinks have much"};
  constexpr const char* kTitles[] = {"Layer", "Entropy", "Dist.", "Sink %"};
  for (int i = 0; i < 4; ++i)
    ImGui::TableSetupColumn(kTitles[i], 0, i == 0 ? 3.0f : i == 1 ? 1.9f : 1.6f);
  ImGui::TableNextRow(ImGuiTableRowFlags_Headers);
  for (int i = 0; i < 4; ++i) {
    ImGui::TableSetColumnIndex(i);
    ImGui::TableHeader(kTitles[i]);
    frame.Mark("inspect.sort." + std::to_string(i));
    Tip(frame, kTips[i]);
  }
  if (const ImGuiTableSortSpecs* sort = ImGui::TableGetSortSpecs(); sort && sort->SpecsCount > 0) {
    const int column = sort->Specs->ColumnIndex;
    state.sorted_by =
        sort->Specs->SortDirection == ImGuiSortDirection_Descending ? -column - 1 : column;
  }
  const std::vector<Line> lines = LinesOf(source, state);
  ImGuiListClipper clipper;
  clipper.Begin(static_cast<int>(lines.size()));
  while (clipper.Step()) {
    for (int i = clipper.DisplayStart; i < clipper.DisplayEnd; ++i) {
      DrawLine(frame, source, lines[static_cast<size_t>(i)], static_cast<size_t>(i));
    }
  }
  ImGui::EndTable();
}

}  // namespace

void AskDiffusion(Frame& frame, int64_t picture, int step) {
  InspectState& state = frame.state.inspect;
  state.picture = picture;
  state.asked_step = step;
  frame.Send(InspectPicture{picture, step});
}

void DrawInspectChoice(Frame& frame) {
  const Snapshot& s = frame.snapshot;
  InspectState& state = frame.state.inspect;
  Label(frame, "Look with");
  std::string shown = "the model that made the picture";
  if (!state.vit_model.empty()) {
    shown = state.vit_model.substr(state.vit_model.find_last_of('/') + 1);
  }
  ImGui::SetNextItemWidth(-FLT_MIN);
  const bool open =
      ImGui::BeginCombo("##inspect.model", shown.c_str(), ImGuiComboFlags_HeightLarge);
  if (!open) frame.Mark("inspect.model");
  if (!open)
    Tip(frame,
        "The diffusion model shows how a picture of the gallery came to be; a "
        "Vision Transformer shows what it sees in any picture.");
  if (open) {
    if (ImGui::Selectable("the model that made the picture", state.vit_model.empty())) {
      state.vit_model.clear();
    }
    frame.Mark("inspect.model.own");
    SmallText(frame, "Vision Transformers", frame.look.palette.faint);
    for (size_t i = 0; s.models != nullptr && i < s.models->size(); ++i) {
      const ModelChoice& choice = (*s.models)[i];
      if (!choice.looks_only) continue;
      const std::string id = "inspect.model." + std::to_string(i);
      if (ImGui::Selectable((choice.shown + "##" + id).c_str(), choice.name == state.vit_model)) {
        state.vit_model = choice.name;
      }
      frame.Mark(id);
    }
    ImGui::EndCombo();
  }
  const int64_t picture =
      frame.state.selected_picture != 0 ? frame.state.selected_picture : s.opened_id;
  const bool busy = s.inspect != nullptr && s.inspect->busy;
  if (PrimaryButton(
          frame, "inspect.picture",
          state.vit_model.empty() ? "Look into the open picture" : "Look at the open picture",
          {-FLT_MIN, 0}, picture != 0 && !busy)) {
    if (state.vit_model.empty()) {
      AskDiffusion(frame, picture, -1);
    } else {
      frame.Send(InspectByVit{"", picture, state.vit_model});
    }
  }
  Tip(frame, picture == 0 ? "There is no picture yet: make one under Create"
             : state.vit_model.empty()
                 ? "Runs it again, with the same bytes as a result, and keeps what its heads saw"
                 : "Runs the Vision Transformer on it");
  if (state.vit_model.empty()) return;
  ImGui::SetNextItemWidth(-FLT_MIN);
  const bool entered =
      ImGui::InputTextWithHint("##inspect.path", "or drop a picture, or type its path", &state.path,
                               ImGuiInputTextFlags_EnterReturnsTrue);
  frame.Mark("inspect.path");
  if (entered && !state.path.empty()) frame.Send(InspectByVit{state.path, 0, state.vit_model});
}

void DrawInspectList(Frame& frame) {
  DrawInspectChoice(frame);
  const InspectView* view = frame.snapshot.inspect.get();
  InspectState& state = frame.state.inspect;
  if (view == nullptr || view->source == nullptr) return;
  if (!view->classes.empty()) {
    Label(frame, "It answers");
    for (const InspectClass& each : view->classes) {
      const ScopedFont font(frame.look.fonts.small);
      CutText(frame, FixedText(each.probability * 100, 1) + " %  " + each.label,
              frame.look.palette.text);
    }
    frame.Mark("inspect.classes");
  }
  int which = state.by_head ? 1 : 0;
  if (Segments(frame, "inspect.list", {"Layers", "Heads"}, &which,
               ImGui::GetContentRegionAvail().x)) {
    state.by_head = which == 1;
  }
  DrawTable(frame, *view->source);
}

}  // namespace fovea
