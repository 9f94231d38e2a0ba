// `fovea generate --image`, `--mask`, `--strength` and `--hires two-pass`: what comes out, what is
// remembered, and what is refused.
#include <algorithm>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "pipelines/pictures/formats/png_file.h"
#include "pipelines/pictures/picture_file.h"
#include "tests/support/cli_checks.h"
#include "tests/support/pipeline_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

using nlohmann::json;

Image Stripes(int width, int height) {
  Image image{width, height, {}};
  for (int i = 0; i < width * height; ++i) {
    for (int c = 0; c < 3; ++c) {
      image.rgb.push_back(static_cast<uint8_t>((i % width * 5 + i / width * 3 + c * 40) % 256));
    }
  }
  return image;
}

// White on the left, black on the right.
Image LeftHalf(int width, int height) {
  Image image{width, height, {}};
  for (int i = 0; i < width * height * 3; ++i) {
    image.rgb.push_back(i / 3 % width < width / 2 ? 255 : 0);
  }
  return image;
}

struct Tiny {
  TempDir temp;

  Tiny() {
    WritePipeline(temp / "tiny", Sd15SchedulerJson());
    WritePng(temp / "given.png", Stripes(75, 66), {});  // 72x64 for the model
    WritePng(temp / "mask.png", LeftHalf(40, 40), {});
  }

  ProgramResult Generate(std::vector<std::string> arguments) const {
    std::vector<std::string> words = {"generate", "-m", "tiny", "-p", "a cube"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    if (std::find(words.begin(), words.end(), "-s") == words.end()) {
      words.insert(words.end(), {"-s", "3"});
    }
    RunOptions here;
    here.folder = temp.Path();
    return RunFovea(words, here);
  }
  std::string Bytes(const char* name) const { return ReadBytes(temp / name); }
  json SettingsOf(const char* name) const {
    return json::parse(ReadPngText(temp / name).at("fovea")).at("settings");
  }
};

}  // namespace

TEST_CASE("image to image: size, settings, and the same again from the picture") {
  const Tiny tiny;
  CheckDone(tiny.Generate({"--image", "given.png", "--steps", "4", "-o", "a.png"}));
  const Image made = ReadPng(tiny.temp / "a.png");
  CHECK(made.width == 72);
  CHECK(made.height == 64);
  const json settings = tiny.SettingsOf("a.png");
  CHECK(settings.at("image") == PictureDigest(ReadPicture(tiny.temp / "given.png")));
  CHECK(settings.at("strength") == 0.8);
  CHECK(settings.at("mask") == "");
  CHECK(tiny.Bytes("a.png").find("given") == std::string::npos);

  CheckDone(tiny.Generate({"--from", "a.png", "--image", "given.png", "-o", "b.png"}));
  CHECK(tiny.Bytes("b.png") == tiny.Bytes("a.png"));
  CheckFails(tiny.Generate({"--from", "a.png", "-o", "c.png"}), 2,
             "a.png was made from another picture, 75x66-");
  WritePng(tiny.temp / "other.png", Stripes(75, 67), {});
  const ProgramResult other =
      tiny.Generate({"--from", "a.png", "--image", "other.png", "-o", "c.png"});
  CheckDone(other);
  CHECK(other.err.find("other.png is 75x67-") != std::string::npos);
  CHECK(tiny.Bytes("c.png") != tiny.Bytes("a.png"));
}

TEST_CASE("the stronger, the less is left of a picture") {
  const Tiny tiny;
  const Image given = ReadPicture(tiny.temp / "given.png");
  CheckDone(tiny.Generate({"--image", "given.png", "--strength", "0.25", "--steps", "4", "--json",
                           "--sampler", "heun", "-o", "a.png"}));
  CheckDone(tiny.Generate({"--image", "given.png", "--strength", "1", "--steps", "4", "--sampler",
                           "heun", "-o", "b.png"}));
  CHECK(tiny.Bytes("a.png") != tiny.Bytes("b.png"));
}

TEST_CASE("a batch from one picture is its pictures one by one", "[determinism]") {
  const Tiny tiny;
  const std::vector<std::string> both = {"--image",    "given.png", "--mask",  "mask.png",
                                         "--strength", "0.5",       "--steps", "4",
                                         "--sampler",  "euler_a"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), both.begin(), both.end());
    return more;
  };
  CheckDone(tiny.Generate(with({"-s", "3", "-b", "2", "-o", "batch/"})));
  CheckDone(tiny.Generate(with({"-s", "4", "-o", "second.png"})));
  CHECK(tiny.Bytes("batch/4-0001.png") == tiny.Bytes("second.png"));
}

TEST_CASE("what a mask keeps comes back pixel by pixel, unless that is off") {
  const Tiny tiny;
  WritePng(tiny.temp / "fits.png", Stripes(80, 64), {});
  const std::vector<std::string> common = {"--image",  "fits.png", "--mask",
                                           "mask.png", "--steps",  "3"};
  const auto generate = [&](std::vector<std::string> more, const char* name) {
    more.insert(more.begin(), common.begin(), common.end());
    more.insert(more.end(), {"-o", name});
    CheckDone(tiny.Generate(more));
    return ReadPng(tiny.temp / name);
  };
  const Image given = ReadPicture(tiny.temp / "fits.png");
  const Image pasted = generate({}, "on.png"), plain = generate({"--mask-paste", "off"}, "off.png");
  int kept = 0, changed = 0, same_left = 0;
  for (int y = 0; y < 64; ++y) {
    for (int x = 0; x < 80; ++x) {
      const size_t at = static_cast<size_t>(3 * (y * 80 + x));
      if (x >= 48) {
        kept += pasted.rgb[at] == given.rgb[at] ? 1 : 0;
        changed += plain.rgb[at] != given.rgb[at] ? 1 : 0;
      } else if (x < 40) {
        same_left += pasted.rgb[at] == plain.rgb[at] ? 1 : 0;
      }
    }
  }
  CHECK(kept == 64 * 32);
  CHECK(changed > 64 * 16);
  CHECK(same_left == 64 * 40);
}

TEST_CASE("two passes are two runs, one after the other") {
  const Tiny tiny;
  const ProgramResult result =
      tiny.Generate({"--hires", "two-pass=2,0.5", "-W", "144", "-H", "128", "--steps", "4",
                     "--sampler", "dpmpp_2m", "--json", "-o", "both.png"});
  CheckDone(result);
  const json report = json::parse(result.out);
  CHECK(report.at("hires").at("two_pass") ==
        json({{"width", 72}, {"height", 64}, {"calls", {4, 2}}, {"strength", 0.5}}));
  CHECK(report.at("arena_bytes") == report.at("predicted_arena_bytes"));
  // Weights are packed by the size of what they multiply, so the second pass leaves fewer than the
  // most that there were.
  CHECK(report.at("packed_bytes") <= report.at("predicted_packed_bytes"));

  CheckDone(tiny.Generate(
      {"-W", "72", "-H", "64", "--steps", "4", "--sampler", "dpmpp_2m", "-o", "first.png"}));
  CheckDone(tiny.Generate({"--image", "first.png", "-W", "144", "-H", "128", "--strength", "0.5",
                           "--steps", "4", "--sampler", "dpmpp_2m", "-o", "second.png"}));
  CHECK(ReadPng(tiny.temp / "both.png").rgb == ReadPng(tiny.temp / "second.png").rgb);

  CheckDone(tiny.Generate({"--from", "both.png", "-o", "again.png"}));
  CHECK(tiny.Bytes("again.png") == tiny.Bytes("both.png"));
  CHECK(tiny.SettingsOf("both.png").at("hires") == "two-pass=2,0.5");
}

TEST_CASE("given pictures that fit nothing are refused in one line") {
  const Tiny tiny;
  WriteBytes(tiny.temp / "text.png", "no picture");
  WriteBytes(tiny.temp / "cut.png",
             tiny.Bytes("given.png").substr(0, tiny.Bytes("given.png").size() / 2));
  CheckFails(tiny.Generate({"--image", "none.png"}), 3, "none.png: cannot be opened: No such file");
  CheckFails(tiny.Generate({"--image", "tiny"}), 3, "tiny: is a folder");
  CheckFails(tiny.Generate({"--image", "text.png"}), 3, "text.png: is no picture");
  CheckFails(tiny.Generate({"--image", "cut.png"}), 3, "cut.png: not a readable PNG picture");
  CheckFails(tiny.Generate({"--mask", "mask.png"}), 2, "mask: there is no picture to repaint");
  CheckFails(tiny.Generate({"--strength", "0.5"}), 2, "strength: there is no picture");
  CheckFails(tiny.Generate({"--image", "given.png", "--strength", "1.5"}), 2, "--strength");
  CheckFails(tiny.Generate({"--image", "given.png", "--strength", "0.1", "--steps", "4"}), 2,
             "strength: 0.1 of 4 steps leaves none");
  CheckFails(tiny.Generate({"--image", "given.png", "--hires", "two-pass"}), 4, "takes no --image");
  CheckFails(tiny.Generate({"--hires", "two-pass", "-W", "80", "-H", "80"}), 2, "is not larger");
  CHECK(NamesIn(tiny.temp.Path()) ==
        std::vector<std::string>{"cut.png", "given.png", "mask.png", "text.png", "tiny"});
}

TEST_CASE("a mask that keeps everything, or is transparency, is said") {
  const Tiny tiny;
  Image dark = LeftHalf(40, 40);
  for (uint8_t& value : dark.rgb) value /= 255;  // 0 and 1
  WritePng(tiny.temp / "dark.png", dark, {});
  const auto run = [&](const char* mask) {
    const ProgramResult result =
        tiny.Generate({"--image", "given.png", "--mask", mask, "--steps", "2", "-o", "a.png"});
    CheckDone(result);
    return result.err;
  };
  CHECK(run("dark.png").find("mask: keeps the whole picture: its largest value is 1") !=
        std::string::npos);
  CHECK(run("mask.png").find("warning") == std::string::npos);
  // Two pixels of one colour, the left one opaque.
  WriteBytes(tiny.temp / "alpha.tga", std::string("\0\0\2\0\0\0\0\0\0\0\0\0\2\0\1\0\x20\x28"
                                                  "\xff\xff\xff\xff\xff\xff\xff\0",
                                                  26));
  CHECK(run("alpha.tga").find("transparency counts") != std::string::npos);
  const std::string from_alpha = tiny.Bytes("a.png");
  run("mask.png");
  CHECK(ReadPng(tiny.temp / "a.png").rgb.size() > 0);
  CHECK(from_alpha.size() > 0);
}

TEST_CASE("a photo makes a run as large as itself, which is said") {
  const Tiny tiny;
  WritePng(tiny.temp / "photo.png", Stripes(320, 240), {});
  const auto run = [&](std::vector<std::string> more) {
    more.insert(more.end(),
                {"--image", "photo.png", "--steps", "1", "--strength", "1", "-o", "a.png"});
    return tiny.Generate(more).err;
  };
  CHECK(run({}).find("--image is 320x240") != std::string::npos);
  CHECK(run({"-W", "80", "-H", "64"}).find("--image") == std::string::npos);
}

TEST_CASE("what is asked for and cannot act is said") {
  const Tiny tiny;
  const auto warnings = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--steps", "2", "-o", "a.png"});
    const ProgramResult result = tiny.Generate(more);
    CheckDone(result);
    return result.err;
  };
  const auto says = [&](const std::vector<std::string>& more, const char* what) {
    INFO(what);
    CHECK(warnings(more).find(what) != std::string::npos);
  };
  says({"--cfg", "0.5"}, "cfg: 0.5 is below 1 and acts as 1");
  says({"--cfg", "1", "-n", "blue"}, "negative: the prompt has no effect");
  says({"--cfg", "1", "--cfg-interval", "0-1"}, "cfg-interval: 0-1 has no effect");
  says({"--cfg", "1", "--cfg-rescale", "0.7"}, "cfg-rescale: 0.7 has no effect");
  says({"--cfg", "3", "--cfg-interval", "500-999"}, "holds none of the");
  says({"--sampler", "euler", "--eta", "0.5"}, "eta: 0.5 has no effect: the sampler euler");
  says({"--mask-paste", "off"}, "mask-paste: off has no effect");
  CHECK(warnings({"--cfg", "3", "-n", "blue", "--cfg-interval", "1-9", "--sampler", "ddim", "--eta",
                  "0.5", "--cfg-rescale", "0.7"})
            .find("warning") == std::string::npos);
  CHECK(warnings({"--cfg", "1"}).find("warning") == std::string::npos);
}

}  // namespace fovea
