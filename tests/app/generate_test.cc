// `fovea generate` on a tiny pipeline: what it writes, where, and what it leaves behind.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "models/files/safetensors.h"
#include "pipelines/pictures/formats/png_file.h"
#include "tests/support/cli_checks.h"
#include "tests/support/pipeline_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Tiny {
  TempDir temp;
  fs::path model = temp / "tiny";

  Tiny() { WritePipeline(model, Sd15SchedulerJson()); }

  ProgramResult Generate(std::vector<std::string> arguments, const RunOptions& options = {}) const {
    std::vector<std::string> words = {"generate", "-m", model.string()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    RunOptions here = options;
    here.folder = temp.Path();
    return RunFovea(words, here);
  }
};

TEST_CASE("pictures go to out/ under their seed, counting up, never overwriting") {
  const Tiny tiny;
  const ProgramResult first = tiny.Generate({"-p", "a cube", "-s", "5", "--steps", "2"});
  CheckDone(first);
  CHECK(first.out == "out/5-0001.png\n");
  const std::string bytes = ReadBytes(tiny.temp / "out/5-0001.png");
  CheckDone(tiny.Generate({"-p", "a cube", "-s", "5", "--steps", "3"}));
  CHECK(NamesIn(tiny.temp / "out") == std::vector<std::string>{"5-0001.png", "5-0002.png"});
  CHECK(ReadBytes(tiny.temp / "out/5-0001.png") == bytes);
  CHECK(ReadBytes(tiny.temp / "out/5-0002.png") != bytes);
}

TEST_CASE("a named file is replaced, a batch counts up from its name") {
  const Tiny tiny;
  WriteBytes(tiny.temp / "a.png", "old");
  CheckDone(tiny.Generate({"-p", "", "-s", "1", "--steps", "1", "-o", "a.png"}));
  CHECK(ReadPng(tiny.temp / "a.png").width == 80);
  CheckDone(tiny.Generate({"-p", "", "-s", "1", "-b", "2", "--steps", "1", "-o", "a.png"}));
  CHECK(NamesIn(tiny.temp.Path()) ==
        std::vector<std::string>{"a-0001.png", "a-0002.png", "a.png", "tiny"});
}

TEST_CASE("the bytes of picture i are those of seed s + i, whatever the batch", "[determinism]") {
  const Tiny tiny;
  const std::string rng = GENERATE(as<std::string>{}, "philox", "torch");
  const std::vector<std::string> common = {"-p",        "a red cube", "--steps", "3",
                                           "--sampler", "euler_a",    "--rng",   rng};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), common.begin(), common.end());
    return more;
  };
  CheckDone(tiny.Generate(with({"-s", "41", "-b", "2", "-o", "both/"})));
  CheckDone(tiny.Generate(with({"-s", "41", "-o", "one.png"})));
  CheckDone(tiny.Generate(with({"-s", "42", "-o", "two.png"})));
  CHECK(ReadBytes(tiny.temp / "both/41-0001.png") == ReadBytes(tiny.temp / "one.png"));
  CHECK(ReadBytes(tiny.temp / "both/42-0001.png") == ReadBytes(tiny.temp / "two.png"));
  CHECK(ReadBytes(tiny.temp / "one.png") != ReadBytes(tiny.temp / "two.png"));
}

TEST_CASE("the flag --json is one object on standard output") {
  const Tiny tiny;
  const ProgramResult result = tiny.Generate(
      {"-p", "x", "-b", "2", "--steps", "2", "--sampler", "ddim", "--json", "-v", "-o", "o/"});
  CheckDone(result);
  const json report = json::parse(result.out);  // throws on anything after the object
  CHECK(report.at("files").size() == 2);
  for (const json& file : report.at("files"))
    CHECK(fs::exists(tiny.temp / file.get<std::string>()));
  CHECK(report.at("seeds").at(1) == report.at("seeds").at(0).get<uint64_t>() + 1);
  CHECK(report.at("settings").at("steps") == 2);
  CHECK(report.at("settings").at("width") == 80);
  CHECK(report.at("settings").at("seed") == report.at("seeds").at(0));
  CHECK(report.at("peak_memory_mb") > 1.0);
  CHECK(report.at("arena_bytes") == report.at("predicted_arena_bytes"));
  CHECK(report.at("packed_bytes") == report.at("predicted_packed_bytes"));
  // The same seed is said to people, too.
  CHECK_THAT(result.err, Catch::Contains("seed " + report.at("seeds").at(0).dump()));
  CHECK_THAT(result.err, Catch::Contains("step 2/2"));
}

TEST_CASE("the flag --from renders a picture again, and flags beside it win") {
  const Tiny tiny;
  CheckDone(tiny.Generate({"-p",
                           "ein Würfel, \"rot\"",
                           "-n",
                           "blurry\nbad",
                           "-s",
                           "77",
                           "--steps",
                           "3",
                           "-W",
                           "64",
                           "-H",
                           "48",
                           "--cfg",
                           "4.25",
                           "--cfg-rescale",
                           "0.3",
                           "--sampler",
                           "ddim",
                           "--eta",
                           "0.5",
                           "--rng",
                           "torch",
                           "--clip-skip",
                           "1",
                           "-b",
                           "2",
                           "-o",
                           "first/"}));
  const fs::path picture = tiny.temp / "first/78-0001.png";
  CheckDone(tiny.Generate({"--from", picture.string(), "-o", "again.png"}));
  CHECK(ReadBytes(tiny.temp / "again.png") == ReadBytes(picture));
  CheckDone(tiny.Generate({"--from", picture.string(), "--steps", "2", "-o", "other.png"}));
  const PngText text = ReadPngText(tiny.temp / "other.png");
  const json settings = json::parse(text.at("fovea")).at("settings");
  CHECK(settings.at("steps") == 2);
  CHECK(settings.at("seed") == 78);
  CHECK(settings.at("eta") == 0.5);
  CHECK(settings.at("prompt") == "ein Würfel, \"rot\"");
}

TEST_CASE("a picture holds no paths and reads as A1111's, too") {
  const Tiny tiny;
  CheckDone(
      tiny.Generate({"-p", "a cube", "-n", "blur", "-s", "9", "--steps", "2", "-o", "a.png"}));
  const PngText text = ReadPngText(tiny.temp / "a.png");
  CHECK_THAT(text.at("parameters"), Catch::StartsWith("a cube\nNegative prompt: blur\nSteps: 2, "));
  CHECK_THAT(text.at("parameters"), Catch::Contains("Seed: 9, Size: 80x80, Model: tiny"));
  CHECK(ReadBytes(tiny.temp / "a.png").find(tiny.temp.Path().filename().string()) ==
        std::string::npos);
}

TEST_CASE("the flags --dump and --save-latents write what the loop saw") {
  const Tiny tiny;
  CheckDone(tiny.Generate({"-p", "a", "-s", "3", "--steps", "3", "--sampler", "euler", "--dump",
                           "d", "--save-latents", "z.safetensors", "-o", "a.png"}));
  CHECK(NamesIn(tiny.temp / "d") ==
        std::vector<std::string>{"step-000.safetensors", "step-001.safetensors",
                                 "step-002.safetensors", "text.safetensors"});
  const NamedTensors last = ReadSafetensors(tiny.temp / "d/step-002.safetensors");
  for (const char* name : {"latents", "model_output", "latents_out"}) {
    CHECK(last.at(name).shape() == Shape{1, 4, 10, 10});
  }
  CHECK(last.at("timestep").NumElements() == 1);
  const NamedTensors saved = ReadSafetensors(tiny.temp / "z.safetensors");
  const HostTensor &z = saved.at("latents"), &out = last.at("latents_out");
  CHECK(std::equal(z.Data<float>(), z.Data<float>() + z.NumElements(), out.Data<float>()));
  const NamedTensors text = ReadSafetensors(tiny.temp / "d/text.safetensors");
  CHECK(text.contains("prompt_embeds"));
  CHECK(text.contains("negative_prompt_embeds"));
}

TEST_CASE("the flag --init-latents replaces the first noise, strictly") {
  const Tiny tiny;
  HostTensor noise({1, 4, 10, 10}, DType::kF32);
  for (int64_t i = 0; i < noise.NumElements(); ++i) noise.Data<float>()[i] = float(i % 7) - 3;
  const auto file = [&](const char* name, const NamedTensors& tensors) {
    WriteSafetensors(tiny.temp / name, tensors);
    return std::string(name);
  };
  const auto run = [&](const std::string& latents, const std::string& output) {
    return tiny.Generate(
        {"-p", "a", "-s", "1", "--steps", "1", "--init-latents", latents, "-o", output});
  };
  CheckDone(run(file("good.safetensors", {{"latents", noise}}), "a.png"));
  CheckDone(tiny.Generate({"-p", "a", "-s", "1", "--steps", "1", "-o", "b.png"}));
  CHECK(ReadPng(tiny.temp / "a.png").rgb != ReadPng(tiny.temp / "b.png").rgb);
  // The settings alone cannot render it again; with the file they can.
  CheckFails(tiny.Generate({"--from", "a.png", "-o", "c.png"}), 2, "--init-latents");
  CheckDone(
      tiny.Generate({"--from", "a.png", "--init-latents", "good.safetensors", "-o", "c.png"}));
  CHECK(ReadBytes(tiny.temp / "c.png") == ReadBytes(tiny.temp / "a.png"));

  CheckFails(run("absent.safetensors", "x.png"), 3, "absent.safetensors");
  CheckFails(run(file("name.safetensors", {{"z", noise}}), "x.png"), 3, "latents");
  CheckFails(run(file("type.safetensors", {{"latents", HostTensor({1, 4, 10, 10}, DType::kI64)}}),
                 "x.png"),
             3, "i64");
  for (const Shape& shape :
       {Shape{4, 10, 10}, Shape{2, 4, 10, 10}, Shape{1, 3, 10, 10}, Shape{1, 4, 10, 11}}) {
    const ProgramResult result =
        run(file("shape.safetensors", {{"latents", HostTensor(shape, DType::kF32)}}), "x.png");
    INFO(result.err);
    CHECK((result.exit_code == 2 || result.exit_code == 3));
    CHECK_THAT(result.err, Catch::Contains("latents"));
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  }
  CHECK_FALSE(fs::exists(tiny.temp / "x.png"));
}

TEST_CASE("a cancelled run exits with 130 and leaves nothing") {
  const Tiny tiny;
  const auto before = NamesIn(tiny.temp.Path());
  RunOptions options;
  options.interrupt_after = "step 2/";
  const ProgramResult result =
      tiny.Generate({"-p", "a", "--steps", "900", "--sampler", "ddim", "-o", "made/here/", "--dump",
                     "dumped", "--save-latents", "z.safetensors", "--trace", "t.json", "--json"},
                    options);
  INFO(result.err);
  CHECK(result.exit_code == 130);
  CHECK(result.out.empty());
  CHECK_THAT(result.err, Catch::EndsWith("fovea: cancelled; nothing was written\n"));
  CHECK(result.seconds < 30);
  CHECK(NamesIn(tiny.temp.Path()) == before);
}

TEST_CASE("settings that the model cannot serve are refused before anything is written") {
  const Tiny tiny;
  const auto before = NamesIn(tiny.temp.Path());
  CheckFails(tiny.Generate({"-p", "a", "-W", "65"}), 2, "width");
  CheckFails(tiny.Generate({"-p", "a", "-H", "4"}), 2, "height");
  CheckFails(tiny.Generate({"-p", "a", "--steps", "1001"}), 2, "steps");
  CheckFails(tiny.Generate({"-p", "a", "--clip-skip", "900"}), 2, "clip-skip");
  CHECK(NamesIn(tiny.temp.Path()) == before);
}

TEST_CASE("outputs that cannot be written are refused before the first step") {
  const Tiny tiny;
  WriteBytes(tiny.temp / "file", "x");
  fs::create_directory(tiny.temp / "folder.png");
  const auto refuse = [&](std::vector<std::string> flags, const std::string& says) {
    flags.insert(flags.end(), {"-p", "a", "--steps", "2"});
    CheckFails(tiny.Generate(flags), 3, says);
  };
  refuse({"-o", "absent/a.png"}, "absent");
  refuse({"-o", "file/a.png"}, "file");
  refuse({"-o", "file/sub/"}, "file");
  refuse({"-o", "/proc/fovea/"}, "/proc/fovea");
  refuse({"-o", "/proc/a.png"}, "/proc");
  refuse({"--save-latents", "absent/z.safetensors"}, "absent");
  refuse({"--save-latents", "/dev/null"}, "/dev/null");
  refuse({"--trace", "tiny"}, "folder");
  refuse({"--dump", "file"}, "file");
  CHECK_FALSE(fs::exists(tiny.temp / "out"));
}

// Sanitizers reserve far more than the limit that this test sets.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("memory is foreseen: a run that cannot fit is refused with 5") {
  const Tiny tiny;
  const ProgramResult result = RunProgram("/bin/sh", {"-c",
                                                      "ulimit -d 250000; exec \"$0\" \"$@\"",
                                                      ProgramFolder() / "fovea",
                                                      "generate",
                                                      "-m",
                                                      tiny.model.string(),
                                                      "-p",
                                                      "a",
                                                      "-W",
                                                      "2048",
                                                      "-H",
                                                      "2048",
                                                      "--vae-tiling",
                                                      "off",
                                                      "--steps",
                                                      "1",
                                                      "-t",
                                                      "1",
                                                      "-o",
                                                      tiny.temp / "a.png"});
  CheckFails(result, 5, "are available; do not give --vae-tiling off");
  CHECK_FALSE(fs::exists(tiny.temp / "a.png"));
}
#endif

TEST_CASE("the flag --trace writes a trace and the folder of a model may be a name") {
  const Tiny tiny;
  const ProgramResult result =
      RunFovea({"generate", "-m", "tiny", "--models", tiny.temp.Path().string(), "-p", "a",
                "--steps", "1", "--trace", "t.json", "-o", "a.png"},
               {.folder = tiny.temp / "tiny"});
  CheckDone(result);
  const json trace = json::parse(ReadBytes(tiny.temp / "tiny/t.json"));
  CHECK((trace.is_array() ? trace : trace.at("traceEvents")).size() > 10);
}

}  // namespace
}  // namespace fovea
