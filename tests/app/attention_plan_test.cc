// Attention plans on the command line: generate and forward.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "models/files/safetensors.h"
#include "tests/support/cli_checks.h"
#include "tests/support/operator_case.h"
#include "tests/support/pipeline_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

using nlohmann::json;

struct Tiny {
  TempDir temp;

  Tiny() { WritePipeline(temp / "tiny", Sd15SchedulerJson()); }

  ProgramResult Run(const std::string& command, std::vector<std::string> arguments) const {
    std::vector<std::string> words = {command, "-m", (temp / "tiny").string()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    RunOptions here;
    here.folder = temp.Path();
    return RunFovea(words, here);
  }
  ProgramResult Generate(const std::string& plan, const std::string& out,
                         std::vector<std::string> more = {}, const char* seed = "5") const {
    std::vector<std::string> words = {"-p",          "a red cube", "-s",        seed,
                                      "--steps",     "3",          "--sampler", "ddim",
                                      "--attention", plan,         "-o",        out};
    words.insert(words.end(), more.begin(), more.end());
    return Run("generate", words);
  }
  std::string Bytes(const std::string& name) const { return ReadBytes(temp / name); }
};

TEST_CASE("generate: a plan changes the picture, and the picture says what ran where") {
  const Tiny tiny;
  CheckDone(tiny.Generate("", "dense.png"));
  CheckDone(tiny.Generate("*: dense", "said.png"));
  const ProgramResult run = tiny.Generate("*attn1@1-2: gna(window=3)", "gna.png", {"--json"});
  CheckDone(run);
  const json report = json::parse(run.out).at("attention");
  CHECK(report.at("plan") == "*attn1@1-2: gna(window=3)");
  CHECK(report.at("predicted_speedup").get<double>() > 0);
  bool found = false;
  for (const json& group : report.at("ran")) {
    if (group.at("operator") != "gna(window=3)") continue;
    CHECK(group.at("steps") == "1-2");
    found = found || group.at("density").get<double>() < 1;  // small grids fit into the window
    for (const json& layer : group.at("layers")) {
      CHECK(layer.get<std::string>().ends_with("attn1"));
    }
  }
  CHECK(found);
  const ProgramResult picture = RunFovea({"info", (tiny.temp / "gna.png").string(), "--json"}, {});
  CheckDone(picture);
  CHECK(json::parse(picture.out).at("attention") == report.at("ran"));
  CHECK(json::parse(picture.out).at("settings").at("attention") == "*attn1@1-2: gna(window=3)");
  // Pixels, not settings, decide: the text of the pictures differs in any case.
  CheckDone(tiny.Generate("", "a.png", {"--save-latents", "a.st"}));
  CheckDone(tiny.Generate("*: dense", "b.png", {"--save-latents", "b.st"}));
  CheckDone(tiny.Generate("gna(window=3)", "c.png", {"--save-latents", "c.st"}));
  CHECK(tiny.Bytes("a.st") == tiny.Bytes("b.st"));
  CHECK(tiny.Bytes("a.st") != tiny.Bytes("c.st"));
}

TEST_CASE("generate: --from brings the plan back, a flag beside it wins") {
  const Tiny tiny;
  CheckDone(tiny.Generate("window(schedule=upstream); halo(block=4,halo=1)", "a.png"));
  CheckDone(tiny.Run("generate", {"--from", "a.png", "-o", "b.png"}));
  CHECK(tiny.Bytes("a.png") == tiny.Bytes("b.png"));
  CheckDone(tiny.Run("generate", {"--from", "a.png", "--attention", "", "-o", "c.png"}));
  CheckDone(tiny.Generate("", "d.png"));
  CHECK(tiny.Bytes("c.png") == tiny.Bytes("d.png"));
}

TEST_CASE("generate: operators that draw do not tie a picture to its batch") {
  const Tiny tiny;
  const std::string plan = GENERATE("window", "window(schedule=upstream)");
  CheckDone(tiny.Generate(plan, "both/", {"-b", "2"}));
  CheckDone(tiny.Generate(plan, "one.png", {}, "6"));
  CHECK(tiny.Bytes("both/6-0001.png") == tiny.Bytes("one.png"));
}

TEST_CASE("generate: plans that cannot be, each with its exit code and one line") {
  const Tiny tiny;
  CheckFails(tiny.Generate("clear(r=", "x.png"), 2, "clear(r=");
  CheckFails(tiny.Generate("nosuch", "x.png"), 2, "nosuch");
  CheckFails(tiny.Generate("clear(radius=3)", "x.png"), 2, "radius");
  CheckFails(tiny.Generate("preset:nosuch", "x.png"), 2, "nosuch");
  CheckFails(tiny.Generate("@nosuch.plan", "x.png"), 3, "nosuch.plan");
  CheckFails(tiny.Generate("nowhere.*: halo", "x.png"), 4, "nowhere");
  CheckFails(tiny.Generate("*attn1@7-9: halo", "x.png"), 4, "none of the 3 steps");
  CheckFails(tiny.Generate("*attn1#9: halo", "x.png"), 4, "#9");
  CheckFails(tiny.Generate("*attn1: clear(down=64)", "x.png"), 4, "attn1");
  CHECK(NamesIn(tiny.temp.Path()) == std::vector<std::string>{"tiny"});
  CheckDone(tiny.Generate("*attn1: clear(down=64) else dense", "x.png"));
}

TEST_CASE("forward: a plan and the step at which it holds") {
  const Tiny tiny;
  NamedTensors inputs;
  inputs["sample"] = RandomNormal({1, 4, 12, 10}, 1);
  inputs["timestep"] = HostTensor({1}, std::vector<int64_t>{500});
  inputs["encoder_hidden_states"] = RandomNormal({1, 5, 32}, 2);
  WriteSafetensors(tiny.temp / "x.st", inputs);
  const auto forward = [&](const std::string& out, std::vector<std::string> more) {
    std::vector<std::string> words = {"--component", "unet", "--in", "x.st", "--out", out};
    words.insert(words.end(), more.begin(), more.end());
    return tiny.Run("forward", words);
  };
  CheckDone(forward("dense.st", {}));
  const std::string plan = "*attn1@3-4: window(quarter=1)";
  CheckDone(forward("before.st", {"--attention", plan, "--step", "2", "--steps", "5"}));
  CheckDone(forward("during.st", {"--attention", plan, "--step", "3", "--steps", "5"}));
  CHECK(tiny.Bytes("dense.st") == tiny.Bytes("before.st"));
  CHECK(tiny.Bytes("dense.st") != tiny.Bytes("during.st"));
  CheckFails(forward("y.st", {"--attention", "*attn1@5: window", "--steps", "5"}), 4, "5 steps");
}

}  // namespace
}  // namespace fovea
