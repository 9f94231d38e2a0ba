// The picture to start from and its mask, without a window.
#include <catch2/catch.hpp>

#include "tests/ui/headless.h"

namespace fovea {
namespace {

struct Studio : Headless {
  Studio() {
    snapshot = ReadySnapshot();
    Settle();
  }
  void Give(const std::string& digest, bool mask, uint64_t request, int width, int height) {
    auto given = std::make_shared<GivenView>();
    given->number = ++number;
    given->digest = digest;
    given->is_mask = mask;
    given->request = request;
    given->width = width;
    given->height = height;
    snapshot.given = given;
    Settle();
  }
  // What the desk says to the last question.
  void Answer(const ImagePtr& image, const ImagePtr& mask) {
    Settle();
    auto check = std::make_shared<CheckView>(*snapshot.check);
    check->version = state.version;
    check->image = image;
    check->mask = mask;
    snapshot.check = check;
    Settle();
  }
  uint64_t number = 0;
};

ImagePtr Grey(int width, int height) {
  return std::make_shared<Image>(
      Image{width, height, std::vector<uint8_t>(static_cast<size_t>(width * height * 3), 99)});
}

}  // namespace

TEST_CASE("a typed path asks for the picture which then is started from") {
  Studio studio;
  REQUIRE(studio.Press("start.path"));
  studio.Type("/tmp/cat.png");
  studio.Key(NamedKey(ImGuiKey_Enter));
  REQUIRE(studio.Sent<UsePictureFile>().size() == 1);
  CHECK(studio.Sent<UsePictureFile>()[0].path == "/tmp/cat.png");
  studio.Give("160x96-0123456789abcdef", false, 0, 160, 96);
  CHECK(studio.state.draft.image == "160x96-0123456789abcdef");
  CHECK(studio.state.draft.width == 160);
  CHECK(studio.state.draft.height == 96);
  studio.Answer(Grey(160, 96), nullptr);
  REQUIRE(studio.Press("start.strength"));
  CHECK(studio.state.draft.strength > 0.4);
  REQUIRE(studio.Press("start.remove"));
  CHECK(studio.state.draft.image.empty());
  CHECK(studio.state.draft.strength < 0);
  CHECK(studio.Has("start.path"));
}

TEST_CASE("a large picture is made about as large as the model was trained on") {
  Studio studio;
  studio.Give("4000x2000-0123456789abcdef", false, 0, 4000, 2000);
  CHECK(studio.state.draft.width == 176);
  CHECK(studio.state.draft.height == 96);
}

TEST_CASE("pictures of the gallery and of the canvas can be started from") {
  Studio studio;
  REQUIRE(studio.Press("canvas.start"));
  REQUIRE(studio.Sent<UseKeptPicture>().size() == 1);
  CHECK(studio.Sent<UseKeptPicture>()[0].id == 2);
  REQUIRE(studio.Press("tab.gallery"));
  REQUIRE(studio.Press("gallery.1"));
  REQUIRE(studio.Press("gallery.start"));
  CHECK(studio.Sent<UseKeptPicture>().back().id == 1);
  studio.Give("128x128-0123456789abcdef", false, 0, 128, 128);
  CHECK(studio.state.tab == Tab::kCreate);
  CHECK(studio.state.show_start);
}

TEST_CASE("a mask is painted and erased and inverted and undone and cleared") {
  Studio studio;
  studio.Give("128x128-0123456789abcdef", false, 0, 128, 128);
  studio.Answer(Grey(128, 128), nullptr);
  REQUIRE(studio.Drag("mask.area", 0.25f, 0.5f, 0.75f, 0.5f));
  REQUIRE(studio.Sent<KeepMask>().size() == 1);
  const KeepMask painted = studio.Sent<KeepMask>()[0];
  REQUIRE(painted.mask != nullptr);
  CHECK(painted.mask->width == 128);
  CHECK(painted.mask->rgb[(64 * 128 + 64) * 3] == 255);
  CHECK(painted.mask->rgb[(10 * 128 + 64) * 3] == 0);
  // An answer to an older question is not taken.
  studio.Give("128x128-000000000000dead", true, painted.request - 1, 128, 128);
  CHECK(studio.state.draft.mask.empty());
  studio.Give("128x128-00000000000000aa", true, painted.request, 128, 128);
  CHECK(studio.state.draft.mask == "128x128-00000000000000aa");
  studio.Answer(Grey(128, 128), painted.mask);
  CHECK(studio.state.mask.white[64 * 128 + 64] == 1);

  // The right button erases.
  REQUIRE(studio.Drag("mask.area", 0.25f, 0.5f, 0.75f, 0.5f, 1));
  CHECK(studio.state.mask.white[64 * 128 + 64] == 0);
  CHECK(studio.state.draft.mask.empty());  // nothing is left
  studio.Answer(Grey(128, 128), nullptr);

  // Undo brings the settings back, and what is painted follows them.
  REQUIRE(studio.Press("mask.undo"));
  CHECK(studio.state.draft.mask == "128x128-00000000000000aa");
  studio.Answer(Grey(128, 128), painted.mask);
  CHECK(studio.state.mask.white[64 * 128 + 64] == 1);

  REQUIRE(studio.Press("mask.invert"));
  CHECK(studio.state.mask.white[64 * 128 + 64] == 0);
  CHECK(studio.state.mask.white[0] == 1);
  CHECK(studio.Sent<KeepMask>().back().mask->rgb[0] == 255);
  studio.Give("128x128-00000000000000bb", true, studio.Sent<KeepMask>().back().request, 128, 128);
  studio.Answer(Grey(128, 128), studio.Sent<KeepMask>().back().mask);
  REQUIRE(studio.Press("mask.clear"));
  CHECK(IsEmpty(studio.state.mask));
  CHECK(studio.state.draft.mask.empty());
  REQUIRE(studio.Press("mask.tool.1"));
  CHECK(studio.state.erases);
}

TEST_CASE("generate shows the result") {
  Studio studio;
  studio.Give("128x128-0123456789abcdef", false, 0, 128, 128);
  studio.Answer(Grey(128, 128), nullptr);
  CHECK(studio.state.show_start);
  REQUIRE(studio.Press("create.generate"));
  CHECK(studio.Sent<Generate>().back().settings.image == "128x128-0123456789abcdef");
  CHECK_FALSE(studio.state.show_start);
  REQUIRE(studio.Press("canvas.view.1"));
  CHECK(studio.state.show_start);
}

}  // namespace fovea
