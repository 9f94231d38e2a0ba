// `fovea generate` where nobody watches: signals, closed outputs, shared folders, hostile inputs.
#include <sys/stat.h>

#include <algorithm>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "pipelines/pictures/formats/png_file.h"
#include "pipelines/pictures/image.h"
#include "tests/support/cli_checks.h"
#include "tests/support/pipeline_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

struct Tiny {
  TempDir temp;
  fs::path model = temp / "tiny";

  Tiny() { WritePipeline(model, Sd15SchedulerJson()); }

  ProgramResult Generate(std::vector<std::string> arguments) const {
    std::vector<std::string> words = {"generate", "-m", model.string(), "-s", "5"};
    if (std::find(arguments.begin(), arguments.end(), "--from") == arguments.end() &&
        std::find(arguments.begin(), arguments.end(), "-p") == arguments.end()) {
      words.insert(words.end(), {"-p", "x"});
    }
    words.insert(words.end(), arguments.begin(), arguments.end());
    RunOptions here;
    here.folder = temp.Path();
    return RunFovea(words, here);
  }
  // `script` as the shell runs it; $FOVEA is the program with its first arguments.
  ProgramResult Shell(const std::string& script) const {
    RunOptions here;
    here.folder = temp.Path();
    here.env["FOVEA"] = (ProgramFolder() / "fovea").string() + " generate -m " + model.string();
    return RunProgram("/bin/sh", {"-c", script}, here);
  }
};

TEST_CASE("pictures are made although standard output or error is closed") {
  const Tiny tiny;
  const ProgramResult closed = tiny.Shell("$FOVEA -p x -s 1 --steps 2 -o a.png 2>&-");
  CHECK(closed.exit_code == 0);
  CHECK(ReadPng(tiny.temp / "a.png").width == 80);
  CHECK(tiny.Shell("$FOVEA -p x -s 1 --steps 2 -o b.png >&- 2>&-").exit_code == 0);
  CHECK(ReadBytes(tiny.temp / "b.png") == ReadBytes(tiny.temp / "a.png"));
  // Readers that leave at once.
  const ProgramResult pipe =
      tiny.Shell("{ $FOVEA -p x -s 1 --steps 9 -o c.png 2>&1; echo $? >code; } | true");
  CHECK(pipe.exit_code == 0);
  CHECK(ReadBytes(tiny.temp / "code") == "0\n");
  CHECK(ReadPng(tiny.temp / "c.png").width == 80);
}

TEST_CASE("every signal that asks to stop is obeyed, and nothing is left behind") {
  for (const char* signal : {"HUP", "USR1", "TERM", "INT"}) {
    const Tiny tiny;
    INFO(signal);
    const ProgramResult result = tiny.Shell(
        "$FOVEA -p x -s 1 --steps 900 -o out/ 2>err & "
        "while ! grep -q step err; do sleep 0.05; done; kill -" +
        std::string(signal) + " $!; wait $!");
    CHECK(result.exit_code == 130);
    CHECK_FALSE(fs::exists(tiny.temp / "out"));
  }
}

TEST_CASE("SIGHUP that the caller ignores stays ignored") {
  const Tiny tiny;
  const ProgramResult result = tiny.Shell(
      "trap '' HUP; $FOVEA -p x -s 1 --steps 200 -o a.png 2>err & "
      "while ! grep -q step err; do sleep 0.05; done; kill -HUP $!; wait $!");
  CHECK(result.exit_code == 0);
  CHECK(fs::exists(tiny.temp / "a.png"));
}

TEST_CASE("what a killed program left under its temporary name hinders nobody and goes") {
  const Tiny tiny;
  const ProgramResult killed = tiny.Shell(
      "$FOVEA -p x -s 1 --steps 900 -o out/ --dump d 2>err & "
      "while ! grep -q step err; do sleep 0.05; done; : >out/.fovea-1-1.png; kill -KILL $!; "
      "wait $!");
  CHECK(killed.exit_code == 137);
  CHECK(fs::exists(tiny.temp / "out"));
  CheckDone(tiny.Generate({"--steps", "1", "-o", "out/"}));
  CheckDone(tiny.Generate({"--steps", "1", "-o", "out/"}));
  CHECK(NamesIn(tiny.temp / "out") ==
        std::vector<std::string>{".fovea-1-1.png", "5-0001.png", "5-0002.png"});
}

TEST_CASE("pipes and devices as inputs are refused at once") {
  const Tiny tiny;
  REQUIRE(mkfifo((tiny.temp / "pipe.png").c_str(), 0600) == 0);
  for (const char* flag : {"--image", "--mask", "--from", "--init-latents"}) {
    for (const char* file : {"pipe.png", "/dev/zero"}) {
      INFO(flag << " " << file);
      std::vector<std::string> words = {flag, file, "-o", "a.png"};
      if (std::string(flag) == "--mask") {
        WritePng(tiny.temp / "image.png", Image{8, 8, std::vector<uint8_t>(192, 9)}, {});
        words.insert(words.end(), {"--image", "image.png"});
      }
      const ProgramResult result = tiny.Generate(words);
      CheckFails(result, 3, file);
      CHECK(result.seconds < 20);
    }
  }
}

TEST_CASE("a file that is no plan is refused without showing its text") {
  const Tiny tiny;
  const std::string secret = "root:$6$verysecret:19000:0:99999:7:::\nhidden\n";
  WriteBytes(tiny.temp / "shadow", secret);
  WriteBytes(tiny.temp / "token", "verysecret\n");
  WriteBytes(tiny.temp / "json", "{\"verysecret\": 1}");
  for (const char* file : {"@shadow", "@token", "@json"}) {
    for (const char* flag : {"--attention", "--hires-attention", "--perturb"}) {
      INFO(flag << " " << file);
      const ProgramResult result = tiny.Generate({flag, file, "--hires", "two-pass"});
      if (std::string(flag) == "--perturb" && std::string(file) == "@token") {
        CHECK(result.exit_code != 0);  // it could be a layer's name; the model lacks it
        continue;
      }
      CheckFails(result, 2, std::string(file).substr(1));
      CHECK(result.err.find("secret") == std::string::npos);
      CHECK(result.err.find("hidden") == std::string::npos);
    }
  }
}

TEST_CASE("names in prompts and pictures are no paths") {
  const Tiny tiny;
  for (const char* name : {"../../etc/passwd", "/etc/passwd", "a/../../b", "~/x", "./x"}) {
    INFO(name);
    CheckFails(tiny.Generate({"-p", "a <lora:" + std::string(name) + ":1>"}), 2, "names a path");
    const Image image{8, 8, std::vector<uint8_t>(192, 9)};
    WritePng(tiny.temp / "a.png", image,
             {{"parameters", "a <lora:" + std::string(name) +
                                 ":1>\nSteps: 2, Sampler: Euler, Seed: 1, Size: 80x80"}});
    const ProgramResult foreign = tiny.Generate({"--from", "a.png"});
    CHECK(foreign.exit_code != 0);
    CHECK(foreign.err.find("path") != std::string::npos);
  }
  CheckDone(tiny.Generate({"--steps", "1", "-o", "ours.png"}));
  const std::string chunk = ReadPngText(tiny.temp / "ours.png").at("fovea");
  for (const char* field : {"model", "overlay", "lora"}) {
    INFO(field);
    auto json = nlohmann::json::parse(chunk);
    json.at("settings")[field] =
        std::string("../../etc/passwd") + (std::string(field) == "lora" ? ":1" : "");
    WritePng(tiny.temp / "b.png", Image{8, 8, std::vector<uint8_t>(192, 9)},
             {{"fovea", json.dump()}});
    const ProgramResult result = RunFovea({"generate", "--from", (tiny.temp / "b.png").string(),
                                           "-o", (tiny.temp / "c.png").string()});
    CheckFails(result, 3, "path");
  }
}

TEST_CASE("help of a command that there is not is an error") {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"nonsense", "--help"}, {"bench", "nonsense", "--help"}}) {
    CheckFails(RunFovea(words), 2, "nonsense");
  }
  CHECK(RunFovea({"generate", "--help"}).exit_code == 0);
  CHECK(RunFovea({"bench", "--help"}).exit_code == 0);
}

}  // namespace
}  // namespace fovea
