#include "ui/window/window.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <string>
#include <utility>

#include <GLFW/glfw3.h>
#include <backends/imgui_impl_glfw.h>
#include <backends/imgui_impl_opengl3.h>
#include <imgui.h>

#include "ui/emoji_text.h"
#include "ui/letters.h"
#include "ui/shell.h"
#include "ui/window/draw_damage.h"
#include "ui/window/gl_surface.h"
#include "ui/window/gl_textures.h"
#include "ui/window/window_log.h"

namespace fovea {
namespace {

// Dear ImGui settles layouts over a few frames after anything changed.
constexpr int kFramesAfterChange = 3;
constexpr double kLongest = 3600;  // seconds of sleep
// The window shows when the last session's place is known, and after these seconds in any case.
constexpr double kLatestShow = 2, kLookAgain = 0.1;

constexpr int kUsualWidth = 1440, kUsualHeight = 900, kLeastWidth = 1000, kLeastHeight = 640;
constexpr int kTitleBar = 32;  // about what a window manager puts above

struct Area {
  int x = 0, y = 0, width = kUsualWidth, height = kUsualHeight;
};

// The part of a monitor that panels leave free: of the one that holds the place, else the first.
Area WorkArea(int x, int y) {
  int count = 0;
  GLFWmonitor** monitors = glfwGetMonitors(&count);
  Area first;
  for (int i = 0; i < count; ++i) {
    Area area;
    glfwGetMonitorWorkarea(monitors[i], &area.x, &area.y, &area.width, &area.height);
    if (area.width < 1 || area.height < 1) continue;
    if (x >= area.x && y >= area.y && x < area.x + area.width && y < area.y + area.height) {
      return area;
    }
    if (i == 0) first = area;
  }
  return first;
}

// A large screen that says nothing of its density is read from further away: letters of 15 pixels
// would be small on it.
float ScaleOf(float told) {
  const Area area = WorkArea(0, 0);
  const float by_size = area.height >= 1900 ? 1.75f : area.height >= 1300 ? 1.3f : 1;
  return told > 1.05f ? told : by_size;
}

std::string LastGlfwError() {
  const char* text = nullptr;
  glfwGetError(&text);
  return text == nullptr ? "unknown reason" : text;
}

[[noreturn]] void Fail(const std::string& what) {
  throw NoWindow(what + "; fovea-studio needs a display with OpenGL 3.3, `fovea` needs none");
}

}  // namespace

struct Window::Parts {
  WindowOptions options;
  GLFWwindow* window = nullptr;
  bool gl_ready = false;
  std::unique_ptr<GlTextures> textures;
  std::unique_ptr<GlSurface> surface;
  DrawDamage damage;
  int64_t drawn = 0;  // pixels of the last frame
  Look look;
  Letters letters;
  float screen_scale = 1;
  UiState state;
  int frames_wanted = kFramesAfterChange;
  bool save_picture = false;
  bool stands = false;
  std::string dropped;  // a file's path
  std::atomic<bool> close = false;

  explicit Parts(WindowOptions given) : options(std::move(given)) {}
  ~Parts();
  void Open();
  void Rescale(float scale);
  void Stand();      // where it stood the last time, once that is known, and then visible
  void KeepPlace();  // where it stands now, for the next time
  void Draw(const StudioLink& link, const SnapshotPtr& snapshot, WidgetMap* widgets, double* next);
  void Show();
  void SavePicture();
  static Parts& Of(GLFWwindow* window) {
    return *static_cast<Parts*>(glfwGetWindowUserPointer(window));
  }
};

Window::Parts::~Parts() {
  textures.reset();
  surface.reset();
  if (gl_ready) {
    ImGui_ImplOpenGL3_Shutdown();
    ImGui_ImplGlfw_Shutdown();
    ImGui::DestroyContext();
  }
  if (window != nullptr) glfwDestroyWindow(window);
  glfwTerminate();
}

void Window::Parts::Open() {
  if (glfwInit() != GLFW_TRUE) Fail("no window: " + LastGlfwError());
  glfwWindowHint(GLFW_CONTEXT_VERSION_MAJOR, 3);
  glfwWindowHint(GLFW_CONTEXT_VERSION_MINOR, 3);
  glfwWindowHint(GLFW_OPENGL_PROFILE, GLFW_OPENGL_CORE_PROFILE);
  glfwWindowHint(GLFW_SCALE_TO_MONITOR, GLFW_TRUE);
  glfwWindowHintString(GLFW_X11_CLASS_NAME, "fovea-studio");
  const Area area = WorkArea(0, 0);
  const int width = options.width > 0 ? options.width : std::min(kUsualWidth, area.width);
  const int height =
      options.height > 0 ? options.height : std::min(kUsualHeight, area.height - kTitleBar);
  glfwWindowHint(GLFW_VISIBLE, GLFW_FALSE);  // until it stands where it belongs
  window = glfwCreateWindow(std::max(width, kLeastWidth), std::max(height, kLeastHeight),
                            "Fovea Studio", nullptr, nullptr);
  if (window == nullptr) Fail("no window: " + LastGlfwError());
  glfwSetWindowUserPointer(window, this);
  glfwSetWindowSizeLimits(window, kLeastWidth, kLeastHeight, GLFW_DONT_CARE, GLFW_DONT_CARE);
  if (options.width <= 0) {
    const int left = area.height - std::max(height, kLeastHeight);
    glfwSetWindowPos(window, area.x, area.y + std::clamp(left, 0, kTitleBar));
  }
  glfwMakeContextCurrent(window);
  glfwSwapInterval(1);

  IMGUI_CHECKVERSION();
  ImGui::CreateContext();
  ImGuiIO& io = ImGui::GetIO();
  io.IniFilename = nullptr;
  io.ConfigFlags |= ImGuiConfigFlags_NavEnableKeyboard;
  io.ConfigInputTextCursorBlink = false;  // a blinking cursor would redraw an idle window
  // Every input draws a few frames. Ours first: the backend chains to what it finds.
  glfwSetKeyCallback(window, [](GLFWwindow* w, int key, int, int action, int) {
    Of(w).frames_wanted = kFramesAfterChange;
    if (key == GLFW_KEY_F12 && action == GLFW_PRESS) Of(w).save_picture = true;
  });
  glfwSetCharCallback(window,
                      [](GLFWwindow* w, unsigned) { Of(w).frames_wanted = kFramesAfterChange; });
  glfwSetMouseButtonCallback(
      window, [](GLFWwindow* w, int, int, int) { Of(w).frames_wanted = kFramesAfterChange; });
  glfwSetScrollCallback(
      window, [](GLFWwindow* w, double, double) { Of(w).frames_wanted = kFramesAfterChange; });
  glfwSetCursorPosCallback(
      window, [](GLFWwindow* w, double, double) { Of(w).frames_wanted = kFramesAfterChange; });
  glfwSetWindowFocusCallback(window,
                             [](GLFWwindow* w, int) { Of(w).frames_wanted = kFramesAfterChange; });
  glfwSetWindowRefreshCallback(window, [](GLFWwindow* w) {
    Of(w).damage.Reset();  // what was shown is lost
    Of(w).frames_wanted = kFramesAfterChange;
  });
  glfwSetFramebufferSizeCallback(
      window, [](GLFWwindow* w, int, int) { Of(w).frames_wanted = kFramesAfterChange; });
  glfwSetDropCallback(window, [](GLFWwindow* w, int count, const char** paths) {
    if (count > 0) Of(w).dropped = paths[0];
    Of(w).frames_wanted = kFramesAfterChange;
  });
  if (!ImGui_ImplGlfw_InitForOpenGL(window, true) || !ImGui_ImplOpenGL3_Init("#version 330")) {
    Fail("OpenGL could not be set up");
  }
  gl_ready = true;
  static decltype(io.GetClipboardTextFn) get = io.GetClipboardTextFn;
  static decltype(io.SetClipboardTextFn) set = io.SetClipboardTextFn;
  get = io.GetClipboardTextFn;
  set = io.SetClipboardTextFn;
  io.GetClipboardTextFn = [](void* data) -> const char* {
    static std::string text;
    const char* given = get(data);
    text = given == nullptr ? std::string() : PackEmoji(given);
    return given == nullptr ? nullptr : text.c_str();
  };
  io.SetClipboardTextFn = [](void* data, const char* text) {
    set(data, UnpackEmoji(text).c_str());
  };
  glfwSetCharCallback(window, [](GLFWwindow* w, unsigned letter) {
    Of(w).frames_wanted = kFramesAfterChange;
    ImGui_ImplGlfw_CharCallback(w, PackEmoji(letter));
  });
  float x = 1, y = 1;
  glfwGetWindowContentScale(window, &x, &y);
  screen_scale = options.scale > 0 ? options.scale : ScaleOf(std::max(1.0f, x));
  Rescale(screen_scale);
  glfwSetWindowContentScaleCallback(window, [](GLFWwindow* w, float scale, float) {
    if (Of(w).options.scale > 0) return;
    Of(w).screen_scale = ScaleOf(std::max(1.0f, scale));  // taken over by the next frame
    Of(w).frames_wanted = kFramesAfterChange;
  });
  textures = std::make_unique<GlTextures>();
  surface = std::make_unique<GlSurface>();
}

void Window::Parts::Stand() {
  const WindowPlace& last = state.place;
  if (options.width <= 0 && last.width > 0) {
    const Area area = WorkArea(last.x + last.width / 2, last.y + last.height / 2);
    const int width = std::clamp(last.width, kLeastWidth, std::max(kLeastWidth, area.width));
    const int height = std::clamp(last.height, kLeastHeight, std::max(kLeastHeight, area.height));
    glfwSetWindowSize(window, width, height);
    glfwSetWindowPos(window,
                     std::clamp(last.x, area.x, std::max(area.x, area.x + area.width - width)),
                     std::clamp(last.y, area.y, std::max(area.y, area.y + area.height - height)));
    if (last.maximized) glfwMaximizeWindow(window);
  }
  glfwShowWindow(window);
  stands = true;
}

void Window::Parts::KeepPlace() {
  state.place.maximized = glfwGetWindowAttrib(window, GLFW_MAXIMIZED) == GLFW_TRUE;
  if (state.place.maximized) return;  // the size to come back to stays
  glfwGetWindowPos(window, &state.place.x, &state.place.y);
  glfwGetWindowSize(window, &state.place.width, &state.place.height);
}

void Window::Parts::Rescale(float scale) {
  look.scale = scale;
  look.fonts = LoadFonts(*ImGui::GetIO().Fonts, scale, letters.More());
  damage.Reset();  // the letters' texture may have its old name
  ApplyTheme(state.dark, &look);
}

void Window::Parts::Draw(const StudioLink& link, const SnapshotPtr& snapshot, WidgetMap* widgets,
                         double* next) {
  if (look.dark != state.dark) ApplyTheme(state.dark, &look);
  const float wanted = screen_scale * state.zoom;
  if (letters.Learn(*snapshot, state) || std::abs(wanted - look.scale) > 0.01f) {
    ImGui_ImplOpenGL3_DestroyFontsTexture();
    Rescale(wanted);
  }
  ImGui_ImplOpenGL3_NewFrame();
  ImGui_ImplGlfw_NewFrame();
  ImGui::NewFrame();
  if (stands) KeepPlace();
  StudioCommands commands;
  Frame frame{*snapshot, state, commands, *textures, look, widgets};
  DrawStudio(frame);
  if (!stands && (state.started || glfwGetTime() > kLatestShow)) Stand();
  *next = stands ? NextDraw(frame) : kLookAgain;
  ImGui::Render();
  if (!dropped.empty()) {
    std::string path = std::exchange(dropped, {});
    if (state.tab == Tab::kInspect && !state.inspect.vit_model.empty()) {
      commands.push_back(InspectByVit{std::move(path), 0, state.inspect.vit_model});
    } else {
      commands.push_back(UsePictureFile{std::move(path), true});
    }
  }
  for (StudioCommand& command : commands) link.post(std::move(command));

  Show();
  textures->EndFrame();
}

// Draws again what changed, and shows the window if anything did.
void Window::Parts::Show() {
  int width = 0, height = 0;
  glfwGetFramebufferSize(window, &width, &height);
  if (width < 1 || height < 1) return;
  ImDrawData& data = *ImGui::GetDrawData();
  if (surface->Begin(width, height)) damage.Reset();
  const std::vector<PixelRect> rects = damage.Update(data, width, height);
  drawn = 0;
  for (const PixelRect& rect : rects) drawn += rect.Area();
  if (rects.empty() && !save_picture) return;
  glViewport(0, 0, width, height);
  const ImVec4 clear = ToVec(look.palette.background);
  glClearColor(clear.x, clear.y, clear.z, 1);
  glEnable(GL_SCISSOR_TEST);
  for (const PixelRect& rect : rects) {
    glScissor(rect.left, height - rect.bottom, rect.right - rect.left, rect.bottom - rect.top);
    glClear(GL_COLOR_BUFFER_BIT);
  }
  ClipTo(rects, &data);
  ImGui_ImplOpenGL3_RenderDrawData(&data);
  surface->End();
  if (save_picture && options.save_picture) SavePicture();
  save_picture = false;
  glfwSwapBuffers(window);
}

void Window::Parts::SavePicture() {
  int width = 0, height = 0;
  glfwGetFramebufferSize(window, &width, &height);
  Image flipped{width, height, {}}, image{width, height, {}};
  const size_t line = static_cast<size_t>(width) * 3;
  flipped.rgb.resize(line * static_cast<size_t>(height));
  image.rgb.resize(flipped.rgb.size());
  glPixelStorei(GL_PACK_ALIGNMENT, 1);
  glReadPixels(0, 0, width, height, GL_RGB, GL_UNSIGNED_BYTE, flipped.rgb.data());
  for (size_t y = 0; y < static_cast<size_t>(height); ++y) {
    std::copy_n(flipped.rgb.begin() + static_cast<std::ptrdiff_t>(y * line), line,
                image.rgb.begin() +
                    static_cast<std::ptrdiff_t>((static_cast<size_t>(height) - 1 - y) * line));
  }
  options.save_picture(image);
}

Window::Window(WindowOptions options) : parts_(std::make_unique<Parts>(std::move(options))) {
  parts_->Open();
}

Window::~Window() = default;

void Window::Wake() {
  glfwPostEmptyEvent();
}

void Window::Close() {
  parts_->close = true;
  glfwPostEmptyEvent();
}

void Window::Run(const StudioLink& link) {
  Parts& parts = *parts_;
  WidgetFile widget_file(parts.options.widgets);
  FrameFile frame_file(parts.options.frames);
  SnapshotPtr snapshot = link.current();
  // Frames are timed by their beginnings: what one takes is no pause before the next.
  double next = 0, begun = glfwGetTime();
  while (glfwWindowShouldClose(parts.window) == GLFW_FALSE && !parts.close) {
    if (parts.frames_wanted > 0) {
      glfwPollEvents();
    } else {
      const double left = begun + next - glfwGetTime();
      if (left > 0) glfwWaitEventsTimeout(std::min(left, kLongest));
    }
    const double woken = glfwGetTime();
    if (SnapshotPtr latest = link.current(); latest != snapshot) {
      snapshot = std::move(latest);
      // One more settles the layout, unless the next comes by itself.
      parts.frames_wanted = std::max(parts.frames_wanted, next < 1 ? 1 : 2);
    }
    if (parts.frames_wanted <= 0 && woken < begun + next) continue;  // nothing for us
    parts.frames_wanted = std::max(0, parts.frames_wanted - 1);
    WidgetMap widgets;
    parts.Draw(link, snapshot, widget_file.On() ? &widgets : nullptr, &next);
    const bool computing = snapshot->jobs != nullptr && !snapshot->jobs->empty();
    frame_file.Write(
        {woken, (glfwGetTime() - woken) * 1000, (woken - begun) * 1000, computing, parts.drawn});
    begun = woken;
    if (widget_file.On()) widget_file.Write(widgets, *snapshot, parts.state);
  }
}

}  // namespace fovea
