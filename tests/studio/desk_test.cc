// The studio without its window: queue, store, gallery and engine, with the built-in model.
#include <catch2/catch.hpp>

#include "app/studio/desk.h"
#include "app/studio/plan_preview.h"
#include "app/studio/store.h"
#include "pipelines/metadata/metadata.h"
#include "pipelines/pictures/formats/png_file.h"
#include "tests/studio/desk_support.h"

namespace fovea {

TEST_CASE("a picture is made and kept and found again") {
  const DataFolder data("keep");
  {
    Desk desk({data.path, {}}, {});
    SnapshotPtr s = WaitFor(desk, [](const Snapshot& each) { return each.check != nullptr; });
    REQUIRE(s != nullptr);
    INFO(s->check->problem);
    CHECK(s->check->ok);
    CHECK_FALSE(s->start->history.front().prompt.empty());
    CHECK(s->model->sites.size() > 4);
    GenerateSettings settings = Small(5);
    settings.batch = 2;
    desk.Post(Generate{settings});
    s = WaitFor(desk, [](const Snapshot& each) { return Count(each) == 2 && each.jobs->empty(); });
    REQUIRE(s != nullptr);
    CHECK(s->pictures->front()->settings.seed == std::optional<uint64_t>(6));
    const PictureSettings inside =
        ReadPictureSettings(ReadPngText(s->pictures->back()->file), s->pictures->back()->file);
    CHECK(inside.settings.prompt == "a red cube");
    CHECK(inside.settings.seed == std::optional<uint64_t>(5));
    desk.Post(SetFavourite{s->pictures->front()->id, true});
    desk.Post(TrashPicture{s->pictures->back()->id});
    REQUIRE(WaitFor(desk, [](const Snapshot& each) { return each.pictures->back()->trashed; }));
  }
  Desk desk({data.path, {}}, {});
  const SnapshotPtr s = WaitFor(desk, [](const Snapshot& each) { return Count(each) == 2; });
  REQUIRE(s != nullptr);
  CHECK(s->pictures->front()->favourite);
  CHECK(s->pictures->back()->trashed);
  CHECK(s->engine.gflops > 0);  // measured by the pictures
  const std::string file = s->pictures->back()->file;
  desk.Post(EmptyTrash{});
  REQUIRE(WaitFor(desk, [](const Snapshot& each) { return Count(each) == 1; }));
  CHECK_FALSE(fs::exists(file));
}

TEST_CASE("a file that the index lacks is taken in and one that is gone is forgotten") {
  const DataFolder data("import");
  {
    Desk desk({data.path, {}}, {});
    desk.Post(Generate{Small(7)});
    REQUIRE(WaitFor(desk, [](const Snapshot& each) { return Count(each) == 1; }));
  }
  // As after a crash between writing the picture and noting it.
  fs::remove(data.path / "studio.db");
  fs::remove(data.path / "studio.db-wal");
  fs::remove(data.path / "studio.db-shm");
  {
    Desk desk({data.path, {}}, {});
    const SnapshotPtr s = WaitFor(desk, [](const Snapshot& each) { return Count(each) == 1; });
    REQUIRE(s != nullptr);
    CHECK(s->pictures->front()->settings.prompt == "a red cube");
    fs::remove(s->pictures->front()->file);
  }
  Desk desk({data.path, {}}, {});
  REQUIRE(WaitFor(desk, [](const Snapshot& each) { return Count(each) == 0; }));
}

TEST_CASE("the queue is reordered and cancelled and survives") {
  const DataFolder data("queue");
  {
    Desk desk({data.path, {}}, {});
    GenerateSettings slow = Small(1);
    slow.steps = 500;
    desk.Post(Generate{slow});
    desk.Post(Generate{Small(2)});
    desk.Post(Generate{Small(3)});
    SnapshotPtr s = WaitFor(desk, [](const Snapshot& each) {
      return each.jobs->size() == 3 && each.jobs->front().step > 0;
    });
    REQUIRE(s != nullptr);
    CHECK(s->jobs->front().state == JobState::kRunning);
    const int64_t last = s->jobs->back().id;
    desk.Post(MoveJob{last, -1});
    REQUIRE(WaitFor(desk, [&](const Snapshot& each) { return (*each.jobs)[1].id == last; }));
    const auto begin = std::chrono::steady_clock::now();
    desk.Post(CancelJob{s->jobs->front().id});
    REQUIRE(WaitFor(desk, [](const Snapshot& each) { return Count(each) >= 1; }));
    // A whole run of 500 steps takes far longer.
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));
    s = WaitFor(desk, [](const Snapshot& each) { return each.jobs->empty(); });
    REQUIRE(s != nullptr);
    CHECK(s->pictures->back()->settings.seed == std::optional<uint64_t>(3));  // was moved up
    desk.Post(Generate{slow});
    desk.Post(Generate{Small(4)});
    REQUIRE(WaitFor(desk, [](const Snapshot& each) {
      return each.jobs->size() == 2 && each.jobs->front().step > 0;
    }));
  }
  Desk desk({data.path, {}}, {});
  SnapshotPtr s = WaitFor(desk, [](const Snapshot& each) { return each.jobs->size() == 2; });
  REQUIRE(s != nullptr);
  CHECK(s->engine.paused);  // what ran into trouble does not run into it again by itself
  CHECK_FALSE(s->messages->empty());
  desk.Post(CancelAllJobs{});
  REQUIRE(WaitFor(desk, [](const Snapshot& each) { return each.jobs->empty(); }));
}

TEST_CASE("wrong settings are answered with the reason and a fix") {
  const DataFolder data("check");
  Desk desk({data.path, {}}, {});
  const auto ask = [&](uint64_t version, const GenerateSettings& settings) {
    desk.Post(CheckSettings{version, settings});
    return WaitFor(desk, [&](const Snapshot& each) { return each.check->version == version; });
  };
  GenerateSettings settings = Small(1);
  settings.width = 100;
  SnapshotPtr s = ask(1, settings);
  REQUIRE(s != nullptr);
  CHECK_FALSE(s->check->ok);
  CHECK(s->check->problem_field == "width");
  CHECK(s->check->fix.width == 104);
  settings = Small(1);
  settings.attention = "no_such_operator";
  s = ask(2, settings);
  REQUIRE(s != nullptr);
  CHECK_FALSE(s->check->ok);
  CHECK(s->check->fix_label == "Use dense attention");
  CHECK(s->check->fix.attention.empty());
  settings = Small(1);
  settings.model = "no-such-model";
  s = ask(3, settings);
  REQUIRE(s != nullptr);
  CHECK_FALSE(s->check->ok);
  CHECK(s->check->problem.find("no-such-model") != std::string::npos);
  CHECK(s->check->fix.model.empty());
  settings = Small(1);
  settings.width = settings.height = 65536;
  s = ask(4, settings);
  REQUIRE(s != nullptr);
  CHECK_FALSE(s->check->ok);
  CHECK(s->check->problem.find("memory") != std::string::npos);
  s = ask(5, Small(1));
  REQUIRE(s != nullptr);
  CHECK(s->check->ok);
  CHECK(s->check->prompt.tokens.size() == 3);
}

TEST_CASE("a job that fails is a message and the next one runs") {
  const DataFolder data("fail");
  Desk desk({data.path, {}}, {});
  GenerateSettings wrong = Small(1);
  wrong.model = "no-such-model";
  desk.Post(Generate{wrong});
  desk.Post(Generate{Small(2)});
  const SnapshotPtr s = WaitFor(desk, [](const Snapshot& each) { return Count(each) == 1; });
  REQUIRE(s != nullptr);
  REQUIRE_FALSE(s->messages->empty());
  CHECK(s->messages->front().error);
  CHECK(s->messages->front().text.find("no-such-model") != std::string::npos);
}

TEST_CASE("two plans make two pictures that are compared") {
  const DataFolder data("compare");
  Desk desk({data.path, {}}, {});
  desk.Post(RunComparison{Small(1), "", "clear(r=2)"});
  const SnapshotPtr s = WaitFor(desk, [](const Snapshot& each) {
    return !each.comparisons->empty() && each.comparisons->front().difference != nullptr;
  });
  REQUIRE(s != nullptr);
  CHECK(s->comparisons->front().mean_difference > 0);
  CHECK(Count(*s) == 2);
  CHECK(s->pictures->front()->settings.attention == "clear(r=2)");
  CHECK(s->pictures->front()->settings.seed == s->pictures->back()->settings.seed);
  CHECK_FALSE(s->pictures->front()->uses.empty());
}

TEST_CASE("a tile map is drawn for an operator and a layer") {
  const DataFolder data("tiles");
  Desk desk({data.path, {}}, {});
  SnapshotPtr s = WaitFor(desk, [](const Snapshot& each) { return each.model != nullptr; });
  REQUIRE(s != nullptr);
  const SiteView site = s->model->sites.front();
  REQUIRE(site.kind == "self");
  desk.Post(ShowTileMap{"gna(window=3)", site.path});
  s = WaitFor(desk, [](const Snapshot& each) { return each.tile_map != nullptr; });
  REQUIRE(s != nullptr);
  CHECK(s->tile_map->refusal.empty());
  REQUIRE(s->tile_map->seen.size() == static_cast<size_t>(site.tokens));
  CHECK(std::count(s->tile_map->seen.begin(), s->tile_map->seen.end(), 1) == 9);
  desk.Post(ShowTileMap{"gna(window=0)", site.path});
  s = WaitFor(desk, [](const Snapshot& each) { return each.tile_map->op == "gna(window=0)"; });
  REQUIRE(s != nullptr);
  CHECK_FALSE(s->tile_map->refusal.empty());
}

TEST_CASE("a tile map of joint attention tells text from picture") {
  // As FLUX has it: text first. 70 tokens of text are two tiles, 16x16 of grid are four of 8x8.
  SiteView site;
  site.path = "transformer_blocks.0.attn";
  site.kind = "joint";
  site.rows = site.columns = 16;
  site.before = 70;
  site.tokens = 326;
  const TileMapView map = DescribeTileMap("gna(window=3)", site);
  CHECK(map.refusal.empty());
  REQUIRE(map.seen.size() == 256);
  CHECK(std::count(map.seen.begin(), map.seen.end(), 1) == 9);
  CHECK(map.seen[8 * 16 + 8] == 1);
  CHECK(map.text_tokens == 70);
  CHECK(map.text_seen == 70);
  REQUIRE(map.tiles == 6);
  CHECK(std::count(map.text_tiles.begin(), map.text_tiles.end(), 1) == 2);
  // Text after the grid, and more tiles than the picture has cells.
  site.before = 0;
  site.after = 70;
  site.rows = site.columns = 128;
  site.tokens = 128 * 128 + 70;
  const TileMapView large = DescribeTileMap("gna(window=3)", site);
  CHECK(large.tiles == 86);  // 258 tiles, three a cell
  CHECK(std::count(large.text_tiles.begin(), large.text_tiles.end(), 1) == 1);
}

TEST_CASE("history and window survive") {
  const DataFolder data("history");
  {
    Desk desk({data.path, {}}, {});
    REQUIRE(WaitFor(desk, [](const Snapshot&) { return true; }));
    desk.Post(KeepHistory{{Small(1), Small(2)}, 0});
    desk.Post(KeepWindow{"{\"dark\":false}"});
    desk.Post(CheckSettings{9, Small(1)});
    REQUIRE(WaitFor(desk, [](const Snapshot& each) { return each.check->version == 9; }));
  }
  Desk desk({data.path, {}}, {});
  const SnapshotPtr s = WaitFor(desk, [](const Snapshot&) { return true; });
  REQUIRE(s != nullptr);
  REQUIRE(s->start->history.size() == 2);
  CHECK(s->start->cursor == 0);
  CHECK(s->start->history[1].seed == std::optional<uint64_t>(2));
  CHECK(s->start->window == "{\"dark\":false}");
}

}  // namespace fovea
