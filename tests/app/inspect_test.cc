// `fovea inspect` on the built-in models: files, manifest, and that looking changes nothing.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include <nlohmann/json.hpp>

#include "pipelines/pictures/picture_file.h"
#include "tests/support/cli_checks.h"
#include "tests/support/golden_case.h"
#include "tests/support/source_dir.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<float> ReadNpy(const fs::path& path, const json& shape) {
  const std::string bytes = ReadBytes(path);
  REQUIRE(bytes.size() > 128);
  REQUIRE(bytes.substr(0, 8) == std::string("\x93NUMPY\x01\x00", 8));
  const size_t begin = 10 + static_cast<unsigned char>(bytes[8]) +
                       256 * static_cast<size_t>(static_cast<unsigned char>(bytes[9]));
  CHECK(begin % 64 == 0);
  const std::string extents = "(" + shape[0].dump() + ", " + shape[1].dump() + ", )";
  CHECK(bytes.substr(0, begin).find("'shape': " + extents) != std::string::npos);
  std::vector<float> values(shape[0].get<size_t>() * shape[1].get<size_t>());
  REQUIRE(bytes.size() == begin + values.size() * sizeof(float));
  std::memcpy(values.data(), bytes.data() + begin, values.size() * sizeof(float));
  return values;
}

json CheckManifest(const fs::path& folder) {
  const json manifest = json::parse(ReadBytes(folder / "manifest.json"));
  REQUIRE(manifest.at("files").is_array());
  REQUIRE(!manifest.at("files").empty());
  for (const json& file : manifest.at("files")) {
    CAPTURE(file.dump());
    for (const char* field :
         {"kind", "layer", "head", "step", "word", "png", "npy", "shape", "min", "max"}) {
      REQUIRE(file.contains(field));
    }
    const auto values = ReadNpy(folder / file.at("npy").get<std::string>(), file.at("shape"));
    for (const float value : values) {
      if (!(value >= file.at("min").get<float>() && value <= file.at("max").get<float>())) {
        FAIL("outside of min and max: " << value);
      }
    }
    const Image picture = ReadPicture(folder / file.at("png").get<std::string>());
    CHECK(picture.width > 256);
  }
  for (const std::string& name : NamesIn(folder)) CHECK(name.find(".fovea-") == std::string::npos);
  return manifest;
}

const std::vector<std::string> kRun = {
    "-p", "a red cube and a blue sphere", "-s", "4", "-W", "64", "-H", "96"};

std::vector<std::string> Inspect(const fs::path& out, std::vector<std::string> more) {
  std::vector<std::string> arguments{"inspect", "--sampling-steps", "3", "-o", out};
  arguments.insert(arguments.end(), kRun.begin(), kRun.end());
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST_CASE("inspect maps a run and leaves its picture as it is") {
  const TempDir temp;
  const fs::path out = temp / "maps";
  CheckDone(RunFovea(Inspect(out, {"--maps", "words,rows,self,segments,entropy", "--query", "3,2",
                                   "--words", "red cube,sphere"})));
  std::vector<std::string> generate{"generate", "--steps", "3", "-o", temp / "plain.png"};
  generate.insert(generate.end(), kRun.begin(), kRun.end());
  CheckDone(RunFovea(generate));
  CHECK(ReadBytes(out / "picture.png") == ReadBytes(temp / "plain.png"));

  const json manifest = CheckManifest(out);
  CHECK(manifest.at("settings").at("seed") == 4);
  std::map<std::string, int> kinds;
  for (const json& file : manifest.at("files")) {
    ++kinds[file.at("kind")];
    CHECK(file.at("layer").is_null());
    CHECK(file.at("step").is_null());
    CHECK(file.at("shape") == json{12, 8});
    if (file.at("kind") != "rows") continue;
    // A mean of probabilities on grids resized to the finest.
    CHECK(file.at("word") == "3,2");
    CHECK(file.at("min").get<double>() >= -0.05);
  }
  CHECK(kinds == std::map<std::string, int>{
                     {"words", 2}, {"rows", 1}, {"self", 3}, {"segments", 1}, {"entropy", 1}});
  CHECK(fs::exists(out / "words-red_cube.npy"));
  CHECK(fs::exists(out / "sheet-words.png"));
  const std::string table = ReadBytes(out / "entropy.csv");
  CHECK(table.find("mid_block.attentions.0.transformer_blocks.0.attn1") != std::string::npos);
  const json& shares = manifest.at("text_shares").at(0);
  CHECK(shares.at("words").get<double>() + shares.at("start_end_padding").get<double>() ==
        Approx(1).epsilon(1e-4));
}

TEST_CASE("inspect tells maps apart and animates steps") {
  const TempDir temp;
  const fs::path out = temp / "maps";
  const ProgramResult result =
      RunFovea(Inspect(out, {"--maps", "rows", "--per", "layer,head", "--layers", "mid_block*",
                             "--heads", "0,2", "--steps", "1-2", "--gif", "--json"}));
  CheckDone(result);
  const json manifest = CheckManifest(out);
  CHECK(json::parse(result.out) == manifest);
  CHECK(manifest.at("files").size() == 1 + 2 * 3);
  for (const json& file : manifest.at("files")) {
    const auto values = ReadNpy(out / file.at("npy").get<std::string>(), file.at("shape"));
    double sum = 0;
    for (const float value : values) sum += static_cast<double>(value);
    CHECK(sum == Approx(1).epsilon(1e-5));  // an exact row
  }
  REQUIRE(manifest.at("animations").size() == 2);
  const std::string gif = ReadBytes(out / manifest.at("animations")[0].get<std::string>());
  CHECK(gif.substr(0, 6) == "GIF89a");
  CHECK(gif.back() == ';');
}

TEST_CASE("inspect compares two plans of one run") {
  const TempDir temp;
  const fs::path out = temp / "maps";
  CheckDone(RunFovea(Inspect(out, {"--maps", "words", "--words", "cube", "--attention-b",
                                   "*attn1: halo(block=4,halo=1)"})));
  const json manifest = CheckManifest(out);
  REQUIRE(manifest.at("files").size() == 3);
  std::vector<std::vector<float>> maps;
  for (const json& file : manifest.at("files")) {
    maps.push_back(ReadNpy(out / file.at("npy").get<std::string>(), file.at("shape")));
  }
  CHECK(manifest.at("files")[0].at("plan") == "a");
  CHECK(manifest.at("files")[2].at("plan") == "difference");
  for (size_t i = 0; i < maps[0].size(); ++i) CHECK(maps[2][i] == maps[0][i] - maps[1][i]);
  CHECK(manifest.at("difference").at("mean_abs").get<double>() > 0);
  CHECK(fs::exists(out / "side-by-side.png"));
  CHECK(fs::exists(out / "b-picture.png"));
}

TEST_CASE("inspect maps pictures that a Vision Transformer sees") {
  const TempDir temp;
  const fs::path out = temp / "maps";
  CheckDone(RunFovea({"inspect", "-i", GoldenFolder() / "pictures" / "tall.png", "--maps",
                      "cls,rollout,relevance,rows,entropy", "--query", "7,0", "-o", out}));
  const json manifest = CheckManifest(out);
  CHECK(manifest.at("model") == "still-life-clip");
  REQUIRE(manifest.at("files").size() == 5);
  for (const json& file : manifest.at("files")) CHECK(file.at("shape") == json{8, 8});
  const auto rollout = ReadNpy(out / "rollout.npy", {8, 8});
  double sum = 0;
  for (const float value : rollout) {
    CHECK(value >= 0);
    sum += static_cast<double>(value);
  }
  CHECK((sum > 0 && sum < 1));  // the rest is on the class token
}

TEST_CASE("inspect shows where CLIP sees each of several texts") {
  const TempDir temp;
  const fs::path scene = SourceDir() / "docs" / "inspect" / "scene.png";
  CheckDone(
      RunFovea({"inspect", "-i", scene, "--maps", "chefer", "--label", "a large orange metal torus",
                "--label", "a small yellow matte cone", "-o", temp / "maps"}));
  const json manifest = CheckManifest(temp / "maps");
  REQUIRE(manifest.at("files").size() == 2);
  // Cells of 16 pixels: the torus stands right of the middle in the upper half, the cone at the
  // lower left.
  const int places[2][4] = {{1, 5, 3, 7}, {3, 7, 0, 4}};  // rows and columns, half-open
  for (size_t i = 0; i < 2; ++i) {
    const json& file = manifest.at("files")[i];
    CHECK(file.at("kind") == "chefer");
    CHECK(file.at("word") == manifest.at("settings").at("label")[i]);
    const auto map = ReadNpy(temp / "maps" / file.at("npy").get<std::string>(), {8, 8});
    const auto top = static_cast<int>(std::max_element(map.begin(), map.end()) - map.begin());
    CHECK((top / 8 >= places[i][0] && top / 8 < places[i][1]));
    CHECK((top % 8 >= places[i][2] && top % 8 < places[i][3]));
    for (const float value : map) CHECK(value >= 0);
  }
}

// A golden ViT as a folder with preprocessing.
fs::path WriteVit(const TempDir& temp, const char* name, int side) {
  const fs::path model = temp / name;
  GoldenCase::Read(GoldenFolder() / "forward" / name).WriteModel(model);
  WriteBytes(model / "preprocessor_config.json", json{{"image_processor_type", "ViTImageProcessor"},
                                                      {"size", {{"height", side}, {"width", side}}}}
                                                     .dump());
  return model;
}

TEST_CASE("inspect shows where a classifier sees a class") {
  const TempDir temp;
  const fs::path model = WriteVit(temp, "vit_plain", 32);
  const fs::path picture = GoldenFolder() / "pictures" / "tall.png";
  std::string asked = model, kind = "chefer";
  const auto inspect = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments{"inspect", "-m", asked, "-i",         picture,
                                       "--maps",  kind, "-o",  temp / "maps"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunFovea(arguments);
  };
  const auto first = [&](std::vector<std::string> more) {
    CheckDone(inspect(std::move(more)));
    const json manifest = CheckManifest(temp / "maps");
    const json file = manifest.at("files")[0];
    return std::pair(file.at("word").get<std::string>(),
                     ReadNpy(temp / "maps" / file.at("npy").get<std::string>(), {4, 4}));
  };
  const ProgramResult classes = RunFovea({"classify", "-m", model, picture, "--json"});
  CheckDone(classes);
  const json answer = json::parse(classes.out).at("pictures")[0].at("labels")[0];
  const auto plain = first({});
  CHECK(plain.first == answer.at("label"));
  CHECK(first({"--label", answer.at("index").dump()}) == plain);
  CHECK(first({"--label", "Kind " + answer.at("index").dump()}) == plain);
  CHECK(first({"--dtype", "bf16"}) == plain);  // gradients are taken in f32
  const std::string other = std::to_string((answer.at("index").get<int>() + 1) % 5);
  CHECK(first({"--label", other}).second != plain.second);
  CheckDone(inspect({"--label", other, "--per", "layer,head", "--heads", "1,3"}));
  CHECK(CheckManifest(temp / "maps").at("files").size() == 1 + 2 * (1 + 2));

  fs::remove_all(temp / "maps");
  const auto fails = [&](std::vector<std::string> more, int code, const std::string& says) {
    CAPTURE(more);
    CheckFails(inspect(std::move(more)), code, says);
    CHECK(!fs::exists(temp / "maps"));
  };
  fails({"--label", "5"}, 2, "0 to 4");
  fails({"--label", "-1"}, 2, "--label");
  fails({"--label", "dog"}, 2, "--label: \"dog\"");
  fails({"--label", ""}, 2, "--label");
  fails({"--label", "\xff"}, 2, "--label");
  fails({"--attention", "*: agent(agents=2)"}, 4, "agent(agents=2)");
  asked = WriteVit(temp, "vit_dinov2", 42);
  fails({}, 4, "no classifier");
  fails({"--label", "1"}, 4, "no classifier");
  asked = WriteVit(temp, "vit_clip_projection", 32);
  fails({"--label", "a dog"}, 4, "text");
  asked = "still-life-clip";
  fails({}, 2, "--label");
  kind = "cls";
  fails({"--label", "a dog"}, 2, "chefer");
}

TEST_CASE("inspect refuses what is not there, and leaves nothing behind") {
  const TempDir temp;
  const fs::path out = temp / "maps";
  const auto fails = [&](std::vector<std::string> more, int code, const std::string& says) {
    CAPTURE(more);
    CheckFails(RunFovea(Inspect(out, std::move(more))), code, says);
    CHECK(!fs::exists(out));
  };
  fails({"--maps", "heat"}, 2, "heat");
  fails({"--maps", "cls"}, 4, "cls");
  fails({"--maps", "concepts"}, 4, "concepts");
  fails({"--maps", "chefer"}, 4, "chefer");
  fails({"--words", "dog"}, 2, "dog");
  fails({"--layers", "nothing*"}, 4, "--layers");
  fails({"--heads", "99"}, 4, "--heads");
  fails({"--heads", "3-1"}, 2, "--heads");
  fails({"--maps", "rows", "--query", "12,0"}, 2, "--query");
  fails({"--maps", "rows", "--query", "1"}, 2, "--query");
  fails({"--per", "word"}, 2, "--per");
  fails({"--attention-b", "*: nothing"}, 2, "nothing");
  fails({"-b", "2"}, 2, "--batch");
  fails({"--dump", temp / "dump"}, 2, "--dump");
  fails({"-i", GoldenFolder() / "pictures" / "tall.png"}, 2, "not both");
}

}  // namespace
}  // namespace fovea
