#include "ui/window/draw_damage.h"

#include <catch2/catch.hpp>

#include "tests/ui/headless.h"

namespace fovea {
namespace {

struct Drawn : Headless {
  Drawn() {
    snapshot = ReadySnapshot();
    Settle();
  }
  std::vector<PixelRect> Update() {
    Draw();
    return damage.Update(*ImGui::GetDrawData(), 1440, 900);
  }
  DrawDamage damage;
};

bool Covers(const std::vector<PixelRect>& rects, const WidgetRect& w) {
  for (const PixelRect& r : rects) {
    if (static_cast<float>(r.left) <= w.x && static_cast<float>(r.top) <= w.y &&
        static_cast<float>(r.right) >= w.x + w.width &&
        static_cast<float>(r.bottom) >= w.y + w.height) {
      return true;
    }
  }
  return false;
}

}  // namespace

TEST_CASE("the first frame is drawn whole and the same one not again") {
  Drawn window;
  const auto first = window.Update();
  REQUIRE(first.size() == 1);
  CHECK(first[0].Area() == 1440 * 900);
  CHECK(window.Update().empty());
  window.damage.Reset();
  CHECK(window.Update().size() == 1);
  window.Draw();
  CHECK(window.damage.Update(*ImGui::GetDrawData(), 720, 450)[0].Area() == 720 * 450);
}

TEST_CASE("a button under the mouse alone is drawn again") {
  Drawn window;
  window.Update();
  const WidgetRect button = window.widgets.at("create.size.256");
  ImGui::GetIO().MousePos = {button.x + button.width / 2, button.y + button.height / 2};
  window.Update();
  ImGui::GetIO().MousePos = {-FLT_MAX, -FLT_MAX};
  window.Update();
  CHECK(window.Update().empty());
  // Without its tip, which is much larger.
  window.state.draft.batch = 3;
  const auto rects = window.Update();
  REQUIRE_FALSE(rects.empty());
  int64_t area = 0;
  for (const PixelRect& rect : rects) area += rect.Area();
  CHECK(area < 1440 * 900 / 10);
}

TEST_CASE("a changed picture is drawn again where it stands and rectangles are disjoint") {
  Drawn window;
  window.Update();
  window.snapshot.opened = std::make_shared<Image>(Image{1, 2, {1, 2, 3, 4, 5, 6}});
  JobView job;
  job.id = 1;
  job.state = JobState::kRunning;
  job.steps = 10;
  window.snapshot.jobs = std::make_shared<std::vector<JobView>>(std::vector<JobView>{job});
  window.snapshot.preview = std::make_shared<Image>(Image{2, 1, {1, 2, 3, 4, 5, 6}});
  const auto rects = window.Update();
  const WidgetRect cancel = window.widgets.at("create.cancel");
  CHECK(Covers(rects, cancel));
  CHECK(rects.size() <= 8);
  for (size_t i = 0; i < rects.size(); ++i) {
    CHECK((rects[i].left >= 0 && rects[i].top >= 0));
    CHECK((rects[i].right <= 1440 && rects[i].bottom <= 900));
    for (size_t j = 0; j < i; ++j) {
      const bool apart = rects[i].left >= rects[j].right || rects[j].left >= rects[i].right ||
                         rects[i].top >= rects[j].bottom || rects[j].top >= rects[i].bottom;
      CHECK(apart);
    }
  }
}

TEST_CASE("drawing is clipped to the rectangles") {
  Drawn window;
  window.Draw();
  ImDrawData& data = *ImGui::GetDrawData();
  ClipTo({{10, 20, 30, 40}, {500, 500, 600, 520}}, &data);
  int commands = 0;
  for (int l = 0; l < data.CmdListsCount; ++l) {
    for (const ImDrawCmd& cmd : data.CmdLists[l]->CmdBuffer) {
      ++commands;
      const bool first = cmd.ClipRect.x >= 10 && cmd.ClipRect.z <= 30 && cmd.ClipRect.y >= 20 &&
                         cmd.ClipRect.w <= 40;
      const bool second = cmd.ClipRect.x >= 500 && cmd.ClipRect.z <= 600 && cmd.ClipRect.y >= 500 &&
                          cmd.ClipRect.w <= 520;
      CHECK((first || second));
    }
  }
  CHECK(commands > 0);
}

}  // namespace fovea
