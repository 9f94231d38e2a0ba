// Pictures to start from and masks, from the file to the picture that is made.
#include <catch2/catch.hpp>

#include "app/studio/inputs.h"
#include "pipelines/pictures/formats/png_file.h"
#include "pipelines/pictures/picture_file.h"
#include "tensor/error.h"
#include "tests/studio/desk_support.h"

namespace fovea {
namespace {

Image Ramp(int width, int height) {
  Image image{width, height, {}};
  for (int i = 0; i < width * height * 3; ++i) {
    image.rgb.push_back(static_cast<uint8_t>(i * 7 % 256));
  }
  return image;
}

}  // namespace

TEST_CASE("an input is kept under its digest and read back and forgotten") {
  const DataFolder data("inputs");
  Inputs inputs(data.path / "inputs");
  const Image image = Ramp(9, 5);
  const std::string digest = inputs.Keep(image);
  CHECK(digest == PictureDigest(image));
  CHECK(inputs.Read(digest, "image")->rgb == image.rgb);
  CHECK(inputs.Read("", "image") == nullptr);
  CHECK(Inputs(data.path / "inputs").Read(digest, "image")->rgb == image.rgb);
  CHECK_THROWS_AS(inputs.Read("9x5-0123456789abcdef", "image"), Error);
  CHECK_THROWS_AS(inputs.Read("../../etc/passwd", "image"), Error);
  WritePng(data.path / "inputs" / (digest + ".png"), Ramp(3, 3), {});
  CHECK_THROWS_AS(Inputs(data.path / "inputs").Read(digest, "mask"), Error);
  inputs.ForgetOthers({digest});
  CHECK(fs::exists(data.path / "inputs" / (digest + ".png")));
  inputs.ForgetOthers({});
  CHECK_FALSE(fs::exists(data.path / "inputs" / (digest + ".png")));
}

TEST_CASE("a dropped picture and a painted mask are started from and kept with the result") {
  const DataFolder data("start");
  const Image given = Ramp(96, 64);
  fs::create_directories(data.path);
  WritePng(data.path / "a b.png", given, {});
  GenerateSettings settings = Small(3);
  settings.width = 96;
  {
    Desk desk({data.path, {}}, {});
    desk.Post(UsePictureFile{"file://" + data.path.string() + "/a%20b.png\n"});
    SnapshotPtr s = WaitFor(desk, [](const Snapshot& each) { return each.given != nullptr; });
    REQUIRE(s != nullptr);
    CHECK(s->given->digest == PictureDigest(given));
    CHECK((s->given->width == 96 && !s->given->is_mask));
    settings.image = s->given->digest;
    // The left half is made anew.
    auto mask = std::make_shared<Image>(Image{2, 1, {255, 255, 255, 0, 0, 0}});
    desk.Post(KeepMask{7, mask});
    s = WaitFor(desk, [](const Snapshot& each) { return each.given->is_mask; });
    REQUIRE(s != nullptr);
    CHECK(s->given->request == 7);
    settings.mask = s->given->digest;
    desk.Post(CheckSettings{5, settings});
    s = WaitFor(desk, [](const Snapshot& each) { return each.check->version == 5; });
    REQUIRE(s != nullptr);
    CHECK(s->check->ok);
    REQUIRE((s->check->image != nullptr && s->check->mask != nullptr));
    CHECK(s->check->image->rgb == given.rgb);
    desk.Post(Generate{settings});
    s = WaitFor(desk, [](const Snapshot& each) { return Count(each) == 1; });
    REQUIRE(s != nullptr);
    const PictureView& made = *s->pictures->front();
    CHECK(made.settings.image == settings.image);
    CHECK(made.settings.mask == settings.mask);
    CHECK(made.settings.strength == 1);
    // What the mask keeps is the given picture, to the bit, away from the seam.
    const Image result = ReadPng(made.file);
    REQUIRE(result.width == 96);
    const auto at = static_cast<size_t>((10 * 96 + 90) * 3);
    CHECK(result.rgb[at] == given.rgb[at]);
    int changed = 0;
    for (size_t i = 0; i < 40 * 3; ++i) changed += result.rgb[i] != given.rgb[i] ? 1 : 0;
    CHECK(changed > 60);
  }
  // After a restart the picture's settings run again, and a picture of the gallery is started from.
  Desk desk({data.path, {}}, {});
  SnapshotPtr s = WaitFor(desk, [](const Snapshot& each) { return Count(each) == 1; });
  REQUIRE(s != nullptr);
  const GenerateSettings again = s->pictures->front()->settings;
  desk.Post(CheckSettings{6, again});
  s = WaitFor(desk, [](const Snapshot& each) { return each.check->version == 6; });
  REQUIRE(s != nullptr);
  CHECK(s->check->ok);
  desk.Post(UseKeptPicture{s->pictures->front()->id});
  s = WaitFor(desk, [](const Snapshot& each) { return each.given != nullptr; });
  REQUIRE(s != nullptr);
  CHECK(s->given->digest != settings.image);
  desk.Post(Generate{again});
  s = WaitFor(desk, [](const Snapshot& each) { return Count(each) == 2; });
  REQUIRE(s != nullptr);
  CHECK(ReadPng(s->pictures->front()->file).rgb == ReadPng(s->pictures->back()->file).rgb);

  // A picture that is nowhere, and a file that is none.
  GenerateSettings lost = again;
  lost.image = "96x64-0123456789abcdef";
  desk.Post(CheckSettings{8, lost});
  s = WaitFor(desk, [](const Snapshot& each) { return each.check->version == 8; });
  REQUIRE(s != nullptr);
  CHECK_FALSE(s->check->ok);
  CHECK(s->check->problem_field == "image");
  CHECK(s->check->fix_label == "Start from noise");
  CHECK((s->check->fix.image.empty() && s->check->fix.mask.empty()));
  desk.Post(Generate{lost});
  s = WaitFor(desk, [](const Snapshot& each) { return !each.messages->empty(); });
  REQUIRE(s != nullptr);
  CHECK(s->messages->back().text.find("96x64-0123456789abcdef") != std::string::npos);
  desk.Post(UsePictureFile{"/no/such/file.png"});
  s = WaitFor(desk, [](const Snapshot& each) { return each.messages->size() == 2; });
  REQUIRE(s != nullptr);
  CHECK(s->messages->back().error);
}

}  // namespace fovea
