// The Inspect panel without a window: what the mouse asks is answered in the same frame.
#include <cmath>

#include <catch2/catch.hpp>

#include "tests/ui/headless.h"
#include "ui/colour_maps.h"
#include "ui/inspect_maps.h"

namespace fovea {
namespace {

// Two layers: one on a grid of 4x4 whose head h looks at the query itself, h cells further; one
// whose keys are three words.
class Known final : public AttentionSource {
 public:
  Known() {
    InspectLayer grid;
    grid.path = "down_blocks.0.attentions.0.transformer_blocks.0.attn1";
    grid.kind = "self";
    grid.heads = 3;
    grid.rows = grid.columns = grid.key_rows = grid.key_columns = 4;
    grid.queries = grid.keys = 16;
    grid.key_begin = 0;
    grid.numbers = {{0.5f, 1, 0.1f}, {0.1f, 2, 0.3f}, {0.9f, 3, 0.2f}};
    InspectLayer words = grid;
    words.path = "down_blocks.0.attentions.0.transformer_blocks.0.attn2";
    words.kind = "cross";
    words.heads = 2;
    words.keys = 3;
    words.key_begin = -1;
    words.key_rows = words.key_columns = 0;
    words.text = {{0, 3}};
    words.numbers = {{0.2f, NAN, 0.5f}, {0.3f, NAN, 0.6f}};
    layers_ = {grid, words};
  }
  const std::vector<InspectLayer>& Layers() const override { return layers_; }
  int Halves() const override { return 2; }
  void Row(int layer, int half, int head, int query, std::span<float> row) const override {
    std::fill(row.begin(), row.end(), 0.0f);
    if (layer == 0) row[static_cast<size_t>((query + head + 4 * half) % 16)] = 1;
    if (layer == 1) row[static_cast<size_t>(query % 3)] = 1;
    ++rows;
  }
  void Columns(int layer, int, int, std::span<const int32_t> keys,
               std::span<float> map) const override {
    REQUIRE(layer == 1);
    for (size_t i = 0; i < map.size(); ++i) map[i] = i % 3 == static_cast<size_t>(keys[0]) ? 1 : 0;
  }
  mutable int rows = 0;

 private:
  std::vector<InspectLayer> layers_;
};

struct Studio : Headless {
  Studio() {
    snapshot = ReadySnapshot();
    auto shown = std::make_shared<InspectView>();
    shown->picture = 2;
    shown->image = std::make_shared<Image>(Image{4, 4, std::vector<uint8_t>(48, 99)});
    shown->step = 2;
    shown->steps = 5;
    shown->source = source;
    shown->words = {{"red", {0}}, {"cube", {1}}};
    shown->budget_bytes = 1000;
    view = shown;
    snapshot.inspect = view;
    state.tab = Tab::kInspect;
    state.inspect.layer = 0;
    Settle();
  }
  // The mouse on a place of the picture, in cells of 4x4.
  void Point(int row, int column) {
    const WidgetRect rect = widgets.at("inspect.area");
    ImGui::GetIO().MousePos = {rect.x + rect.width * (static_cast<float>(column) + 0.5f) / 4,
                               rect.y + rect.height * (static_cast<float>(row) + 0.5f) / 4};
    Draw();
  }
  std::shared_ptr<Known> source = std::make_shared<Known>();
  std::shared_ptr<InspectView> view;
};

}  // namespace

TEST_CASE("the row of the place under the mouse is there in the frame of its move") {
  Studio studio;
  studio.Settle();
  studio.state.inspect.fusion = HeadChoice::kOne;
  studio.state.inspect.head = 1;
  studio.Point(1, 2);
  const InspectState& state = studio.state.inspect;
  REQUIRE(state.main.maps.size() == 1);
  CHECK(state.main.maps[0][1 * 4 + 2 + 1] == 1);
  REQUIRE(state.main.sheet != nullptr);
  REQUIRE(state.tiles.maps.size() == 3);  // every head is live
  CHECK(state.tiles.maps[2][1 * 4 + 2 + 2] == 1);
  // Nothing is computed again while nothing changes.
  const int rows = studio.source->rows;
  studio.Draw();
  CHECK(studio.source->rows == rows);
  studio.state.inspect.half = 1;
  studio.Draw();
  CHECK(state.main.maps[0][2 * 4 + 2 + 1] == 1);
  studio.state.inspect.fusion = HeadChoice::kMean;
  studio.Draw();
  CHECK(state.main.maps[0][2 * 4 + 2 + 1] == Approx(1 / 3.0));
  studio.state.inspect.fusion = HeadChoice::kMax;
  studio.Draw();
  CHECK(state.main.maps[0][2 * 4 + 2 + 2] == 1);
}

TEST_CASE("places are pinned by clicks and let go") {
  Studio studio;
  for (const int column : {0, 3}) {
    studio.Point(2, column);
    ImGui::GetIO().MouseDown[0] = true;
    studio.Draw();
    ImGui::GetIO().MouseDown[0] = false;
    studio.Draw();
  }
  REQUIRE(studio.state.inspect.pins.size() == 2);
  studio.Settle();
  CHECK(studio.state.inspect.pinned.maps.size() == 2);
  REQUIRE(studio.Press("inspect.pin.0"));
  CHECK(studio.state.inspect.pins.size() == 1);
  REQUIRE(studio.Press("inspect.unpin"));
  CHECK(studio.state.inspect.pins.empty());
}

TEST_CASE("words show their maps under the mouse and keep them when pressed") {
  Studio studio;
  REQUIRE(studio.Press("inspect.layer.1"));
  CHECK(studio.state.inspect.layer == 1);
  studio.Settle();
  const WidgetRect rect = studio.widgets.at("inspect.word.1");
  ImGui::GetIO().MousePos = {rect.x + rect.width / 2, rect.y + rect.height / 2};
  studio.Draw();
  REQUIRE(studio.state.inspect.main.maps.size() == 1);
  CHECK(studio.state.inspect.main.maps[0][1] == 1);
  CHECK(studio.state.inspect.main.maps[0][0] == 0);
  REQUIRE(studio.Press("inspect.word.0"));
  studio.Settle();
  CHECK(studio.state.inspect.main.maps[0][0] == 1);
  // A layer that sees no words shows the place, although a word is kept.
  studio.state.inspect.layer = 0;
  studio.Draw();
  CHECK(studio.state.inspect.main.maps.size() == 1);
}

TEST_CASE("layers and heads are sorted by their numbers and chosen, and tiles choose, too") {
  Studio studio;
  REQUIRE(studio.Press("inspect.list.1"));
  studio.state.inspect.sorted_by = 0;
  REQUIRE(studio.Press("inspect.sort.1"));
  REQUIRE(studio.Press("inspect.layer.0"));
  CHECK(studio.state.inspect.layer == 0);
  CHECK(studio.state.inspect.head == 1);  // entropy 0.1
  CHECK(studio.state.inspect.fusion == HeadChoice::kOne);
  REQUIRE(studio.Press("inspect.tile.2"));
  CHECK(studio.state.inspect.head == 2);
  REQUIRE(studio.Press("inspect.tile.2"));
  CHECK(studio.state.inspect.fusion == HeadChoice::kMean);
  REQUIRE(studio.Press("inspect.tiles.1"));
  studio.Settle();
  CHECK(studio.state.inspect.tiles.maps.size() == 2);
  REQUIRE(studio.Press("inspect.tile.1"));
  CHECK(studio.state.inspect.layer == 1);
}

TEST_CASE("steps are asked for by the slider and by play") {
  Studio studio;
  REQUIRE(studio.Press("inspect.step"));
  REQUIRE(!studio.Sent<InspectPicture>().empty());
  CHECK(studio.Sent<InspectPicture>().back().id == 2);
  studio.Forget();
  studio.state.inspect.asked_step = -1;
  REQUIRE(studio.Press("inspect.play"));
  REQUIRE(!studio.Sent<InspectPicture>().empty());
  CHECK(studio.Sent<InspectPicture>().front().step == 3);
}

TEST_CASE("a Vision Transformer is chosen and given pictures") {
  Studio studio;
  studio.snapshot.models = std::make_shared<std::vector<ModelChoice>>(std::vector<ModelChoice>{
      {"", "still-life-unet", "built in", false}, {"/m/vit", "vit", "/m", true}});
  REQUIRE(studio.Press("inspect.picture"));
  REQUIRE(studio.Sent<InspectPicture>().size() == 1);
  CHECK(studio.Sent<InspectPicture>()[0].step == -1);
  REQUIRE(studio.Press("inspect.model"));
  REQUIRE(studio.Press("inspect.model.1"));
  REQUIRE(studio.Press("inspect.picture"));
  REQUIRE(studio.Sent<InspectByVit>().size() == 1);
  CHECK(studio.Sent<InspectByVit>()[0].model == "/m/vit");
  REQUIRE(studio.Press("inspect.path"));
  studio.Type("/tmp/cat.png");
  studio.Key(NamedKey(ImGuiKey_Enter));
  CHECK(studio.Sent<InspectByVit>().back().path == "/tmp/cat.png");
}

TEST_CASE("maps are scaled by their maximum, by percentiles, together, and by rank") {
  const std::vector<float> map{0, 1, 2, 4};
  CHECK(Scaled(map, MapScale::kMost, 8) == std::vector<float>{0, 0.25f, 0.5f, 1});
  CHECK(Scaled(map, MapScale::kShared, 8) == std::vector<float>{0, 0.125f, 0.25f, 0.5f});
  CHECK(Scaled(map, MapScale::kRank, 8) == std::vector<float>{0.25f, 0.5f, 0.75f, 1});
  CHECK(Scaled({3, 3, 3}, MapScale::kRank, 8) == std::vector<float>{1, 1, 1});
  CHECK(Scaled({0, 0}, MapScale::kMost, 0) == std::vector<float>{0, 0});
  std::vector<float> many(100, 1.0f);
  many[0] = 0;
  many[99] = 1000;  // one cell does not darken all others
  CHECK(Scaled(many, MapScale::kPercentile, 0)[50] >= 0);
  CHECK(Scaled({}, MapScale::kPercentile, 0).empty());
  for (size_t i = 0; i < ColourMapNames().size(); ++i) {
    CHECK(MapColour(static_cast<int>(i), 0) != MapColour(static_cast<int>(i), 1));
    CHECK(MapColour(static_cast<int>(i), NAN) == MapColour(static_cast<int>(i), 0));
  }
  const ImagePtr sheet = MakeSheet({map, {}, map}, 2, 2, 2, MapScale::kMost, 0);
  REQUIRE(sheet != nullptr);
  CHECK((sheet->width == 5 && sheet->height == 5));
}

}  // namespace fovea
