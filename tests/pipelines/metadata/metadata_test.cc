// What pictures say about themselves.
#include "pipelines/metadata/metadata.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tensor/error.h"

namespace fovea {
namespace {

GenerateSettings FullSettings() {
  GenerateSettings settings;
  settings.prompt = "a \"red\" cube,\non a table: 猫";
  settings.negative = "blur";
  settings.prompt_weights = "comfy";
  settings.model = "/home/someone/models/still-life-unet/";
  settings.width = 96;
  settings.height = 64;
  settings.steps = 12;
  settings.seed = uint64_t{1} << 63;
  settings.batch = 4;
  settings.cfg = 7.5;
  settings.cfg_rescale = 0.25;
  settings.sampler = "euler_a";
  settings.eta = 0;
  settings.clip_skip = 1;
  settings.rng = "torch";
  settings.vae_tiling = "on";
  settings.dtype = "bf16";
  return settings;
}

Provenance FullProvenance() {
  Provenance provenance;
  provenance.version = "1.2.3";
  provenance.instruction_set = "avx512_bf16";
  provenance.threads = 3;
  provenance.numbers = {"bf16, f16", "f32", "bf16"};
  provenance.sampler = "euler_a";
  return provenance;
}

std::string LastLine(const std::string& text) {
  return text.substr(text.rfind('\n') + 1);
}

ErrorCode ReadCode(const std::string& fovea) {
  try {
    ReadPictureSettings({{"fovea", fovea}}, "x.png");
  } catch (const Error& error) {
    return error.code;
  }
  return ErrorCode::kInternal;
}

}  // namespace

TEST_CASE("a picture's settings come back, its own seed with them") {
  const GenerateSettings settings = FullSettings();
  const PictureSettings read =
      ReadPictureSettings(PictureText(settings, FullProvenance(), 2), "x.png");
  CHECK(read.settings.prompt == settings.prompt);
  CHECK(read.settings.negative == settings.negative);
  CHECK(read.settings.model == "still-life-unet");
  CHECK(read.settings.width == 96);
  CHECK(read.settings.height == 64);
  CHECK(read.settings.steps == 12);
  CHECK(read.settings.seed == (uint64_t{1} << 63) + 2);
  CHECK(read.settings.batch == 1);
  CHECK(read.settings.cfg == 7.5);
  CHECK(read.settings.cfg_rescale == 0.25);
  CHECK(read.settings.sampler == "euler_a");
  CHECK(read.settings.clip_skip == 1);
  CHECK(read.settings.rng == "torch");
  CHECK(read.settings.vae_tiling == "on");
  CHECK(read.settings.dtype == "bf16");
  CHECK(read.provenance.version == "1.2.3");
  CHECK(read.provenance.instruction_set == "avx512_bf16");
  CHECK(read.provenance.threads == 3);
  CHECK(read.provenance.numbers == FullProvenance().numbers);
  CHECK_FALSE(read.provenance.init_latents);
  CHECK(PictureText(settings, FullProvenance(), 2).at("fovea").find("home") == std::string::npos);
}

TEST_CASE("the parameters text is A1111's") {
  GenerateSettings settings = FullSettings();
  Provenance provenance = FullProvenance();
  CHECK(PictureText(settings, provenance, 0).at("parameters") ==
        "a \"red\" cube,\non a table: 猫\n"
        "Negative prompt: blur\n"
        "Steps: 12, Sampler: Euler a, Schedule type: Normal, CFG scale: 7.5, Seed: "
        "9223372036854775808, Size: 96x64, "
        "Model: still-life-unet, Clip skip: 2, RNG: CPU, Version: fovea 1.2.3");

  // The line of the negative prompt is there when it is empty, too; whole numbers have no point.
  settings.negative = "";
  settings.cfg = 7;
  settings.clip_skip = 0;
  settings.rng = "philox";
  settings.sampler = "";
  settings.model = "model: odd, name";
  provenance.sampler = "dpmpp_2m";
  provenance.schedule = "Karras";
  provenance.hashes = {"0123456789abcdef", {{"x", "abcdefabcdef1"}, {"y", "0000000000001"}}, ""};
  const std::string text = PictureText(settings, provenance, 0).at("parameters");
  CHECK(text.find("\nNegative prompt: \nSteps: ") != std::string::npos);
  const std::string line = LastLine(text);
  CHECK(line ==
        "Steps: 12, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, "
        "Seed: 9223372036854775808, Size: 96x64, Model hash: 0123456789, "
        "Model: \"model: odd\\u002c name\", Lora hashes: \"x: abcdefabcdef, y: 000000000000\", "
        "RNG: NV, "
        "Version: fovea 1.2.3");
}

TEST_CASE("settings of other kinds are refused") {
  CHECK_THROWS_AS(ReadPictureSettings({}, "x.png"), Error);
  CHECK_THROWS_AS(ReadPictureSettings({{"parameters", "a cat"}}, "x.png"), Error);
  const std::string device = R"("device":{"kind":"cpu","instruction_set":"avx2","threads":1})";
  const auto with = [&](const std::string& settings) {
    return R"({"format":1,"settings":)" + settings + "," + device + "}";
  };
  CHECK(ReadCode(with("{}")) == ErrorCode::kInternal);  // nothing wrong
  const auto numbers = [&](const std::string& json) {
    return ReadCode(R"({"format":1,"settings":{},"numbers":)" + json + "," + device + "}");
  };
  CHECK(numbers(R"({"weights":"f16","arithmetic":"f32"})") == ErrorCode::kInternal);
  CHECK(numbers(R"({"weights":"f16"})") == ErrorCode::kBadFile);
  CHECK(numbers(R"({"weights":16,"arithmetic":"f32"})") == ErrorCode::kBadFile);
  CHECK(numbers("[]") == ErrorCode::kBadFile);
  CHECK(ReadCode("") == ErrorCode::kBadFile);
  CHECK(ReadCode("[]") == ErrorCode::kBadFile);
  CHECK(ReadCode("{}") == ErrorCode::kBadFile);
  CHECK(ReadCode(R"({"format":2,"settings":{},)" + device + "}") == ErrorCode::kBadFile);
  CHECK(ReadCode(R"({"format":1,"settings":{}})") == ErrorCode::kBadFile);
  CHECK(ReadCode(with("[]")) == ErrorCode::kBadFile);
  CHECK(ReadCode(with(R"({"width":"96"})")) == ErrorCode::kBadFile);
  CHECK(ReadCode(with(R"({"width":96.5})")) == ErrorCode::kBadFile);
  CHECK(ReadCode(with(R"({"width":99999999999})")) == ErrorCode::kBadFile);
  CHECK(ReadCode(with(R"({"seed":-1})")) == ErrorCode::kBadFile);
  CHECK(ReadCode(with(R"({"cfg":"7"})")) == ErrorCode::kBadFile);
  CHECK(ReadCode(with(R"({"prompt":7})")) == ErrorCode::kBadFile);
}

}  // namespace fovea
