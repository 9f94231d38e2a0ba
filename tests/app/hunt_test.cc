// `fovea hunt` and `fovea heads` on the built-in models: what they leave, what they survive, what
// they refuse.
#include <algorithm>
#include <fstream>
#include <random>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/support/cli_checks.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

struct Here {
  TempDir temp;
  Here() {
    std::ofstream(temp / "search.txt") << "a red cube\na blue sphere\n";
    std::ofstream(temp / "unseen.txt") << "a green cone\na yellow torus\n";
  }

  ProgramResult Run(std::vector<std::string> words,
                    std::chrono::milliseconds timeout = 120s) const {
    RunOptions here;
    here.folder = temp.Path();
    here.timeout = timeout;
    return RunFovea(words, here);
  }
  std::vector<std::string> HuntWords(const std::string& out, std::vector<std::string> more) const {
    std::vector<std::string> words = {"hunt", "-o", out, "-t", "1"};
    // What a test says wins.
    for (const auto& [flag, value] :
         {std::pair("--prompts", "search.txt"), std::pair("--unseen", "unseen.txt"),
          std::pair("--heads", "m0"), std::pair("--rounds", "2"), std::pair("--top", "1"),
          std::pair("--random-sets", "1"), std::pair("--steps", "2"),
          std::pair("--sampler", "ddim"), std::pair("-W", "64"), std::pair("-H", "64")}) {
      if (std::find(more.begin(), more.end(), flag) != more.end()) continue;
      words.insert(words.end(), {flag, value});
    }
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  ProgramResult Hunt(const std::string& out, std::vector<std::string> more,
                     std::chrono::milliseconds timeout = 120s) const {
    return Run(HuntWords(out, std::move(more)), timeout);
  }
  std::string Bytes(const std::string& name) const { return ReadBytes(temp / name); }
  json Journal(const std::string& name) const {
    json lines = json::array();
    std::ifstream stream(temp / name);
    for (std::string line; std::getline(stream, line);) lines.push_back(json::parse(line));
    return lines;
  }
};

}  // namespace

TEST_CASE("hunt: finds heads that --perturb reads, and says what it takes beforehand") {
  const Here here;
  const ProgramResult price = here.Hunt("a", {"--dry-run", "--json", "--strengths", "0.5"});
  CheckDone(price);
  CHECK_FALSE(std::filesystem::exists(here.temp / "a"));
  const ProgramResult run = here.Hunt("a", {"--json", "--strengths", "0.5"});
  CheckDone(run);
  const json report = json::parse(run.out), foreseen = json::parse(price.out);
  CHECK(here.Journal("a/journal.jsonl").size() == foreseen.at("pictures").get<size_t>() + 1);
  CHECK(foreseen.at("gflop").get<double>() > 0);
  CHECK(report.at("rounds").size() == 2);
  CHECK(report.at("contenders").size() == 6);  // none, found, at a half, cfg, random, a layer
  CHECK(NamesIn(here.temp / "a") == std::vector<std::string>{"contenders.csv", "found.perturb",
                                                             "heads.csv", "heads.png", "hunt.json",
                                                             "journal.jsonl"});
  // A contender's score is that of the picture that generate draws with the list.
  const ProgramResult drawn = here.Run({"generate",
                                        "-p",
                                        "a red cube",
                                        "-s",
                                        "0",
                                        "--steps",
                                        "2",
                                        "--sampler",
                                        "ddim",
                                        "-W",
                                        "64",
                                        "-H",
                                        "64",
                                        "--cfg",
                                        "1",
                                        "--perturb",
                                        "@a/found.perturb",
                                        "-o",
                                        "x.png",
                                        "--json"});
  CheckDone(drawn);
  CHECK(json::parse(drawn.out).at("settings").at("perturb") == report.at("found"));
  CHECK(json::parse(drawn.out).at("settings").at("perturb-scale") == 3);
  // Run again it has nothing to do, and says the same.
  const ProgramResult again = here.Hunt("a", {"--json", "--strengths", "0.5"});
  CheckDone(again);
  CHECK(again.out == run.out);
}

TEST_CASE("hunt: killed at any moment it goes on to the same result") {
  const Here here;
  CheckDone(here.Hunt("whole", {}));
  const std::string wanted = here.Bytes("whole/hunt.json");
  std::mt19937 random(19);
  int killed = 0;
  for (int i = 0; i < 10; ++i) {
    const auto moment = std::chrono::milliseconds(50 + random() % 600);
    killed += here.Hunt("cut", {}, moment).timed_out ? 1 : 0;
    // A kill in the middle of a write.
    if (i == 3 && std::filesystem::exists(here.temp / "cut/journal.jsonl")) {
      std::ofstream(here.temp / "cut/journal.jsonl", std::ios::app) << "{\"stage\":\"sea";
    }
  }
  CHECK(killed > 0);
  CheckDone(here.Hunt("cut", {}));
  CHECK(here.Bytes("cut/hunt.json") == wanted);
  CHECK(here.Bytes("cut/found.perturb") == here.Bytes("whole/found.perturb"));
}

TEST_CASE("hunt: two shards find what one program finds") {
  const Here here;
  CheckDone(here.Hunt("whole", {}));
  for (int turn = 0; turn < 12; ++turn) {
    CheckDone(here.Hunt("parts", {"--shard", turn % 2 == 0 ? "1/2" : "2/2"}));
    if (std::filesystem::exists(here.temp / "parts/hunt.json")) break;
  }
  CHECK(here.Bytes("parts/hunt.json") == here.Bytes("whole/hunt.json"));
  CHECK(here.Journal("parts/journal.jsonl.1-of-2").size() > 1);
  CHECK(here.Journal("parts/journal.jsonl.2-of-2").size() > 1);
}

TEST_CASE("hunt: scores come from other programs, too") {
  const Here here;
  // A program that likes long prompts: 10 and 13 letters with the line end.
  const std::string likes =
      "while read f; do wc -c < \"${f%.png}.txt\"; head -c 4 \"$f\" >> magic; done";
  const ProgramResult run = here.Hunt(
      "a", {"--json", "--rounds", "1", "--score", "command:" + likes, "--score", "saturation@0"});
  CheckFails(run, 2, "--score");  // a weight of 0 is no weight
  const ProgramResult good = here.Hunt(
      "a", {"--json", "--rounds", "1", "--score", "command:" + likes, "--score", "saturation@-2"});
  CheckDone(good);
  for (const json& line : here.Journal("a/journal.jsonl")) {
    if (!line.contains("stage")) continue;
    const bool search = line.at("stage") == "search", first = line.at("prompt") == 0;
    const double letters = search ? (first ? 11 : 14) : (first ? 13 : 15);
    CHECK(line.at("scores").at(0) == letters);
    CHECK(line.at("scores").at(1) == line.at("saturation"));
  }
  CHECK(here.Bytes("magic").substr(1, 3) == "PNG");
  for (const auto& [command, says] :
       {std::pair("exit 3", "exit code 3"), std::pair("echo 1", "1 numbers for"),
        std::pair("sed s/.*/nan/", "no finite number")}) {
    const ProgramResult bad = here.Hunt(says, {"--score", std::string("command:") + command});
    CHECK(bad.exit_code == 3);
    CHECK(bad.err.find(says) != std::string::npos);
    CHECK(bad.out.empty());
  }
}

TEST_CASE("hunt: what cannot be is one line") {
  const Here here;
  const auto fails = [&](std::vector<std::string> more, int code, const char* says) {
    CAPTURE(says);
    CheckFails(here.Hunt("x", std::move(more)), code, says);
  };
  fails({"--heads", "m9"}, 4, "matches no layer");
  fails({"--heads", "m0."}, 2, "m0.");
  fails({"--top", "9"}, 2, "but there are");
  fails({"--shard", "3/2"}, 2, "--shard");
  fails({"--shard", "1"}, 2, "--shard");
  fails({"--score", "beauty"}, 2, "--score");
  fails({"--score", "clip:nowhere"}, 3, "nowhere");
  fails({"--prompts", "nowhere.txt"}, 3, "nowhere.txt");
  fails({"--quick-steps", "2"}, 2, "--quick-steps");
  fails({"-b", "2"}, 2, "-b");
  fails({"--strengths", "0"}, 2, "--strengths");
  CheckDone(here.Hunt("a", {"--rounds", "1"}));
  CheckFails(here.Hunt("a", {"--rounds", "1", "--steps", "3"}), 3, "other steps");
  WriteBytes(here.temp / "a/journal.jsonl", here.Bytes("a/journal.jsonl") + "nonsense\n");
  CheckFails(here.Hunt("a", {"--rounds", "1"}), 3, "line ");
}

TEST_CASE("heads: one small picture a head, sorted, on both kinds of denoisers") {
  const Here here;
  for (const char* model : {"still-life-unet", "still-life-dit"}) {
    CAPTURE(model);
    const std::string list = std::string(model) == "still-life-dit" ? "2,5.[0-1]" : "m0,u4.0";
    const auto show = [&](const std::string& what) {
      const ProgramResult run =
          here.Run({"heads", "-m", model, "--heads", list, "--show", what, "--steps", "2", "-W",
                    "64", "-H", "64", "-o", what, "--json"});
      CheckDone(run);
      return json::parse(run.out).at("heads");
    };
    const json guided = show("guided"), broken = show("perturbed");
    CHECK(guided.size() == broken.size());
    CHECK(guided.size() >= 3);
    for (size_t i = 1; i < guided.size(); ++i) {
      CHECK(guided[i - 1].at("distance") >= guided[i].at("distance"));
    }
    CHECK(guided[0].at("distance").get<double>() > 0);
    CHECK(NamesIn(here.temp / "guided") == std::vector<std::string>{"heads.csv", "heads.png"});
  }
  CheckFails(here.Run({"heads", "--show", "perturbed", "--cfg", "3", "-o", "x"}), 2, "--cfg");
}

}  // namespace fovea
