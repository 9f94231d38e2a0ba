// --hires on the command line: what is refused, what dry runs foresee, what pictures keep. On the
// built-in model, whose trained size is 128 pixels.
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

struct Here {
  TempDir temp;

  ProgramResult Run(std::vector<std::string> words) const {
    RunOptions here;
    here.folder = temp.Path();
    return RunFovea(words, here);
  }
  ProgramResult Generate(const std::string& out, std::vector<std::string> more,
                         const char* width = "256") const {
    std::vector<std::string> words = {"generate", "-p", "a red cube", "-s",       "5",
                                      "--steps",  "6",  "--sampler",  "ddim",     "-W",
                                      width,      "-H", "128",        "--output", out};
    words.insert(words.end(), more.begin(), more.end());
    return Run(words);
  }
  std::string Bytes(const std::string& name) const { return ReadBytes(temp / name); }
};

TEST_CASE("generate: --hires says what ran, foresees it, and --from brings it back") {
  const Here here;
  const ProgramResult run = here.Generate("a.png", {"--hires", "hidiffusion", "--json"});
  CheckDone(run);
  const json report = json::parse(run.out);
  const json& hires = report.at("hires");
  CHECK(hires.at("schedule") == "sd");
  CHECK(hires.at("extreme") == false);
  CHECK(hires.at("windows") == true);
  REQUIRE(hires.at("stages").size() == 2);
  CHECK(hires.at("stages")[0] == json{{"steps", "0-1"}, {"stage", "conv"}});
  CHECK(hires.at("stages")[1] == json{{"steps", "2-5"}, {"stage", "off"}});
  CHECK(hires.at("predicted_speedup").get<double>() > 1);
  CHECK(report.at("arena_bytes") == report.at("predicted_arena_bytes"));
  CHECK(report.at("packed_bytes") == report.at("predicted_packed_bytes"));
  int windows = 0;
  for (const json& group : report.at("attention").at("ran")) {
    if (group.at("operator") == "window") windows += static_cast<int>(group.at("layers").size());
  }
  CHECK(windows == 3);  // one layer in the first down block, two in the last up block

  CheckDone(here.Run({"generate", "--from", "a.png", "-o", "b.png"}));
  CHECK(here.Bytes("a.png") == here.Bytes("b.png"));
  CheckDone(here.Run({"generate", "--from", "a.png", "--hires", "off", "-o", "c.png"}));
  CheckDone(here.Generate("d.png", {}));
  CHECK(here.Bytes("c.png") == here.Bytes("d.png"));
  const ProgramResult info = here.Run({"info", "a.png", "--json"});
  CheckDone(info);
  json kept = hires;
  kept.erase("predicted_speedup");
  CHECK(json::parse(info.out).at("hires") == kept);
  CHECK(json::parse(info.out).at("settings").at("hires") == "hidiffusion");
}

TEST_CASE("generate: modes of --hires differ, and auto waits for larger pictures") {
  const Here here;
  const auto latents = [&](const char* mode, const char* width) {
    CheckDone(here.Generate("x.png", {"--hires", mode, "--save-latents", "x.st"}, width));
    return here.Bytes("x.st");
  };
  const std::string off = latents("off", "160");
  CHECK(latents("auto", "160") == off);  // 1.25 times the trained size
  CHECK(latents("raunet", "160") != off);
  const std::string full = latents("hidiffusion", "168");
  CHECK(latents("auto", "168") == full);
  CHECK(latents("hidiffusion=sd", "168") == full);
  CHECK(latents("raunet", "168") != full);
}

TEST_CASE("generate: rules of --attention come before the windows of --hires") {
  const Here here;
  const auto latents = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--save-latents", "x.st"});
    CheckDone(here.Generate("x.png", more));
    return here.Bytes("x.st");
  };
  CHECK(latents({"--hires", "hidiffusion", "--attention", "*attn1: dense"}) ==
        latents({"--hires", "raunet"}));
  CHECK(latents({"--hires", "hidiffusion", "--attention", "up_blocks.2.*attn1: dense"}) ==
        latents({"--hires", "hidiffusion"}));
}

TEST_CASE("generate: modes of --hires that cannot be, each with its exit code and one line") {
  const Here here;
  WritePipeline(here.temp / "tiny", Sd15SchedulerJson());
  const auto tiny = [&](const char* mode) {
    return here.Run({"generate", "-m", "tiny", "--hires", mode, "-W", "160", "-o", "x.png"});
  };
  CheckFails(tiny("on"), 2, "\"on\"");
  CheckFails(tiny("raunet=sd15"), 2, "sd15");
  CheckFails(tiny("raunet"), 4, "UNet2DConditionModel");
  CheckFails(here.Generate("x.png", {"--hires", "hidiffusion=sdxl"}), 4, "sdxl");
  CHECK(NamesIn(here.temp.Path()) == std::vector<std::string>{"tiny"});
  WriteSafetensors(here.temp / "x.st", {{"z", HostTensor({1, 4, 8, 8}, DType::kF32)}});
  CheckFails(here.Run({"forward", "-m", "tiny", "--component", "vae", "--hires", "raunet", "--in",
                       "x.st", "--out", "y.st"}),
             4, "AutoencoderKL");
}

TEST_CASE("forward: --hires acts at the steps of its stages") {
  const Here here;
  NamedTensors inputs;
  inputs["sample"] = RandomNormal({1, 16, 32, 17}, 1);
  inputs["timestep"] = HostTensor({1}, std::vector<int64_t>{500});
  inputs["encoder_hidden_states"] = RandomNormal({1, 5, 128}, 2);
  WriteSafetensors(here.temp / "x.st", inputs);
  const auto forward = [&](std::vector<std::string> more) {
    std::vector<std::string> words = {"forward", "--component", "unet", "--in",
                                      "x.st",    "--out",       "y.st", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const ProgramResult result = here.Run(words);
    CheckDone(result);
    return std::pair{here.Bytes("y.st"), json::parse(result.out)};
  };
  const auto off = forward({}).first;
  const auto [early, report] = forward({"--hires", "raunet", "--step", "3", "--steps", "10"});
  CHECK(early != off);
  CHECK(report.at("hires").at("stage") == "conv");
  const auto [late, later] = forward({"--hires", "raunet", "--step", "4", "--steps", "10"});
  CHECK(late == off);
  CHECK(later.at("hires").at("stage") == "off");
  // Draws depend on seed and step.
  const std::vector<std::string> windows = {"--hires", "hidiffusion", "--step",
                                            "5",       "--steps",     "10"};
  auto seeded = windows;
  seeded.insert(seeded.end(), {"-s", "11"});
  CHECK(forward(windows).first != off);
  CHECK(forward(windows).first == forward(windows).first);
  CHECK(forward(seeded).first != forward(windows).first);
}

}  // namespace
}  // namespace fovea
