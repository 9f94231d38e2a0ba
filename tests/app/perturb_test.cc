// --perturb and --guidance on the command line: what is refused, what dry runs foresee, what
// pictures keep. On the built-in U-Net.
#include <fstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/support/cli_checks.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

using nlohmann::json;

struct Here {
  TempDir temp;

  ProgramResult Run(std::vector<std::string> words) const {
    RunOptions here;
    here.folder = temp.Path();
    return RunFovea(words, here);
  }
  ProgramResult Generate(const std::string& out, std::vector<std::string> more) const {
    std::vector<std::string> words = {"generate",  "-p",   "a red cube", "-s", "5", "--steps", "3",
                                      "--sampler", "ddim", "--output",   out};
    words.insert(words.end(), more.begin(), more.end());
    return Run(words);
  }
  std::string Bytes(const std::string& name) const { return ReadBytes(temp / name); }
};

}  // namespace

TEST_CASE("generate: --perturb says what it saves, and --from brings it back") {
  const Here here;
  const ProgramResult run =
      here.Generate("a.png", {"--perturb", "m0.[0-1]@0.5,u1", "--perturb-scale", "2",
                              "--perturb-steps", "0-1", "--guidance", "apg(eta=0,r=5)", "--json"});
  CheckDone(run);
  const json report = json::parse(run.out);
  CHECK(report.at("settings").at("perturb") == "m0.[0-1]@0.5,u1");
  CHECK(report.at("settings").at("guidance") == "apg(eta=0,r=5)");
  CHECK(report.at("perturbed").at("from").get<std::string>().find("mid_block") == 0);
  CHECK(report.at("perturbed").at("saved_share").get<double>() > 0.05);
  CHECK(report.at("arena_bytes") == report.at("predicted_arena_bytes"));

  CheckDone(here.Run({"generate", "--from", "a.png", "-o", "b.png"}));
  CHECK(here.Bytes("a.png") == here.Bytes("b.png"));
  CheckDone(here.Run({"generate", "--from", "a.png", "--perturb-scale", "1", "-o", "c.png"}));
  CHECK(here.Bytes("a.png") != here.Bytes("c.png"));
  const ProgramResult info = here.Run({"info", "a.png"});
  CheckDone(info);
  CHECK(info.out.find("PAG Layers") != std::string::npos);
  CHECK(info.out.find("PAG Scale: 2") != std::string::npos);
}

TEST_CASE("generate: a file of perturbed heads is weaker than flags, and need not stay") {
  const Here here;
  std::ofstream(here.temp / "found.perturb") << "# found\nscale: 2\nkind: zero\nm0.0\n";
  const ProgramResult run =
      here.Generate("a.png", {"--perturb-scale", "1.5", "--perturb", "@found.perturb", "--json"});
  CheckDone(run);
  const json settings = json::parse(run.out).at("settings");
  CHECK(settings.at("perturb") == "m0.0");
  CHECK(settings.at("perturb-kind") == "zero");
  CHECK(settings.at("perturb-scale") == 1.5);
  std::filesystem::remove(here.temp / "found.perturb");
  CheckDone(here.Run({"generate", "--from", "a.png", "-o", "b.png"}));
  CHECK(here.Bytes("a.png") == here.Bytes("b.png"));
  CheckDone(here.Generate("c.png", {"--perturb", "preset:unet-pag"}));
}

TEST_CASE("generate: perturbed heads that cannot be are one line each") {
  const Here here;
  const auto fails = [&](std::vector<std::string> more, int code, const char* says) {
    CheckFails(here.Generate("x.png", std::move(more)), code, says);
  };
  fails({"--perturb", "m0."}, 2, "m0.");
  fails({"--perturb", "m9"}, 4, "matches no layer");
  fails({"--perturb", "m0.99"}, 4, "heads 0-");
  fails({"--perturb", "@nowhere"}, 3, "nowhere");
  fails({"--perturb", "preset:nothing"}, 2, "unet-pag");
  fails({"--perturb", "m0", "--perturb-kind", "worse"}, 2, "perturb-kind");
  fails({"--perturb", "m0", "--perturb-scope", "text"}, 2, "perturb-scope");
  fails({"--perturb", "m0", "--perturb-steps", "7-9"}, 4, "none of the 3 steps");
  fails({"--perturb-scale", "2"}, 2, "--perturb");
  fails({"--guidance", "pag"}, 2, "cfg-zero-star");
  fails({"--guidance", "apg(eta=x)"}, 2, "eta");
}

TEST_CASE("generate: pictures without perturbed heads do not speak of them") {
  const Here here;
  const ProgramResult run = here.Generate("a.png", {"--json"});
  CheckDone(run);
  CHECK_FALSE(json::parse(run.out).at("settings").contains("perturb"));
  CHECK_FALSE(json::parse(run.out).at("settings").contains("guidance"));
}

}  // namespace fovea
