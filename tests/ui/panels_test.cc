// Each control, pressed without a window, emits its command or changes its setting.
#include <catch2/catch.hpp>

#include "tests/ui/headless.h"

namespace fovea {
namespace {

struct Studio : Headless {
  Studio() {
    snapshot = ReadySnapshot();
    Settle();
  }
};

JobView MakeJob(int64_t id, JobState state) {
  JobView job;
  job.id = id;
  job.state = state;
  job.settings.prompt = "a cone";
  job.steps = 20;
  job.step = 5;
  job.stage = "step";
  return job;
}

}  // namespace

TEST_CASE("the last session's settings are taken over and asked about") {
  Studio studio;
  CHECK(studio.state.draft.prompt == kShapes);
  const auto asked = studio.Sent<CheckSettings>();
  REQUIRE(!asked.empty());
  CHECK(asked.front().settings.prompt == kShapes);
}

TEST_CASE("generate sends the draft") {
  Studio studio;
  REQUIRE(studio.Press("create.generate"));
  const auto sent = studio.Sent<Generate>();
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].settings.prompt == kShapes);
  CHECK(sent[0].settings.width == 128);
}

TEST_CASE("ctrl and enter together generate") {
  Studio studio;
  studio.Key(NamedKey(ImGuiKey_Enter), true);
  CHECK(studio.Sent<Generate>().size() == 1);
}

TEST_CASE("settings that cannot run disable generate and offer the fix") {
  Studio studio;
  auto check = std::make_shared<CheckView>();
  check->version = studio.state.version;
  check->problem = "width: 100 is not a multiple of 8";
  check->fix = studio.state.draft;
  check->fix.width = 104;
  check->fix_label = "Use 104 x 128";
  studio.snapshot.check = check;
  REQUIRE(studio.Press("create.generate"));
  CHECK(studio.Sent<Generate>().empty());
  REQUIRE(studio.Press("create.fix"));
  CHECK(studio.state.draft.width == 104);
}

TEST_CASE("the prompt is typed and remembered and undone") {
  Studio studio;
  REQUIRE(studio.Press("create.prompt"));
  studio.Type(" and a blue sphere");
  CHECK(studio.state.draft.prompt.find("blue sphere") != std::string::npos);
  CHECK(studio.Sent<CheckSettings>().back().settings.prompt.find("blue") != std::string::npos);
  const std::string typed = studio.state.draft.prompt;
  studio.Key(NamedKey(ImGuiKey_Escape));  // leaves the box with what was typed
  studio.Settle();
  CHECK(studio.state.draft.prompt == typed);
  studio.state.draft.prompt = "another";
  studio.Settle();
  REQUIRE(!studio.Sent<KeepHistory>().empty());
  CHECK(studio.Sent<KeepHistory>().back().history.back().prompt == "another");
  studio.Key(LetterKey('Z'), true);
  CHECK(studio.state.draft.prompt == typed);
  studio.Key(LetterKey('Z'), true);
  CHECK(studio.state.draft.prompt == kShapes);
  studio.Key(LetterKey('Z'), true, true);
  studio.Key(LetterKey('Z'), true, true);
  CHECK(studio.state.draft.prompt == "another");
}

TEST_CASE("the window's place is kept, and nonsense is no place") {
  UiState state, read;
  state.place = {-30, 12, 1280, 768, true};
  ReadWindowText(WindowText(state), &read);
  CHECK(read.place.x == -30);
  CHECK(read.place.y == 12);
  CHECK(read.place.width == 1280);
  CHECK(read.place.height == 768);
  CHECK(read.place.maximized);
  for (const char* text : {"{\"place\":[1,2,3]}", "{\"place\":[1,2,0,4,0]}",
                           "{\"place\":[1,2,1e99,4,0]}", "{\"place\":[1,2,\"3\",4,0]}"}) {
    UiState other;
    ReadWindowText(text, &other);
    CHECK(other.place.width == 0);
  }
}

TEST_CASE("a Vision Transformer is said to be there and is not chosen") {
  Studio studio;
  studio.snapshot.models = std::make_shared<std::vector<ModelChoice>>(
      std::vector<ModelChoice>{{"", "still-life-unet", "built in"}, {"/m/vit", "vit", "/m", true}});
  REQUIRE(studio.Press("create.model"));
  CHECK(studio.Has("create.model.0"));
  CHECK_FALSE(studio.Has("create.model.1"));
  CHECK(studio.Has("create.model.lookers"));
}

TEST_CASE("earlier settings are gone back to in the history") {
  Studio studio;
  REQUIRE(studio.Press("create.size.256"));
  REQUIRE(studio.Press("create.size.192"));
  REQUIRE(studio.Press("side.1"));
  REQUIRE(studio.Press("history.1"));
  CHECK(studio.state.draft.width == 256);
  CHECK(studio.Sent<KeepHistory>().back().cursor == 1);
  REQUIRE(studio.Press("history.undo"));
  CHECK(studio.state.draft.width == 128);
  REQUIRE(studio.Press("history.redo"));
  REQUIRE(studio.Press("history.redo"));
  CHECK(studio.state.draft.width == 192);
}

TEST_CASE("the seed is locked to the last picture's and freed") {
  Studio studio;
  REQUIRE_FALSE(studio.state.draft.seed.has_value());
  REQUIRE(studio.Press("create.lock"));
  CHECK(studio.state.draft.seed == std::optional<uint64_t>(102));
  REQUIRE(studio.Press("create.dice"));
  CHECK(studio.state.draft.seed != std::optional<uint64_t>(102));
  REQUIRE(studio.Press("create.lock"));
  CHECK_FALSE(studio.state.draft.seed.has_value());
}

TEST_CASE("size buttons set both sides and swap them") {
  Studio studio;
  REQUIRE(studio.Press("create.size.192"));
  CHECK(studio.state.draft.width == 192);
  CHECK(studio.state.draft.height == 192);
  studio.state.draft.height = 128;
  REQUIRE(studio.Press("create.swap"));
  CHECK(studio.state.draft.width == 128);
  CHECK(studio.state.draft.height == 192);
}

TEST_CASE("samplers and models are chosen from lists") {
  Studio studio;
  REQUIRE(studio.Press("create.sampler"));
  REQUIRE(studio.Press("create.sampler.euler"));
  CHECK(studio.state.draft.sampler == "euler");
  REQUIRE(studio.Press("create.model"));
  REQUIRE(studio.Press("create.model.1"));
  CHECK(studio.state.draft.model == "other");
  REQUIRE(studio.Sent<LoadModel>().size() == 1);
  CHECK(studio.Sent<LoadModel>()[0].name == "other");
}

TEST_CASE("the running job is stopped by its button and by escape") {
  Studio studio;
  studio.snapshot.jobs =
      std::make_shared<std::vector<JobView>>(std::vector<JobView>{MakeJob(7, JobState::kRunning)});
  REQUIRE(studio.Press("create.cancel"));
  REQUIRE(studio.Sent<CancelJob>().size() == 1);
  CHECK(studio.Sent<CancelJob>()[0].id == 7);
  studio.Key(NamedKey(ImGuiKey_Escape));
  CHECK(studio.Sent<CancelJob>().size() == 2);
}

TEST_CASE("jobs are moved and taken out and paused and stopped together") {
  Studio studio;
  studio.snapshot.jobs = std::make_shared<std::vector<JobView>>(
      std::vector<JobView>{MakeJob(7, JobState::kRunning), MakeJob(8, JobState::kWaiting),
                           MakeJob(9, JobState::kWaiting)});
  REQUIRE(studio.Press("queue.1.down"));
  REQUIRE(studio.Press("queue.2.up"));
  const auto moves = studio.Sent<MoveJob>();
  REQUIRE(moves.size() == 2);
  CHECK((moves[0].id == 8 && moves[0].places == 1));
  CHECK((moves[1].id == 9 && moves[1].places == -1));
  REQUIRE(studio.Press("queue.2.stop"));
  CHECK(studio.Sent<CancelJob>().back().id == 9);
  REQUIRE(studio.Press("queue.pause"));
  CHECK(studio.Sent<PauseQueue>().back().paused);
  REQUIRE(studio.Press("queue.clear"));
  CHECK(studio.Sent<CancelAllJobs>().size() == 1);
}

TEST_CASE("pictures are opened and starred and reused and deleted from the canvas") {
  Studio studio;
  REQUIRE(studio.Press("film.2"));
  CHECK(studio.Sent<OpenPicture>().back().id == 1);
  REQUIRE(studio.Press("canvas.favourite"));
  CHECK(
      (studio.Sent<SetFavourite>().back().id == 2 && studio.Sent<SetFavourite>().back().favourite));
  REQUIRE(studio.Press("canvas.restore"));
  CHECK(studio.state.draft.seed == std::optional<uint64_t>(102));
  REQUIRE(studio.Press("canvas.trash"));
  CHECK(studio.Sent<TrashPicture>().back().id == 2);
}

TEST_CASE("the gallery searches and selects and compares and stars and deletes") {
  Studio studio;
  REQUIRE(studio.Press("tab.gallery"));
  REQUIRE(studio.Press("gallery.0"));
  CHECK(studio.state.selected_picture == 2);
  REQUIRE(studio.Press("gallery.star"));
  CHECK(studio.Sent<SetFavourite>().back().id == 2);
  REQUIRE(studio.Press("gallery.compare"));
  REQUIRE(studio.Press("gallery.1"));
  REQUIRE(studio.Press("gallery.compare"));
  const auto compared = studio.Sent<ComparePictures>();
  REQUIRE(compared.size() == 1);
  CHECK((compared[0].left == 2 && compared[0].right == 1));
  CHECK(studio.state.tab == Tab::kCompare);
  studio.state.tab = Tab::kGallery;
  REQUIRE(studio.Press("gallery.trash"));
  CHECK(studio.Sent<TrashPicture>().back().id == 1);
  studio.state.search = "nothing like this";
  studio.Settle();
  CHECK_FALSE(studio.Has("gallery.0"));
  studio.state.search = "CUBE 101";
  studio.Settle();
  CHECK(studio.Has("gallery.0"));
  CHECK_FALSE(studio.Has("gallery.1"));
}

TEST_CASE("an operator is assigned by clicks and A/B runs both plans") {
  Studio studio;
  REQUIRE(studio.Press("tab.attention"));
  studio.Settle();
  REQUIRE(!studio.Sent<ShowTileMap>().empty());
  REQUIRE(studio.Press("attention.site.2"));
  REQUIRE(studio.Press("attention.assign.layer"));
  CHECK(studio.state.draft.attention == "mid_block.attentions.0.transformer_blocks.0.attn1: clear");
  REQUIRE(studio.Press("attention.arg.r"));
  studio.Type("4");
  REQUIRE(studio.Press("attention.assign.layer"));
  CHECK(studio.state.draft.attention ==
        "mid_block.attentions.0.transformer_blocks.0.attn1: clear(r=4)");
  CHECK(studio.Sent<ShowTileMap>().back().op == "clear(r=4)");
  auto check = std::make_shared<CheckView>(*studio.snapshot.check);
  check->version = studio.state.version;
  studio.snapshot.check = check;
  REQUIRE(studio.Press("attention.ab"));
  const auto runs = studio.Sent<RunComparison>();
  REQUIRE(runs.size() == 1);
  CHECK(runs[0].plan_a.empty());
  CHECK(runs[0].plan_b == studio.state.draft.attention);
}

TEST_CASE("a deletion is undone from its message and a message dismissed") {
  Studio studio;
  studio.snapshot.messages = std::make_shared<std::vector<Message>>(
      std::vector<Message>{{5, false, "Moved to the trash", "Undo", 2}});
  REQUIRE(studio.Press("message.0.undo"));
  CHECK(studio.Sent<RestorePicture>().back().id == 2);
  REQUIRE(studio.Press("message.0.close"));
  CHECK(studio.Sent<DismissMessage>().back().id == 5);
}

TEST_CASE("the theme changes and is kept") {
  Studio studio;
  REQUIRE(studio.Press("bar.theme"));
  CHECK_FALSE(studio.state.dark);
  REQUIRE(!studio.Sent<KeepWindow>().empty());
  UiState again;
  ReadWindowText(studio.Sent<KeepWindow>().back().json, &again);
  CHECK_FALSE(again.dark);
}

TEST_CASE("an idle studio wants no frames") {
  Studio studio;
  studio.Settle();
  ImGui::NewFrame();
  Frame frame{studio.snapshot, studio.state, studio.commands, studio.textures, studio.look};
  DrawStudio(frame);
  ImGui::Render();
  CHECK(NextDraw(frame) > 1e9);
  // One that works looks again often, on every tab.
  studio.snapshot.jobs =
      std::make_shared<std::vector<JobView>>(std::vector<JobView>{MakeJob(7, JobState::kRunning)});
  studio.state.tab = Tab::kGallery;
  CHECK(NextDraw(frame) < 0.05);
}

}  // namespace fovea
