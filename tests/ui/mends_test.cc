// What its first users stumbled over in the window, each with a test: reports of the first slice.
#include <algorithm>
#include <cmath>

#include <catch2/catch.hpp>

#include "tests/ui/headless.h"
#include "ui/emoji_text.h"
#include "ui/letters.h"
#include "ui/plan_text.h"
#include "ui/shell.h"
#include "ui/word_weight.h"

namespace fovea {
namespace {

struct Studio : Headless {
  Studio() {
    snapshot = ReadySnapshot();
    Settle();
  }
  // One frame, and when the window would draw the next.
  double DrawOnce() {
    ImGui::NewFrame();
    widgets.clear();
    Frame frame{snapshot, state, commands, textures, look, &widgets};
    DrawStudio(frame);
    ImGui::Render();
    return NextDraw(frame);
  }
  void Say(bool error, const std::string& text) {
    snapshot.messages =
        std::make_shared<std::vector<Message>>(std::vector<Message>{{5, error, text, "", 0}});
  }
  std::shared_ptr<CheckView> Answer() {
    auto check = std::make_shared<CheckView>(*snapshot.check);
    check->version = state.version;
    snapshot.check = check;
    return check;
  }
};

JobView Running(int64_t id) {
  JobView job;
  job.id = id;
  job.state = JobState::kRunning;
  job.stage = "step";
  job.step = 1;
  job.steps = 2;
  return job;
}

}  // namespace

TEST_CASE("an error is on the screen although nobody touches the mouse") {
  Studio studio;
  studio.Say(true, "the disk is full");
  // The window draws while NextDraw is short, and then sleeps.
  int frames = 0;
  while (frames < 20 && studio.DrawOnce() < 1) ++frames;
  CHECK(frames < 20);
  CHECK(studio.Has("message.0"));
  bool drawn = false;
  for (int i = 0; i < ImGui::GetDrawData()->CmdListsCount; ++i) {
    const ImDrawList& list = *ImGui::GetDrawData()->CmdLists[i];
    drawn =
        drawn || (std::string(list._OwnerName).find("##message") == 0 && list.VtxBuffer.Size > 0);
  }
  CHECK(drawn);
}

TEST_CASE("a click on generate counts although its label changes between press and release") {
  Studio studio;
  const WidgetRect rect = studio.widgets.at("create.generate");
  ImGuiIO& io = ImGui::GetIO();
  for (int i = 0; i < 20; ++i) {
    io.MousePos = {rect.x + rect.width / 2, rect.y + rect.height / 2};
    studio.Draw();
    io.MouseDown[0] = true;
    studio.Draw();
    // The job before it ends, or begins, in between.
    std::vector<JobView> jobs;
    if (i % 2 == 0) jobs.push_back(Running(i));
    studio.snapshot.jobs = std::make_shared<std::vector<JobView>>(jobs);
    studio.Draw();
    io.MouseDown[0] = false;
    studio.Draw();
  }
  CHECK(studio.Sent<Generate>().size() == 20);
}

TEST_CASE("escape leaves every text field with what was typed") {
  Studio studio;
  for (const char* name : {"create.prompt", "create.negative"}) {
    REQUIRE(studio.Press(name));
    studio.Type(" one two");
    studio.Key(NamedKey(ImGuiKey_Escape));
    studio.Settle();
  }
  CHECK(studio.state.draft.prompt.find("one two") != std::string::npos);
  CHECK(NegativeOf(studio.state.draft).find("one two") != std::string::npos);
  studio.state.tab = Tab::kAttention;
  REQUIRE(studio.Press("attention.plan_a"));
  studio.Type("clear");
  studio.Key(NamedKey(ImGuiKey_Escape));
  studio.Settle();
  CHECK(studio.state.plan_a == "clear");
}

TEST_CASE("plan A of an A/B is asked about and must run") {
  Studio studio;
  studio.state.tab = Tab::kAttention;
  studio.state.plan_a = "nonsense(";
  studio.Settle();
  REQUIRE(!studio.Sent<CheckSettings>().empty());
  for (int i = 0; i < 40 && studio.Sent<CheckSettings>().back().plan_a.empty(); ++i) studio.Draw();
  CHECK(studio.Sent<CheckSettings>().back().plan_a == "nonsense(");
  studio.Answer()->problem_a = "nonsense is no operator";
  REQUIRE(studio.Press("attention.ab"));
  CHECK(studio.Sent<RunComparison>().empty());
  CHECK(studio.Has("attention.problem_a"));
  studio.Answer()->problem_a.clear();
  REQUIRE(studio.Press("attention.ab"));
  CHECK(studio.Sent<RunComparison>().size() == 1);
}

TEST_CASE("a comparison that nothing works on any more says so") {
  Studio studio;
  ComparisonView view;
  view.id = 3;
  view.waits = true;
  studio.snapshot.comparisons =
      std::make_shared<std::vector<ComparisonView>>(std::vector<ComparisonView>{view});
  studio.state.tab = Tab::kCompare;
  studio.Settle();
  CHECK_FALSE(studio.Has("compare.missing"));
  view.waits = false;
  studio.snapshot.comparisons =
      std::make_shared<std::vector<ComparisonView>>(std::vector<ComparisonView>{view});
  studio.Settle();
  CHECK(studio.Has("compare.missing"));
}

TEST_CASE("pictures of two sizes have no difference, and are told so") {
  Studio studio;
  ComparisonView view;
  view.id = 3;
  view.left_image = std::make_shared<Image>(Image{1, 1, {1, 2, 3}});
  view.right_image = std::make_shared<Image>(Image{1, 2, {1, 2, 3, 4, 5, 6}});
  studio.snapshot.comparisons =
      std::make_shared<std::vector<ComparisonView>>(std::vector<ComparisonView>{view});
  studio.state.tab = Tab::kCompare;
  studio.state.compare_mode = CompareMode::kDifference;
  studio.Settle();
  CHECK(studio.Has("compare.no_difference"));
}

TEST_CASE("an emoji is kept while its text is edited") {
  const std::string text = "a \xf0\x9f\x90\xb1 cat \xd0\xba\xd0\xbe\xd1\x82 \xe7\x8c\xab";
  CHECK(PackEmoji(text) != text);
  CHECK(UnpackEmoji(PackEmoji(text)) == text);
  CHECK(UnpackEmoji(text) == text);
  Studio studio;
  studio.state.draft.prompt = text;
  REQUIRE(studio.Press("create.prompt"));
  studio.Type("!");
  studio.Settle();
  CHECK(studio.state.draft.prompt.find("\xf0\x9f\x90\xb1") != std::string::npos);
  CHECK(studio.state.draft.prompt.find("\xef\xbf\xbd") == std::string::npos);
}

TEST_CASE("letters of other scripts are asked of other fonts once") {
  Letters letters;
  CHECK_FALSE(letters.Learn("Latin, \xce\xb1\xce\xb2, \xd0\xba\xd0\xbe\xd1\x82"));
  CHECK(letters.Learn("\xe7\x8c\xab and \xd7\x97\xd7\xaa\xd7\x95\xd7\x9c!"));
  CHECK(letters.More().size() == 5);
  CHECK_FALSE(letters.Learn("\xe7\x8c\xab!!"));
}

TEST_CASE("the mask's tools stay on the card at the least width") {
  Studio studio;
  ImGui::GetIO().DisplaySize = {1000, 650};
  studio.state.draft.image = "160x96-0123456789abcdef";
  studio.state.show_start = true;
  auto check = studio.Answer();
  check->image = std::make_shared<Image>(Image{2, 2, std::vector<uint8_t>(12, 9)});
  studio.state.asked = studio.state.draft;
  studio.Settle();
  studio.Answer()->image = check->image;
  studio.Settle();
  for (const char* name :
       {"mask.tool.0", "mask.tool.1", "mask.size", "mask.invert", "mask.clear", "mask.undo"}) {
    INFO(name);
    REQUIRE(studio.Has(name));
    const WidgetRect rect = studio.widgets.at(name);
    CHECK(rect.x + rect.width <= 1000 - 292);  // the queue's card begins there
  }
}

TEST_CASE("a long prompt's chips take two rows, and all when asked") {
  Studio studio;
  auto check = studio.Answer();
  for (int i = 0; i < 70; ++i)
    check->prompt.tokens.push_back({"word" + std::to_string(i), 1, true});
  studio.Settle();
  const float folded = studio.widgets.at("create.model").y;
  REQUIRE(studio.Press("create.all_words"));
  studio.Settle();
  CHECK((!studio.Has("create.model") || studio.widgets.at("create.model").y > folded + 40));
  studio.state.all_words = false;
  studio.Settle();
  CHECK(studio.widgets.at("create.model").y == folded);
}

TEST_CASE("cross-attention is shown and not assigned, and a layer shows its operator") {
  Studio studio;
  studio.state.tab = Tab::kAttention;
  auto check = studio.Answer();
  check->uses = {{studio.snapshot.model->sites[2].path, "clear(r=4)", "", "", "", 1, 1}};
  REQUIRE(studio.Press("attention.site.2"));
  CHECK(studio.state.operator_name == "clear");
  CHECK(studio.state.operator_args.at("r") == "4");
  REQUIRE(studio.Press("attention.site.1"));  // cross
  REQUIRE(studio.Press("attention.assign.layer"));
  CHECK(studio.state.draft.attention.empty());
  std::map<std::string, std::string> args;
  CHECK(ReadOperatorText("gna(window=5, stride=[2,2])", &args) == "gna");
  CHECK(args.at("stride") == "[2,2]");
}

TEST_CASE("a restart with pictures does not say that there are none") {
  Studio studio;
  studio.snapshot.opened_id = 0;
  studio.snapshot.opened = nullptr;
  studio.Settle();
  CHECK(studio.Has("film.1"));
}

TEST_CASE("messages stand clear of generate and the film strip, and go by themselves") {
  Studio studio;
  studio.Say(true, "something went wrong");
  studio.Settle();
  const WidgetRect message = studio.widgets.at("message.0");
  const WidgetRect generate = studio.widgets.at("create.generate");
  CHECK(message.y + message.height < generate.y);
  CHECK(message.y + message.height < studio.widgets.at("film.1").y);
  // Nobody is there: it waits.
  for (int i = 0; i < 3000; ++i) studio.Draw();
  CHECK(studio.Sent<DismissMessage>().empty());
  ImGui::GetIO().MousePos = {10, 700};
  for (int i = 0; i < 3000 && studio.Sent<DismissMessage>().empty(); ++i) studio.Draw();
  CHECK_FALSE(studio.Sent<DismissMessage>().empty());
}

TEST_CASE("Tab reaches buttons and lists, and Space presses them") {
  Studio studio;
  ImGui::GetIO().ConfigFlags |= ImGuiConfigFlags_NavEnableKeyboard;
  // A window has the focus once it was clicked, or shown.
  REQUIRE(studio.Press("create.negative"));
  studio.Key(NamedKey(ImGuiKey_Escape));
  studio.Settle();
  std::vector<std::string> visited;
  for (int i = 0; i < 60 && !studio.widgets.at("create.generate").focused; ++i) {
    studio.Key(NamedKey(ImGuiKey_Tab));
    studio.Settle();
    for (const auto& [name, rect] : studio.widgets) {
      if (rect.focused) visited.push_back(name);
    }
  }
  for (const std::string& each : visited) UNSCOPED_INFO(each);
  CHECK(studio.widgets.at("create.generate").focused);
  for (const char* name : {"create.model", "create.size.256", "create.sampler", "create.lock"}) {
    INFO(name);
    CHECK(std::find(visited.begin(), visited.end(), name) != visited.end());
  }
  studio.Key(NamedKey(ImGuiKey_Space));
  studio.Settle();
  CHECK_FALSE(studio.Sent<Generate>().empty());
}

TEST_CASE("a model's error is shown whole and the prompt's counter does not read 0") {
  Studio studio;
  auto check = studio.Answer();
  const std::string path = "/home/somebody/models/a-folder-with-a-very-long-name/unet/config.json";
  check->ok = false;
  check->problem = path + ": \"num_train_timesteps\" is missing, and " + path +
                   " is not the file of a model that can be opened; choose another one";
  check->fix_label = "Use the built-in model";
  check->prompt = {};
  studio.Settle();
  REQUIRE(studio.Has("create.problem"));
  CHECK(studio.widgets.at("create.problem").height > 60);
  CHECK(studio.Has("create.fix"));
}

TEST_CASE("a tip waits until the mouse rests and stands below its control") {
  Studio studio;
  const WidgetRect rect = studio.widgets.at("create.swap");
  ImGui::GetIO().MousePos = {rect.x + rect.width / 2, rect.y + rect.height / 2};
  studio.Draw();
  const double next = studio.DrawOnce();
  CHECK(next > 0.05);
  CHECK(next < 0.6);  // the window wakes for it
  const auto tip = [] {
    for (int i = 0; i < ImGui::GetDrawData()->CmdListsCount; ++i) {
      const ImDrawList& list = *ImGui::GetDrawData()->CmdLists[i];
      if (std::string(list._OwnerName).find("##Tooltip") == 0 && list.VtxBuffer.Size > 0) {
        float top = 1e9f;
        for (const ImDrawVert& v : list.VtxBuffer) top = std::min(top, v.pos.y);
        return top;
      }
    }
    return -1.0f;
  };
  CHECK(tip() < 0);
  for (int i = 0; i < 60 && tip() < 0; ++i) studio.Draw();
  CHECK(tip() >= rect.y + rect.height);
}

TEST_CASE("thousands of pictures are crossed by a wheel that turns fast") {
  Studio studio;
  auto pictures = std::make_shared<PictureList>();
  for (int i = 0; i < 2000; ++i) {
    auto picture = std::make_shared<PictureView>(*studio.snapshot.pictures->front());
    picture->id = 3000 - i;
    pictures->push_back(picture);
  }
  studio.snapshot.pictures = pictures;
  studio.state.tab = Tab::kGallery;
  studio.Settle();
  const WidgetRect rect = studio.widgets.at("gallery.0");
  ImGui::GetIO().MousePos = {rect.x + 20, rect.y + 20};
  ImGui::GetIO().DeltaTime = 0.03f;
  studio.Draw();
  int notches = 0;
  while (notches < 200 && !studio.Has("gallery.1999")) {
    ImGui::GetIO().MouseWheel = -1;
    studio.Draw();
    ++notches;
  }
  CHECK(notches < 100);
}

TEST_CASE("everything up to the seed is in sight in a window of 1280 by 800") {
  Studio studio;
  ImGui::GetIO().DisplaySize = {1280, 800};
  studio.Settle();
  for (const char* name : {"create.seed", "create.batch", "create.lock", "create.advanced"}) {
    INFO(name);
    REQUIRE(studio.Has(name));
    const WidgetRect rect = studio.widgets.at(name);
    CHECK(rect.y + rect.height <= studio.widgets.at("create.generate").y - 20);
  }
}

TEST_CASE("every colour of text has a contrast of 4.5 on every ground") {
  const auto light = [](ImU32 colour) {
    const ImVec4 c = ToVec(colour);
    const auto linear = [](double v) {
      return v <= 0.03928 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4);
    };
    return 0.2126 * linear(double{c.x}) + 0.7152 * linear(double{c.y}) +
           0.0722 * linear(double{c.z});
  };
  Studio studio;
  for (const bool dark : {true, false}) {
    ApplyTheme(dark, &studio.look);
    const Palette& p = studio.look.palette;
    const auto contrast = [&](ImU32 a, ImU32 b) {
      return (std::max(light(a), light(b)) + 0.05) / (std::min(light(a), light(b)) + 0.05);
    };
    for (const ImU32 text : {p.text, p.dim, p.faint, p.good, p.warn, p.bad, p.accent}) {
      for (const ImU32 ground : {p.background, p.panel, p.raised}) {
        INFO(dark << " " << std::hex << text << " on " << ground);
        CHECK(contrast(text, ground) >= 4.5);
      }
    }
    CHECK(contrast(p.on_accent, p.accent) >= 4.5);
  }
}

TEST_CASE("numbers that were typed are asked about as they are") {
  Studio studio;
  studio.state.draft.width = -8;
  studio.state.draft.batch = 100000;
  studio.state.draft.cfg = -5;
  for (int i = 0; i < 40; ++i) studio.Draw();
  const GenerateSettings asked = studio.Sent<CheckSettings>().back().settings;
  CHECK(asked.width == -8);
  CHECK(asked.batch == 100000);
  CHECK(asked.cfg == -5);
}

TEST_CASE("locking the seed before any picture takes a random one") {
  Studio studio;
  studio.snapshot.pictures = std::make_shared<PictureList>();
  uint64_t seeds[2] = {};
  for (uint64_t& seed : seeds) {
    REQUIRE(studio.Press("create.lock"));
    seed = studio.state.draft.seed.value_or(1);
    REQUIRE(studio.Press("create.lock"));
  }
  CHECK(seeds[0] != seeds[1]);
}

TEST_CASE("a word is weighed by Ctrl and the arrows") {
  int cursor = 3;
  std::string text = WeighWord("a red cube", 0.1, &cursor);
  CHECK(text == "a (red:1.1) cube");
  text = WeighWord(text, 0.1, &cursor);
  CHECK(text == "a (red:1.2) cube");
  text = WeighWord(text, -0.1, &cursor);
  text = WeighWord(text, -0.1, &cursor);
  CHECK(text == "a red cube");
  cursor = 10;
  CHECK(WeighWord("a red cube", -0.1, &cursor) == "a red (cube:0.9)");
  cursor = 0;
  CHECK(WeighWord("", 0.1, &cursor).empty());
  Studio studio;
  REQUIRE(studio.Press("create.prompt"));
  studio.Key(NamedKey(ImGuiKey_End), true);
  studio.Key(NamedKey(ImGuiKey_UpArrow), true);
  studio.Settle();
  CHECK(studio.state.draft.prompt.find(":1.1)") != std::string::npos);
}

TEST_CASE("the picture is enlarged by the wheel, moved, and fitted by a double click") {
  Studio studio;
  studio.snapshot.opened = std::make_shared<Image>(Image{8, 8, std::vector<uint8_t>(8 * 8 * 3, 9)});
  studio.Settle();
  const WidgetRect rect = studio.widgets.at("create.picture");
  ImGui::GetIO().MousePos = {rect.x + rect.width / 2, rect.y + rect.height / 2};
  studio.Draw();
  ImGui::GetIO().MouseWheel = 3;
  studio.Draw();
  CHECK(studio.state.picture_zoom > 1);
  const float x = studio.state.picture_x;
  REQUIRE(studio.Drag("create.picture", 0.5f, 0.5f, 0.4f, 0.5f));
  CHECK(studio.state.picture_x != x);
}

TEST_CASE("a LoRA file is picked, and a dropped picture's settings are used by a button") {
  Studio studio;
  studio.snapshot.loras =
      std::make_shared<std::vector<std::string>>(std::vector<std::string>{"ink", "clay"});
  ImGui::GetIO().DisplaySize = {1440, 1400};
  studio.state.show_advanced = true;
  REQUIRE(studio.Press("create.lora.add"));
  REQUIRE(studio.Press("create.lora.1"));
  CHECK(studio.state.draft.lora == "clay:1");
  GenerateSettings inside;
  inside.prompt = "what it said";
  Message message{9,
                  false,
                  "The picture says how it was made",
                  "Use its settings",
                  0,
                  std::make_shared<GenerateSettings>(inside)};
  studio.snapshot.messages = std::make_shared<std::vector<Message>>(std::vector<Message>{message});
  REQUIRE(studio.Press("message.0.undo"));
  CHECK(studio.state.draft.prompt == "what it said");
}

}  // namespace fovea
