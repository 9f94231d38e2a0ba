// `fovea inspect --analytics` through the program: every kind's tables on a few small pictures.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include <nlohmann/json.hpp>

#include "pipelines/pictures/formats/png_file.h"
#include "tests/support/cli_checks.h"
#include "tests/support/golden_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kSide = 48;

// Two bright squares on a dark ground, and the mask that tells them apart.
void WriteScene(const fs::path& folder, int number) {
  Image picture{kSide, kSide, std::vector<uint8_t>(size_t{3} * kSide * kSide)};
  Image mask = picture;
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const int left = 3 * number, top = 24 - 2 * number;
      const bool first = x >= left && x < left + 18 && y >= 2 && y < 20;
      const bool second = x >= 26 && x < 44 && y >= top && y < top + 20 && !first;
      uint8_t* to = picture.rgb.data() + size_t{3} * static_cast<size_t>(y * kSide + x);
      uint8_t* label = mask.rgb.data() + (to - picture.rgb.data());
      for (int c = 0; c < 3; ++c) {
        const int ground = 20 + (x * 7 + y * 3 + number * 11) % 30;
        to[c] = static_cast<uint8_t>(first && c == number % 3 ? 240
                                     : second && c != 1       ? 200
                                                              : ground);
        label[c] = first ? 100 : second ? 200 : 0;
      }
    }
  }
  const std::string name = "scene" + std::to_string(number) + ".png";
  WritePng(folder / name, picture, {});
  fs::create_directories(folder / "masks");
  WritePng(folder / "masks" / name, mask, {});
}

fs::path Scenes(const TempDir& temp, int count) {
  const fs::path folder = temp / "scenes";
  fs::create_directories(folder);
  for (int i = 0; i < count; ++i) WriteScene(folder, i);
  return folder;
}

// Rows of a table by the names of its first line; every row as long as that.
std::vector<std::map<std::string, std::string>> ReadTable(const fs::path& file) {
  std::istringstream lines(ReadBytes(file));
  std::string line;
  const auto cells = [](const std::string& text) {
    std::vector<std::string> out(1);
    for (const char each : text) {
      if (each == ',') {
        out.emplace_back();
      } else {
        out.back() += each;
      }
    }
    return out;
  };
  REQUIRE(std::getline(lines, line));
  const std::vector<std::string> names = cells(line);
  std::vector<std::map<std::string, std::string>> rows;
  while (std::getline(lines, line)) {
    const std::vector<std::string> values = cells(line);
    CAPTURE(file.filename().string(), line);
    REQUIRE(values.size() == names.size());
    auto& row = rows.emplace_back();
    for (size_t i = 0; i < names.size(); ++i) row[names[i]] = values[i];
  }
  return rows;
}

double Value(const std::map<std::string, std::string>& row, const std::string& name) {
  CAPTURE(name);
  REQUIRE(row.contains(name));
  return std::strtod(row.at(name).c_str(), nullptr);
}

// A classifier of 2 layers of 4 heads, 17 tokens.
fs::path SmallClassifier(const TempDir& temp) {
  GoldenCase::Read(GoldenFolder() / "forward" / "vit_timm_plain").WriteModel(temp / "vit");
  return temp / "vit";
}

TEST_CASE("analytics of heads, tokens and objects of the built-in image encoder") {
  const TempDir temp;
  const fs::path out = temp / "out";
  CheckDone(RunFovea({"inspect", "-i", Scenes(temp, 4), "--analytics",
                      "heads,tokens,same-object,faithfulness", "-o", out}));
  CHECK(json::parse(ReadBytes(out / "manifest.json")).at("files").empty());

  const auto heads = ReadTable(out / "heads.csv");
  REQUIRE(heads.size() == 16);
  for (const auto& row : heads) {
    CHECK((Value(row, "entropy_share") > 0 && Value(row, "entropy_share") <= 1));
    CHECK((Value(row, "effective_keys") >= 1 && Value(row, "effective_keys") <= 65));
    double rings = 0;
    for (const auto& [name, text] : row) {
      if (name.starts_with("ring_")) rings += Value(row, name);
    }
    CHECK(rings == Approx(1).epsilon(1e-3));
  }
  const auto similar = ReadTable(out / "similarity.csv");
  REQUIRE(similar.size() == 16 * 16);
  CHECK(Value(similar[17], "cosine") == Approx(1).epsilon(1e-4));  // of a head to itself
  CHECK(fs::exists(out / "heads.png"));

  const auto tokens = ReadTable(out / "tokens.csv");
  REQUIRE(tokens.size() == 4);
  for (const auto& row : tokens) {
    CHECK(Value(row, "grid_tokens") == 4 * 64);
    CHECK(Value(row, "width") == 128);
    CHECK(Value(row, "max_norm") >= Value(row, "median_norm"));
    CHECK(Value(row, "max_phi") <= std::sqrt(128.0));
    CHECK(Value(row, "sinks_grid") == 0);
  }

  const auto same = ReadTable(out / "same_object.csv");
  REQUIRE(same.size() == 4);
  for (const auto& row : same) {
    CHECK(Value(row, "train_pictures") == 2);
    CHECK(Value(row, "test_pictures") == 2);
    for (const char* name : {"same", "probe_accuracy", "cosine_balanced", "nearness_accuracy"}) {
      CHECK((Value(row, name) > 0 && Value(row, name) <= 1));
    }
  }

  const auto maps = ReadTable(out / "faithfulness.csv");
  REQUIRE(maps.size() == 8);
  CHECK(maps[4].at("map") == "random");
  for (const auto& row : maps) {
    CHECK(Value(row, "masks") == 4);
    CHECK((Value(row, "pointing") >= 0 && Value(row, "pointing") <= 1));
    CHECK((Value(row, "deletion") >= 0 && Value(row, "deletion") <= 1));
  }
  CHECK(Value(maps[7], "rank_correlation_with_occlusion") == Approx(1));
}

TEST_CASE("analytics of importance: local drift is of the head's own layer") {
  const TempDir temp;
  const fs::path out = temp / "out";
  CheckDone(RunFovea({"inspect", "-m", SmallClassifier(temp), "-i", Scenes(temp, 4), "--analytics",
                      "importance", "--maps", "cls", "-o", out}));
  CHECK(json::parse(ReadBytes(out / "manifest.json")).at("files").size() == 4);
  const auto heads = ReadTable(out / "importance.csv");
  REQUIRE(heads.size() == 3 * 8);
  std::map<std::string, double> ranks;
  for (const auto& row : heads) {
    ranks[row.at("ablation")] += Value(row, "rank");
    for (const char* name : {"class_drift", "patch_drift"}) {
      CHECK((Value(row, name) > 0 && Value(row, name) < 2));
    }
    CHECK((Value(row, "js") >= 0 && Value(row, "js") <= std::log(2.0)));
  }
  CHECK(ranks == std::map<std::string, double>{{"mean", 36}, {"shuffle", 36}, {"zero", 36}});
  const auto check = ReadTable(out / "importance-check.csv");
  REQUIRE(!check.empty());
  for (const auto& row : check) {
    CHECK(Value(row, "random_lowest") <= Value(row, "random_highest"));
  }
  CHECK(fs::exists(out / "importance.png"));
}

TEST_CASE("analytics of tokens and heads need no answers of a model") {
  const TempDir temp;
  const fs::path out = temp / "out", model = temp / "dino";
  GoldenCase::Read(GoldenFolder() / "forward" / "vit_timm_dinov2_reg4").WriteModel(model);
  const fs::path scenes = Scenes(temp, 2);
  CheckDone(
      RunFovea({"inspect", "-m", model, "-i", scenes, "--analytics", "heads,tokens", "-o", out}));
  CHECK(Value(ReadTable(out / "tokens.csv").at(0), "class_and_register_norm") > 0);
  CheckFails(RunFovea({"inspect", "-m", model, "-i", scenes, "--analytics", "faithfulness", "-o",
                       temp / "none"}),
             4, "neither classes");
}

TEST_CASE("analytics refuse what cannot be told, and leave nothing behind") {
  const TempDir temp;
  const fs::path out = temp / "out", scenes = Scenes(temp, 2);
  const auto fails = [&](const std::vector<std::string>& more, int code, const std::string& says) {
    CAPTURE(more);
    std::vector<std::string> arguments{"inspect", "-o", out};
    arguments.insert(arguments.end(), more.begin(), more.end());
    CheckFails(RunFovea(arguments), code, says);
    CHECK(!fs::exists(out));
  };
  fails({"-i", scenes, "--analytics", "head"}, 2, "head");
  fails({"-i", scenes, "--analytics", "tokens,Heads"}, 2, "Heads");
  fails({"-i", scenes, "--analytics", "importance"}, 2, "4 pictures");
  fails({"-p", "a cube", "--analytics", "heads"}, 2, "-i");
  fs::remove_all(scenes / "masks");
  fails({"-i", scenes, "--analytics", "same-object"}, 2, "masks");
}

}  // namespace
}  // namespace fovea
