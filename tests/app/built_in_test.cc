// The built-in models that no other test paints with.
#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include "pipelines/pictures/formats/png_file.h"
#include "tests/support/cli_checks.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

using nlohmann::json;

// Mean of a channel over the middle quarter of a picture.
double Middle(const Image& picture, int channel) {
  double sum = 0;
  int count = 0;
  for (int y = picture.height / 4; y < picture.height * 3 / 4; ++y) {
    for (int x = picture.width / 4; x < picture.width * 3 / 4; ++x, ++count) {
      sum += picture.rgb[size_t{3} * static_cast<size_t>(y * picture.width + x) +
                         static_cast<size_t>(channel)];
    }
  }
  return sum / count;
}

TEST_CASE(
    "still-life-dit paints the colour that is asked for, with any operator on its joint sites") {
  const TempDir temp;
  const auto paint = [&](const std::string& prompt, const std::string& plan, const char* name) {
    CheckDone(RunFovea({"generate", "-m", "still-life-dit", "-p", prompt, "-s", "3", "--steps", "8",
                        "--attention", plan, "-o", temp / name}));
    return ReadPng(temp / name);
  };
  const Image red = paint("a large red matte sphere on a table", "dense", "red.png");
  const Image green = paint("a large green matte sphere on a table", "dense", "green.png");
  CHECK(Middle(red, 0) > Middle(red, 1) + 20);
  CHECK(Middle(green, 1) > Middle(green, 0) + 20);
  for (const char* plan : {"clear(r=4)", "gna(window=5)", "window", "radial(model=2d,tile=2x2)",
                           "agent(agents=4x4)"}) {
    INFO(plan);
    const Image local = paint("a large red matte sphere on a table", plan, "local.png");
    CHECK(local.rgb != red.rgb);
    CHECK(Middle(local, 0) > Middle(local, 1) + 10);
  }
}

TEST_CASE("still-life-dit is looked into: concepts of its joint attention") {
  const TempDir temp;
  CheckDone(RunFovea({"inspect", "-m", "still-life-dit", "-p", "a red cube on a table", "-s", "2",
                      "--sampling-steps", "4", "--maps", "concepts", "--words", "cube,table", "-o",
                      temp / "maps"}));
  const json manifest = json::parse(ReadBytes(temp / "maps/manifest.json"));
  CHECK(manifest.at("files").size() >= 2);
}

}  // namespace
}  // namespace fovea
