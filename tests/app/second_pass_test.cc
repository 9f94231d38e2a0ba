// `fovea generate --hires two-pass` with settings of the second pass alone: CLEAR's recipe for
// large pictures.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "models/files/safetensors.h"
#include "pipelines/pictures/formats/png_file.h"
#include "tests/support/cli_checks.h"
#include "tests/support/pipeline_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

using nlohmann::json;

constexpr const char* kDynamic =
    R"({"_class_name":"FlowMatchEulerDiscreteScheduler","shift":3,"use_dynamic_shifting":true})";

struct Tiny {
  TempDir temp;
  std::string prompt = "a cube";

  explicit Tiny(const char* model, const char* scheduler = kDynamic) {
    WritePipeline(temp / "tiny", scheduler, std::string("transformer_pipelines/") + model);
  }
  ProgramResult Generate(std::vector<std::string> more) const {
    std::vector<std::string> words = {"generate", "-m", "tiny", "-p", prompt, "-s", "3"};
    words.insert(words.end(), more.begin(), more.end());
    RunOptions here;
    here.folder = temp.Path();
    return RunFovea(words, here);
  }
  std::string Bytes(const char* name) const { return ReadBytes(temp / name); }
  std::vector<uint8_t> Pixels(const char* name) const { return ReadPng(temp / name).rgb; }
};

// Tensors as CLEAR's are: other queries of every layer, and pooling.
void WriteOverlay(const Tiny& tiny) {
  NamedTensors over;
  const auto file = tiny.temp / "tiny/transformer/diffusion_pytorch_model.safetensors";
  for (auto& [name, tensor] : ReadSafetensors(file)) {
    if (!name.ends_with(".attn.to_q.weight")) continue;
    HostTensor pooling({1, 2, 1, 2, 1}, DType::kF32);
    for (int i = 0; i < 4; ++i) pooling.Data<float>()[i] = 0.1f * static_cast<float>(i + 1);
    const std::string site = name.substr(0, name.size() - std::string("to_q.weight").size());
    over[site + "processor.spatial_weight"] = std::move(pooling);
    for (int64_t i = 0; i < tensor.NumElements(); ++i) tensor.Data<float>()[i] *= -0.5f;
    over[name] = std::move(tensor);
  }
  REQUIRE(over.size() == 8);
  WriteSafetensors(tiny.temp / "clear.safetensors", over);
}

TEST_CASE("a second pass has its own steps, guidance, positions, shift, plan and weights") {
  const Tiny tiny("flux_dev");
  WriteOverlay(tiny);
  const std::string plan = "clear(r=2,down=2,proportional=on)";
  // Pairs of a flag and its value.
  const std::vector<std::string> both = {"--hires",
                                         "two-pass=2,0.7",
                                         "-W",
                                         "96",
                                         "-H",
                                         "64",
                                         "--steps",
                                         "3",
                                         "--cfg",
                                         "3.5",
                                         "--hires-steps",
                                         "5",
                                         "--hires-cfg",
                                         "7.5",
                                         "--hires-ntk",
                                         "10",
                                         "--hires-shift",
                                         "3",
                                         "--hires-attention",
                                         plan,
                                         "--overlay",
                                         "clear.safetensors",
                                         "--overlay-pass",
                                         "second"};
  std::vector<std::string> words = both;
  words.insert(words.end(), {"--json", "-o", "both.png"});
  const ProgramResult result = tiny.Generate(words);
  CheckDone(result);
  const json report = json::parse(result.out);
  CHECK(report.at("hires").at("two_pass").at("calls") == json({3, 4}));
  CHECK(report.at("attention").at("ran").at(0).at("operator") == plan);
  CHECK(report.at("arena_bytes") == report.at("predicted_arena_bytes"));
  CHECK(report.at("packed_bytes") <= report.at("predicted_packed_bytes"));

  CheckDone(
      tiny.Generate({"-W", "48", "-H", "32", "--steps", "3", "--cfg", "3.5", "-o", "first.png"}));
  CheckDone(tiny.Generate({"--image", "first.png",   "--strength", "0.7",       "-W",
                           "96",      "-H",          "64",         "--steps",   "5",
                           "--cfg",   "7.5",         "--ntk",      "10",        "--shift",
                           "3",       "--attention", plan,         "--overlay", "clear.safetensors",
                           "-o",      "second.png"}));
  CHECK(tiny.Pixels("both.png") == tiny.Pixels("second.png"));

  // Each of them counts.
  for (size_t i = 0; i < both.size(); i += 2) {
    if (!both[i].starts_with("--hires-") && both[i] != "--overlay-pass") continue;
    CAPTURE(both[i]);
    std::vector<std::string> other = both;
    const auto at = other.begin() + static_cast<std::ptrdiff_t>(i);
    if (both[i] == "--hires-attention") {
      *(at + 1) = "clear(r=1,down=2)";
    } else {
      other.erase(at, at + 2);
    }
    other.insert(other.end(), {"-o", "other.png"});
    CheckDone(tiny.Generate(other));
    CHECK(tiny.Pixels("other.png") != tiny.Pixels("both.png"));
  }

  // Stored with the picture, whose settings name the overlay without its folder.
  const json settings = json::parse(ReadPngText(tiny.temp / "both.png").at("fovea")).at("settings");
  CHECK(settings.at("hires-attention") == plan);
  CHECK(settings.at("hires-ntk") == 10);
  CHECK(settings.at("overlay-pass") == "second");
  CheckDone(
      tiny.Generate({"--from", "both.png", "--overlay", "clear.safetensors", "-o", "again.png"}));
  CHECK(tiny.Bytes("again.png") == tiny.Bytes("both.png"));
  CheckDone(tiny.Generate({"--from", "both.png", "--overlay", "clear.safetensors", "--hires", "off",
                           "-o", "single.png"}));
}

TEST_CASE("positions and shifts are refused where a model has none") {
  const Tiny sd3("sd3");
  CheckFails(sd3.Generate({"--ntk", "2"}), 4, "ntk: is of rotary positions");
  CheckFails(sd3.Generate({"--hires", "two-pass", "--hires-ntk", "2"}), 4, "hires-ntk: is of");
  CheckFails(sd3.Generate({"--hires-steps", "4"}), 2, "--hires-steps is about a second pass");
  CheckFails(sd3.Generate({"--overlay-pass", "second", "--hires", "two-pass"}), 2,
             "there is no overlay");
  CheckFails(sd3.Generate({"--shift", "0"}), 2, "--shift");
  CheckFails(sd3.Generate({"--hires", "two-pass=2,0.5", "--hires-attention", "clear(q=1)"}), 2,
             "clear");
  Tiny dit("dit", R"({"_class_name":"DDIMScheduler"})");
  dit.prompt = "7";
  CheckFails(dit.Generate({"--shift", "3"}), 4, "shift: is of flow matching");
}

}  // namespace
}  // namespace fovea
