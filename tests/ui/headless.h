// The studio's window without a window: panels drawn into Dear ImGui with no screen behind it, a
// mouse and keys that tests move.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <imgui.h>

#include "ui/frame.h"
#include "ui/shell.h"

namespace fovea {

// Every picture is texture 1.
class NoTextures final : public Textures {
 public:
  ImTextureID Get(const ImagePtr&) override { return TextureId(1); }
};

class Headless {
 public:
  Headless() {
    ImGui::CreateContext();
    ImGuiIO& io = ImGui::GetIO();
    io.IniFilename = nullptr;
    io.DisplaySize = {1440, 900};
    io.DeltaTime = 0.2f;  // questions wait for less than a frame
#if IMGUI_VERSION_NUM < 18700
    for (int key = 0; key < ImGuiKey_COUNT; ++key) io.KeyMap[key] = key + 1;
#endif
    look.fonts = LoadFonts(*io.Fonts, 1);
    unsigned char* pixels = nullptr;
    int width = 0, height = 0;
    io.Fonts->GetTexDataAsRGBA32(&pixels, &width, &height);
    ApplyTheme(true, &look);
  }
  ~Headless() {
    ImGui::DestroyContext();
  }
  Headless(const Headless&) = delete;
  Headless& operator=(const Headless&) = delete;

  void Draw() {
    ImGui::NewFrame();
    widgets.clear();
    Frame frame{snapshot, state, commands, textures, look, &widgets};
    DrawStudio(frame);
    ImGui::Render();
  }
  void Settle() {
    for (int i = 0; i < 4; ++i) Draw();
  }
  bool Has(const std::string& name) const {
    return widgets.contains(name);
  }
  // A click in the middle of the control. False: there is none of this name.
  bool Press(const std::string& name) {
    Settle();
    const auto found = widgets.find(name);
    if (found == widgets.end()) return false;
    const WidgetRect& rect = found->second;
    ImGuiIO& io = ImGui::GetIO();
    io.MousePos = {rect.x + rect.width / 2, rect.y + rect.height / 2};
    Draw();
    io.MouseDown[0] = true;
    Draw();
    io.MouseDown[0] = false;
    Draw();
    io.MousePos = {-FLT_MAX, -FLT_MAX};
    Draw();
    return true;
  }
  // From one point of the control to another, as shares of its sides. False: there is none.
  bool Drag(const std::string& name, float x0, float y0, float x1, float y1, int button = 0) {
    Settle();
    const auto found = widgets.find(name);
    if (found == widgets.end()) return false;
    const WidgetRect rect = found->second;
    ImGuiIO& io = ImGui::GetIO();
    const auto move = [&](float x, float y) {
      io.MousePos = {rect.x + rect.width * x, rect.y + rect.height * y};
      Draw();
    };
    move(x0, y0);
    io.MouseDown[button] = true;
    move(x0, y0);
    move(x1, y1);
    io.MouseDown[button] = false;
    Draw();
    io.MousePos = {-FLT_MAX, -FLT_MAX};
    Draw();
    return true;
  }
  void Type(const std::string& text) {
    ImGui::GetIO().AddInputCharactersUTF8(text.c_str());
    Settle();
  }
  void Key(KeyCode key, bool ctrl = false, bool shift = false) {
    SetKeys(key, true, ctrl, shift);
    Draw();
    SetKeys(key, false, false, false);
    Draw();
  }
  // The commands of one kind since the last call of Forget.
  template <class T>
  std::vector<T> Sent() const {
    std::vector<T> found;
    for (const StudioCommand& each : commands) {
      if (const T* command = std::get_if<T>(&each)) found.push_back(*command);
    }
    return found;
  }
  void Forget() {
    commands.clear();
  }

  Snapshot snapshot;
  UiState state;
  StudioCommands commands;
  NoTextures textures;
  Look look;
  WidgetMap widgets;

 private:
  static void SetKeys(KeyCode key, bool down, bool ctrl, bool shift) {
    ImGuiIO& io = ImGui::GetIO();
#if IMGUI_VERSION_NUM >= 18900
    io.AddKeyEvent(ImGuiMod_Ctrl, ctrl);
    io.AddKeyEvent(ImGuiMod_Shift, shift);
    io.AddKeyEvent(key, down);
#else
    io.KeyCtrl = ctrl;
    io.KeyShift = shift;
    io.KeyMods = (ctrl ? ImGuiKeyModFlags_Ctrl : 0) | (shift ? ImGuiKeyModFlags_Shift : 0);
    io.KeysDown[key] = down;
#endif
  }
};

inline constexpr auto kShapes = "a red cube";

// What the desk publishes once it is ready: a model of three layers, two pictures, no jobs.
inline Snapshot ReadySnapshot() {
  Snapshot s;
  s.ready = true;
  auto catalog = std::make_shared<CatalogView>();
  catalog->samplers = {"ddim", "euler"};
  catalog->schedules = {"model", "karras"};
  catalog->operators = {{"dense", "all keys", "", "", "", {}},
                        {"clear", "a disc", "", "", "", {{"r", "16", "radius"}}}};
  catalog->presets = {{"clear-8", "discs", "clear(r=8)"}};
  s.catalog = catalog;
  auto start = std::make_shared<StartView>();
  GenerateSettings first;
  first.prompt = kShapes;
  first.width = first.height = 128;
  first.steps = 25;
  first.cfg = 3;
  start->history = {first};
  s.start = start;
  auto model = std::make_shared<ModelView>();
  model->shown = "still-life-unet";
  model->trained_width = model->trained_height = 128;
  model->sites = {
      {"down_blocks.0.attentions.0.transformer_blocks.0.attn1", "self", 4, 32, 256, 16, 16},
      {"down_blocks.0.attentions.0.transformer_blocks.0.attn2", "cross", 4, 32, 256, 16, 16},
      {"mid_block.attentions.0.transformer_blocks.0.attn1", "self", 8, 32, 16, 4, 4}};
  s.model = model;
  s.models = std::make_shared<std::vector<ModelChoice>>(
      std::vector<ModelChoice>{{"", "still-life-unet", "built in"}, {"other", "other", "recent"}});
  auto check = std::make_shared<CheckView>();
  check->version = 1;
  check->ok = true;
  check->flops = 1e9;
  check->dense_flops = 2e9;
  check->seconds = 1.5;
  s.check = check;
  s.jobs = std::make_shared<std::vector<JobView>>();
  auto pictures = std::make_shared<PictureList>();
  for (const int64_t id : {2, 1}) {
    auto picture = std::make_shared<PictureView>();
    picture->id = id;
    picture->settings = first;
    picture->settings.seed = static_cast<uint64_t>(100 + id);
    picture->thumbnail = std::make_shared<Image>(Image{1, 1, {1, 2, 3}});
    pictures->push_back(picture);
  }
  s.pictures = pictures;
  s.opened_id = 2;
  s.opened = std::make_shared<Image>(Image{1, 1, {1, 2, 3}});
  s.comparisons = std::make_shared<std::vector<ComparisonView>>();
  s.messages = std::make_shared<std::vector<Message>>();
  return s;
}

}  // namespace fovea
