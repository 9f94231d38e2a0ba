// `fovea grid`: axes, pictures with labels, tables.
#include <sstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "pipelines/pictures/formats/png_file.h"
#include "tests/support/cli_checks.h"
#include "tests/support/pipeline_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

struct Tiny {
  TempDir temp;

  Tiny() { WritePipeline(temp / "tiny", Sd15SchedulerJson()); }

  ProgramResult Run(std::vector<std::string> arguments) const {
    RunOptions here;
    here.folder = temp.Path();
    return RunFovea(arguments, here);
  }
  ProgramResult Grid(std::vector<std::string> arguments) const {
    std::vector<std::string> words = {"grid", "-m", "tiny", "-p", "a cube", "--steps", "2"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return Run(words);
  }
  // Rows of a table without quotes.
  std::vector<std::vector<std::string>> Table(const std::string& file) const {
    std::vector<std::vector<std::string>> rows;
    std::istringstream in(ReadBytes(temp / file));
    for (std::string line; std::getline(in, line);) {
      if (line.ends_with('\r')) line.pop_back();
      rows.emplace_back();
      std::istringstream cells(line);
      for (std::string cell; std::getline(cells, cell, ',');) rows.back().push_back(cell);
      if (line.ends_with(',')) rows.back().emplace_back();
    }
    return rows;
  }
};

TEST_CASE("a grid shows its cells as generate makes them, under their labels") {
  const Tiny tiny;
  CheckDone(tiny.Grid({"-s", "5", "--x", "cfg=1-7(+3)", "--y", "seed=5,6", "-o", "g.png"}));
  const Image grid = ReadPng(tiny.temp / "g.png");
  CHECK(grid.width == 150 + 3 * 84);
  CHECK(grid.height == 58 + 2 * 84);
  CheckDone(tiny.Run({"generate", "-m", "tiny", "-p", "a cube", "--steps", "2", "-s", "6", "--cfg",
                      "4", "-o", "c.png"}));
  const Image cell = ReadPng(tiny.temp / "c.png");
  bool equal = true;
  for (int y = 0; y < cell.height; ++y) {
    const uint8_t* row = &grid.rgb[static_cast<size_t>((58 + 84 + y) * grid.width + 150 + 84) * 3];
    equal = equal && std::equal(row, row + cell.width * 3, &cell.rgb[static_cast<size_t>(y) * 240]);
  }
  CHECK(equal);
  int dark = 0;  // letters
  for (size_t i = 0; i < static_cast<size_t>(grid.width) * 50 * 3; ++i) dark += grid.rgb[i] < 128;
  CHECK(dark > 100);
  const auto json = nlohmann::json::parse(ReadPngText(tiny.temp / "g.png").at("fovea"));
  CHECK(json.at("grid").at("axes").at("x").at("values") == nlohmann::json({"1", "4", "7"}));
  CHECK(json.at("grid").at("cells").size() == 6);
  CheckFails(tiny.Run({"generate", "-m", "tiny", "--from", "g.png"}), 3, "grid");
}

TEST_CASE("a table measures cells against the first of their row") {
  const Tiny tiny;
  CheckDone(tiny.Grid({"-s", "5", "--x", "attention=dense,clear(r=8),halo", "--y",
                       "size=80x80,72x80", "-o", "g.csv", "--repeat", "2"}));
  const auto rows = tiny.Table("g.csv");
  REQUIRE(rows.size() == 7);
  CHECK(rows[0] == std::vector<std::string>{"attention", "size", "seed", "file", "seconds",
                                            "denoise_seconds", "peak_memory_mb", "gflop", "psnr_db",
                                            "max_abs", "mean_abs", "error"});
  for (size_t i = 1; i < rows.size(); ++i) {
    INFO(i);
    REQUIRE(rows[i].size() == 12);
    CHECK(rows[i][2] == "5");
    CHECK(std::stod(rows[i][4]) >= std::stod(rows[i][5]));
    CHECK(std::stod(rows[i][6]) > 1);
    CHECK(std::stod(rows[i][7]) > 0);
    if (rows[i][0] == "dense") CHECK(rows[i][8] == "inf");
  }
}

TEST_CASE("cells that refuse are hatched, cells that do not parse stop it") {
  const Tiny tiny;
  const ProgramResult some =
      tiny.Grid({"-s", "5", "--x", "attention=dense,nosuch*:halo", "-o", "g.png"});
  CHECK(some.exit_code == 7);
  CHECK(fs::exists(tiny.temp / "g.png"));
  for (const char* axis :
       {"nosuch=1", "steps=", "steps=a", "steps=1,,2", "steps=2-1(+1)", "steps", "attention=clear(",
        "prompt~=absent,x", "size=80", "batch=2", "sampler=nosuch", "cfg=0-1[0]"}) {
    INFO(axis);
    CHECK(tiny.Grid({"--x", axis, "-o", "h.png"}).exit_code == 2);
  }
  CHECK(tiny.Grid({"--x", "cfg=1,2", "--y", "cfg=3", "-o", "h.png"}).exit_code == 2);
  CHECK(tiny.Grid({"--x", "cfg=1,2", "--max-pixels", "99", "-o", "h.png"}).exit_code == 2);
  CHECK(tiny.Grid({"-o", "h.png"}).exit_code == 2);
  CHECK(tiny.Grid({"--x", "cfg=1,2", "-o", "h.jpg"}).exit_code == 2);
  CHECK_FALSE(fs::exists(tiny.temp / "h.png"));
}

TEST_CASE("cells that are kept are taken up again") {
  const Tiny tiny;
  CheckDone(tiny.Grid({"-s", "5", "--x", "prompt~=cube,cone é", "--cells", "c", "-o", "a.png"}));
  CHECK(NamesIn(tiny.temp / "c").size() == 2);
  CheckDone(tiny.Grid({"-s", "5", "--x", "prompt~=cube,cone é", "--cells", "c", "-o", "b.png"}));
  CHECK(ReadPng(tiny.temp / "a.png").rgb == ReadPng(tiny.temp / "b.png").rgb);
  CheckDone(tiny.Grid({"-s", "5", "--x", "prompt~=cube,cone é", "--cells", "c", "-o", "b.csv"}));
  for (const auto& row : tiny.Table("b.csv")) CHECK(row.size() == 11);
}

}  // namespace
}  // namespace fovea
