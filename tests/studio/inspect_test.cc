// What the window is told of a picture's heads is what `fovea inspect` says of the same run.
#include <chrono>
#include <cstdio>

#include <catch2/catch.hpp>

#include "app/engine/model_access.h"
#include "app/flags/common_flags.h"
#include "app/studio/desk.h"
#include "app/studio/kept_source.h"
#include "attention/attention_runtime.h"
#include "pipelines/inspect/inspect.h"
#include "pipelines/pictures/picture_file.h"
#include "pipelines/vision/find_tower.h"
#include "tensor/make_backend.h"
#include "tests/studio/desk_support.h"
#include "tests/support/operator_case.h"
#include "ui/inspect_maps.h"

namespace fovea {
namespace {

// The command, not the function of pipelines/inspect.
using Look = struct InspectPicture;

bool Looked(const Snapshot& each, int step) {
  const InspectView* view = each.inspect.get();
  return view != nullptr && !view->busy && (view->step == step || !view->problem.empty());
}

}  // namespace

TEST_CASE("the value under the mouse is the one that inspect writes", "[golden]") {
  const DataFolder data("inspect");
  Desk desk({data.path, {}}, {});
  GenerateSettings settings = Small(11);
  settings.steps = 3;
  settings.attention = "down_blocks.*attn1: clear(r=2); mid_block.*attn1: agent";
  desk.Post(Generate{settings});
  SnapshotPtr s = WaitFor(desk, [](const Snapshot& each) { return Count(each) == 1; });
  REQUIRE(s != nullptr);
  const GenerateSettings resolved = s->pictures->front()->settings;
  const int64_t id = s->pictures->front()->id;

  const auto backend = MakeBackend(DeviceKind::kCpu);
  const auto pipeline = TextToImage::Load(ModelAccess{}.Open(resolved), *backend);
  for (const int step : {2, 0}) {
    desk.Post(Look{id, step});
    s = WaitFor(desk, [&](const Snapshot& each) { return Looked(each, step); });
    REQUIRE(s != nullptr);
    INFO(s->inspect->problem);
    REQUIRE(s->inspect->source != nullptr);
    CHECK(s->inspect->steps == 3);
    CHECK(s->inspect->kept_bytes > 0);
    CHECK(s->inspect->source->Halves() == 2);
    const AttentionSource& source = *s->inspect->source;
    int compared = 0;
    for (size_t i = 0; i < source.Layers().size(); ++i) {
      const InspectLayer& layer = source.Layers()[i];
      if (layer.key_begin < 0 || compared >= 10) continue;
      ++compared;
      const int head = static_cast<int>(i) % layer.heads;
      const int row = static_cast<int>(5 * i + 1) % layer.rows,
                column = static_cast<int>(3 * i) % layer.columns;
      InspectRequest request;
      request.kinds = {"rows"};
      request.selection.layers = {layer.path};
      request.selection.heads = {{head, head}};
      request.selection.steps = {ParseStepRange(std::to_string(step))};
      // On the finest grid of the model, as the flag has it.
      request.query = {row * 16 / (2 * layer.rows), column * 16 / (2 * layer.columns)};
      Generated generated;
      const Inspection told = InspectRun(*pipeline, resolved, {}, request, {}, &generated);
      REQUIRE(told.maps.size() == 1);
      const HeatMap& map = told.maps[0].map;
      REQUIRE(map.height == layer.key_rows);
      // The same place, as a share of the picture: the middle of the flag's cell.
      const InspectPlace place{(static_cast<float>(request.query->second) + 0.5f) / 8,
                               (static_cast<float>(request.query->first) + 0.5f) / 8};
      std::vector<float> own(static_cast<size_t>(layer.keys));
      source.Row(static_cast<int>(i), 0, head, TokenAt(layer, place), own);
      for (size_t k = 0; k < map.values.size(); ++k) {
        INFO(layer.path << " head " << head << " step " << step << " key " << k);
        CHECK(own[static_cast<size_t>(layer.key_begin) + k] == Approx(map.values[k]).margin(1e-6));
      }
    }
    CHECK(compared > 2);
  }
  // Asked again, the first step is at hand.
  desk.Post(Look{id, 2});
  CHECK(WaitFor(desk, [](const Snapshot& each) { return Looked(each, 2); }) != nullptr);
}

TEST_CASE("a Vision Transformer looks at a picture of the gallery and at a file") {
  const DataFolder data("inspect-vit");
  Desk desk({data.path, {}}, {});
  desk.Post(Generate{Small(12)});
  SnapshotPtr s = WaitFor(desk, [](const Snapshot& each) { return Count(each) == 1; });
  REQUIRE(s != nullptr);
  const std::string file = s->pictures->front()->file;
  desk.Post(InspectByVit{"'" + file + "'", 0, ""});
  s = WaitFor(desk, [](const Snapshot& each) { return Looked(each, 0); });
  REQUIRE(s != nullptr);
  INFO(s->inspect->problem);
  REQUIRE(s->inspect->source != nullptr);
  CHECK(s->inspect->vit);
  REQUIRE(s->inspect->maps.size() >= 3);

  const auto backend = MakeBackend(DeviceKind::kCpu);
  ModelFlags flags;
  const ModelFolder folder = flags.Open("still-life-clip");
  const auto model = PictureModel::Load(FindPictureComponent(folder, std::nullopt), *backend);
  InspectRequest request;
  request.kinds = {"rollout"};
  const Inspection told = InspectPicture(*model, *backend, ReadPicture(file), request, {});
  for (const InspectMap& each : s->inspect->maps) {
    if (each.name == "rollout") CHECK(each.values == told.maps[0].map.values);
  }
  desk.Post(InspectByVit{"/nowhere/at/all.png", 0, ""});
  REQUIRE(WaitFor(desk, [](const Snapshot& each) { return !each.messages->empty(); }));
}

// A layer of FLUX's size: 4096 tokens of picture, 512 of text, 24 heads of 128.
TEST_CASE("how long the hover of a large layer takes", "[.measure]") {
  const TokenLayout layout{{SegmentKind::kText, 0, 512, {1, 1, 1}},
                           {SegmentKind::kGrid, 512, 4096, {1, 64, 64}}};
  const std::vector<AttentionSite> sites{{"block.0.attn", 0, SiteKind::kJoint, 24, 128, layout}};
  AttentionSpec spec;
  spec.heads = 24, spec.head_dim = 128;
  spec.q = spec.kv = layout;
  const auto backend = MakeBackend(DeviceKind::kCpu);
  Arena arena(*backend, size_t{64} << 20);
  Context ctx{*backend, arena};
  const HostTensor q = RandomNormal({1, 4608, 24, 128}, 1), k = RandomNormal({1, 4608, 24, 128}, 2);
  const HostTensor v = RandomNormal({1, 4608, 24, 128}, 3);
  HostTensor out({1, 4608, 24, 128}, DType::kF32);
  struct Keeper final : AttentionListener {
    void Attended(Context& own, const AttentionCall& call) override {
      kept.push_back(std::make_shared<const KeptAttention>(own, call));
    }
    std::vector<std::shared_ptr<const KeptAttention>> kept;
  } keeper;
  AttentionRuntime runtime(AttentionPlan::Parse(""), sites, 1, {1});
  runtime.SetListeners({&keeper});
  runtime.BeginStep(0, 1);
  runtime.Attend(ctx, sites[0], spec, {q.View(), k.View(), v.View(), out.View()});
  InspectView view;
  view.source = std::make_shared<KeptSource>(ctx, keeper.kept, std::vector<int>{0});
  view.words = {{"word", {3, 4}}};
  InspectState state;
  std::vector<double> hover, word;
  for (int i = 0; i < 31; ++i) {
    state.word = -1;
    state.place = {0.013f * static_cast<float>(i), 0.5f};
    UpdateInspectMaps(view, &state);
    hover.push_back(state.row_ms);
    state.word = 0;
    state.colours = i % 5;
    UpdateInspectMaps(view, &state);
    word.push_back(state.row_ms);
  }
  std::sort(hover.begin(), hover.end());
  std::sort(word.begin(), word.end());
  std::printf("hover, 24 heads of 4608 keys: median %.1f ms, largest %.1f; a word: %.1f ms\n",
              hover[15], hover[30], word[15]);
  CHECK(hover[15] < 100);
}

}  // namespace fovea
