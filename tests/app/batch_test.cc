// `fovea generate -b`: pictures are on disk as soon as they are made, and links keep pointing.
#include <algorithm>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "models/files/safetensors.h"
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

  ProgramResult Generate(std::vector<std::string> arguments, const RunOptions& options = {}) const {
    std::vector<std::string> words = {"generate", "-m", model.string(), "--steps", "1"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    if (std::find(words.begin(), words.end(), "-s") == words.end()) {
      words.insert(words.end(), {"-s", "5"});
    }
    RunOptions here = options;
    here.folder = temp.Path();
    return RunFovea(words, here);
  }
};

TEST_CASE("a batch that is stopped keeps the pictures that were made") {
  const Tiny tiny;
  RunOptions options;
  options.interrupt_after = "step 2/";  // of one step each, so a group is on disk
  const ProgramResult result = tiny.Generate({"-p", "x", "-b", "64", "-o", "out/"}, options);
  CHECK(result.exit_code == 130);
  CHECK(result.err.find("of 64 pictures were written") != std::string::npos);
  const auto names = NamesIn(tiny.temp / "out");
  CHECK(names.size() >= 4);
  CHECK(names.size() < 64);
  for (const std::string& name : names) CHECK(name.ends_with("-0001.png"));  // whole files alone
}

TEST_CASE("groups of a batch are the batch: noise that is given, latents that are kept, seeds") {
  const Tiny tiny;
  HostTensor noise({11, 4, 10, 10}, DType::kF32);
  for (int64_t i = 0; i < noise.NumElements(); ++i) {
    noise.Data<float>()[i] = static_cast<float>(i % 97) / 50 - 1;
  }
  WriteSafetensors(tiny.temp / "noise.safetensors", {{"latents", noise}});
  const ProgramResult result =
      tiny.Generate({"-p", "x", "-b", "11", "-o", "out/", "--init-latents", "noise.safetensors",
                     "--save-latents", "z.safetensors", "--json"});
  CheckDone(result);
  const auto report = nlohmann::json::parse(result.out);
  CHECK(report.at("files").size() == 11);
  CHECK(report.at("seeds").at(10) == 15);
  CHECK(report.at("settings").at("batch") == 11);
  const NamedTensors all = ReadSafetensors(tiny.temp / "z.safetensors");
  REQUIRE(all.at("latents").shape() == Shape{11, 4, 10, 10});
  // The tenth alone: its own noise, its own latents.
  HostTensor one({1, 4, 10, 10}, DType::kF32);
  std::copy_n(noise.Data<float>() + 9 * 400, 400, one.Data<float>());
  WriteSafetensors(tiny.temp / "one.safetensors", {{"latents", one}});
  CheckDone(tiny.Generate({"-p", "x", "-s", "14", "-o", "one.png", "--init-latents",
                           "one.safetensors", "--save-latents", "y.safetensors"}));
  const NamedTensors alone = ReadSafetensors(tiny.temp / "y.safetensors");
  const float* want = alone.at("latents").Data<float>();
  CHECK(std::equal(want, want + 400, all.at("latents").Data<float>() + 9 * 400));
  CHECK(ReadBytes(tiny.temp / "one.png").size() > 0);
  CheckFails(tiny.Generate({"-p", "x", "-b", "3", "-o", "o/", "--init-latents", "one.safetensors"}),
             3, "init-latents");
}

TEST_CASE("an output through a link is written to the file behind it") {
  const Tiny tiny;
  fs::create_directory(tiny.temp / "real");
  const fs::path real = tiny.temp / "real/p.png", link = tiny.temp / "l.png";
  WriteBytes(real, "old");
  fs::permissions(real, fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("real/p.png", link);
  CheckDone(tiny.Generate({"-p", "x", "-o", "l.png"}));
  CHECK(fs::is_symlink(link));
  CHECK(ReadBytes(real).substr(1, 3) == "PNG");
  CHECK(fs::status(real).permissions() == (fs::perms::owner_read | fs::perms::owner_write));

  fs::create_symlink("real/none.safetensors", tiny.temp / "z.safetensors");  // to nothing yet
  CheckDone(tiny.Generate({"-p", "x", "-o", "o.png", "--save-latents", "z.safetensors"}));
  CHECK(fs::is_symlink(tiny.temp / "z.safetensors"));
  CHECK(fs::exists(tiny.temp / "real/none.safetensors"));
  CHECK(NamesIn(tiny.temp / "real") == std::vector<std::string>{"none.safetensors", "p.png"});

  // Two names of one file are one output; open files, devices and rings are none.
  CheckFails(tiny.Generate({"-p", "x", "-o", "l.png", "--save-latents", "real/p.png"}), 2, "p.png");
  fs::create_symlink("/proc/self/fd/1", tiny.temp / "stdout");
  fs::create_symlink("/dev/null", tiny.temp / "null.png");
  fs::create_symlink("ring.png", tiny.temp / "ring.png");
  for (const char* name : {"stdout", "null.png", "ring.png"}) {
    INFO(name);
    const ProgramResult refused = tiny.Generate({"-p", "x", "-o", "a.png", "--save-latents", name});
    CheckFails(refused, 3, "cannot be written");
    CHECK(fs::is_symlink(fs::symlink_status(tiny.temp / name)));
  }
}

}  // namespace
}  // namespace fovea
