// Pictures of A1111's web UI on the command line, and texts of pictures that are broken.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "pipelines/pictures/formats/png_file.h"
#include "tests/support/cli_checks.h"
#include "tests/support/pipeline_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string BigEndian(size_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
  return out;
}

// The reader of texts looks at no checksum.
std::string Chunk(const std::string& type, const std::string& data) {
  return BigEndian(data.size()) + type + data + BigEndian(0);
}

const std::string kSignature = "\x89PNG\r\n\x1a\n";

std::string Png(const std::string& chunks) {
  return kSignature + Chunk("IHDR", BigEndian(8) + BigEndian(8) + std::string("\x08\2\0\0\0", 5)) +
         chunks + Chunk("IEND", "");
}

std::string Text(const std::string& key, const std::string& text) {
  return Chunk("tEXt", key + '\0' + text);
}

std::string Png(const std::string& key, const std::string& text) {
  return Png(Text(key, text));
}

// A JPEG without a picture, with A1111's comment: UTF-16, high byte first.
std::string Jpeg(const std::string& comment) {
  std::string text = std::string("UNICODE\0", 8);
  for (const char c : comment) text += std::string(1, '\0') + c;
  const auto entry = [](const std::string& tag, const std::string& kind, size_t count, size_t at) {
    return std::string("\0\1", 2) + tag + kind + BigEndian(count) + BigEndian(at) + BigEndian(0);
  };
  const std::string tiff = "MM" + std::string("\0\x2a", 2) + BigEndian(8) +
                           entry("\x87\x69", std::string("\0\4", 2), 1, 26) +
                           entry("\x92\x86", std::string("\0\7", 2), text.size(), 44) + text;
  return "\xff\xd8\xff\xe1" + BigEndian(tiff.size() + 8).substr(2) + std::string("Exif\0\0", 6) +
         tiff + "\xff\xd9";
}

const std::string kFirst = "a red cube\nNegative prompt: sphere\n";
const std::string kLine = "Steps: 2, Sampler: DPM++ 2M Karras, CFG scale: 3, Seed: 9, Size: 64x48";

std::string A1111(const std::string& line) {
  return Png("parameters", kFirst + line);
}

std::string Fovea(const std::string& settings) {
  return Png("fovea", R"({"format":1,"settings":{)" + settings +
                          R"(},"device":{"kind":"cpu","instruction_set":"avx2","threads":1}})");
}

struct Malformed {
  std::string bytes;
  int exit_code;
  std::string says;
};

std::vector<Malformed> MalformedPictures() {
  const std::string deep(100000, '[');
  const std::string model = ", Model: tiny";
  return {
      // Files.
      {"", 3, "not a PNG, JPEG or WebP"},
      {"hello, this is a letter", 3, "not a PNG"},
      {kSignature, 3, "cut short"},
      {kSignature + BigEndian(0xfffffff0u) + "tEXtk", 3, "cut short"},
      {Png("").substr(0, 30), 3, "cut short"},
      {"\xff\xd8\xff", 3, "no text"},
      {Jpeg("").substr(0, 20), 3, "no text"},
      {Jpeg("a red cube"), 3, "no line of settings"},
      // Chunks.
      {Png(Chunk("tEXt", "no end of the key")), 3, "key"},
      {Png(Chunk("tEXt", std::string("\0text", 5))), 3, "key"},
      {Png(std::string(80, 'k'), "text"), 3, "key"},
      {Png(Chunk("zTXt", std::string("parameters\0", 11))), 3, "compression"},
      {Png(Chunk("zTXt", std::string("parameters\0\7xx", 14))), 3, "compression"},
      {Png(Chunk("zTXt", std::string("parameters\0\0xx", 14))), 3, "broken"},
      {Png(Chunk("iTXt", std::string("parameters\0\0", 12))), 3, "cut short"},
      {Png(Chunk("iTXt", std::string("parameters\0\0\0en", 15))), 3, "language"},
      {Png(Chunk("iTXt", std::string("parameters\0\0\0\0\0\xff\xfe", 17))), 3, "UTF-8"},
      {Png(Chunk("iTXt", std::string("parameters\0\1\0\0\0xx", 17))), 3, "broken"},
      // No settings, or those of other programs.
      {Png(""), 3, "no text chunks"},
      {Png("Comment", "hello"), 3, "Comment"},
      {Png("invokeai_metadata", "{}"), 3, "invokeai_metadata"},
      {Png("prompt", R"({"3":{"class_type":"KSampler"}})"), 4, "ComfyUI"},
      {Png("workflow", "{"), 4, "ComfyUI"},
      {Png("parameters", ""), 3, "no line of settings"},
      {Png("parameters", "a red cube"), 3, "no line of settings"},
      {Png("parameters", "a red cube\nSteps: 2, Seed: 3"), 3, "no line of settings"},
      {A1111("Sampler: Euler, Seed: 3, Size: 64x64"), 3, "no line of settings"},
      // Our own.
      {Png("fovea", ""), 3, "fovea"},
      {Png("fovea", "{"), 3, "fovea"},
      {Png("fovea", deep), 3, "fovea"},
      {Png("fovea", "[]"), 3, "object"},
      {Png("fovea", "{}"), 3, "format"},
      {Png("fovea", R"({"format":7})"), 3, "format 7"},
      {Png("fovea", R"({"format":1})"), 3, "settings"},
      {Png("fovea", R"({"format":1,"settings":{}})"), 3, "device"},
      {Fovea(R"("width":"96")"), 3, "width"},
      {Fovea(R"("width":96.5)"), 3, "width"},
      {Fovea(R"("width":96,"width":96)"), 3, "width"},
      {Fovea(R"("seed":-1)"), 3, "seed"},
      {Fovea(R"("prompt":7)"), 3, "prompt"},
      {Fovea(R"("attention":"*: nothing")"), 2, "nothing"},
      {Fovea(R"("sampler":"magic")"), 2, "magic"},
      // A1111's.
      {A1111(kLine), 2, "-m"},
      {A1111(kLine + ", Model: absent"), 3, "absent"},
      {A1111("Steps: many, Seed: 3, Size: 64x64" + model), 3, "Steps: many"},
      {A1111("Steps: 0, Seed: 3, Size: 64x64" + model), 3, "Steps: 0"},
      {A1111("Steps: 9999999999, Seed: 3, Size: 64x64" + model), 3, "Steps"},
      {A1111("Steps: 2, Seed: -1, Size: 64x64" + model), 3, "Seed: -1"},
      {A1111("Steps: 2, Seed: 1e3, Size: 64x64" + model), 3, "Seed: 1e3"},
      {A1111("Steps: 2, Seed: 1, Size: 64" + model), 3, "Size: 64"},
      {A1111("Steps: 2, Seed: 1, Size: 64x-64" + model), 3, "Size: 64x-64"},
      {A1111("Steps: 2, Seed: 1, Size: 63x64" + model), 2, "63"},
      {A1111(kLine + ", CFG scale: nan" + model), 3, "CFG scale: nan"},
      {A1111(kLine + ", Clip skip: 0" + model), 3, "Clip skip: 0"},
      {A1111(kLine + ", Clip skip: 99" + model), 2, "clip-skip"},
      {A1111(kLine + ", Sampler: LMS" + model), 4, "LMS"},
      {A1111(kLine + ", Sampler: \"\"\"" + model), 4, "sampler"},
      {A1111(kLine + ", Sampler: DPM++ 2M, Schedule type: KL Optimal" + model), 4, "KL Optimal"},
      {A1111(kLine + ", Sampler: PLMS, Schedule type: Karras" + model), 4, "karras"},
      {A1111(kLine + ", RNG: dice" + model), 4, "dice"},
      {Png("parameters", "a <lora:>\n" + kLine + model), 2, "<lora:>"},
      {Png("parameters", "a <lora:absent:1>\n" + kLine + model), 3, "absent"},
  };
}

struct Case {
  TempDir temp;
  fs::path picture = temp / "theirs.png";
  Case() { WritePipeline(temp / "tiny", Sd15SchedulerJson()); }

  ProgramResult Run(std::vector<std::string> words) const {
    return RunFovea(words,
                    {.folder = temp.Path(), .env = {{"FOVEA_MODELS", temp.Path().string()}}});
  }
  std::string Latents(std::vector<std::string> words) const {
    words.insert(words.begin(), "generate");
    words.insert(words.end(), {"-o", temp / "o.png", "--save-latents", temp / "l.safetensors"});
    CheckDone(Run(words));
    return ReadBytes(temp / "l.safetensors");
  }
};

TEST_CASE("every malformed text of a picture is one clear line") {
  const Case run;
  const std::vector<Malformed> pictures = MalformedPictures();
  CHECK(pictures.size() >= 30);
  for (const Malformed& each : pictures) {
    WriteBytes(run.picture, each.bytes);
    CAPTURE(each.bytes.substr(0, 200));
    CheckFails(run.Run({"generate", "--from", run.picture}), each.exit_code, each.says);
  }
  CHECK_FALSE(fs::exists(run.temp / "out"));
}

TEST_CASE("generate --from takes an A1111 picture for the flags that it stands for") {
  const Case run;
  WritePng(run.picture, Image{8, 8, std::vector<uint8_t>(192)},
           {{"parameters", kFirst + kLine + ", Clip skip: 2, RNG: CPU, ENSD: 31337, Model: tiny"}});
  const std::vector<std::string> flags = {
      "-m",    "tiny",  "-p",        "a red cube", "-n",         "sphere", "--steps",     "2",
      "-s",    "9",     "-W",        "64",         "-H",         "48",     "--cfg",       "3",
      "--rng", "torch", "--sampler", "dpmpp_2m",   "--schedule", "karras", "--clip-skip", "1"};
  const std::string latents = run.Latents(flags);
  CHECK(run.Latents({"--from", run.picture}) == latents);
  CHECK(run.Latents({"--from", run.picture, "-s", "10"}) != latents);

  const ProgramResult said = run.Run({"generate", "--from", run.picture, "-o", run.temp / "o.png"});
  CHECK_THAT(said.err, Catch::Contains("ENSD: 31337"));
  // What came out of it is ours.
  const ProgramResult ours = run.Run({"info", run.temp / "o.png", "--json"});
  CHECK(json::parse(ours.out).at("source") == "fovea");

  const ProgramResult info = run.Run({"info", run.picture, "--json"});
  CheckDone(info);
  const json report = json::parse(info.out);
  CHECK(report.at("source") == "a1111");
  CHECK(report.at("width") == 8);
  CHECK(report.at("settings").at("sampler") == "dpmpp_2m");
  CHECK(report.at("unused") == json{"ENSD: 31337"});
  CHECK(report.at("problems").empty());
  const ProgramResult lines = run.Run({"info", run.picture});
  CheckDone(lines);
  CHECK_THAT(lines.out, Catch::Contains("A1111") && Catch::Contains("ENSD: 31337"));
}

TEST_CASE("generate --from takes an A1111 JPEG") {
  const Case run;
  WriteBytes(run.picture, Jpeg(kFirst + kLine + ", Model: tiny"));
  const std::string latents = run.Latents({"--from", run.picture});
  WriteBytes(run.picture, A1111(kLine + ", Model: tiny"));
  CHECK(run.Latents({"--from", run.picture}) == latents);
}

TEST_CASE("flags replace what an A1111 picture asks for and we lack") {
  const Case run;
  WriteBytes(run.picture, A1111("Steps: 2, Sampler: DPM2 a Karras, CFG scale: much, Seed: -1, "
                                "Size: big, Model: absent, Schedule type: Turbo"));
  const std::vector<std::string> words = {
      "--from", run.picture, "-m", "tiny", "--sampler", "pndm", "--cfg",      "2",
      "-s",     "3",         "-W", "32",   "-H",        "32",   "--schedule", "model"};
  run.Latents(words);
  for (const char* left : {"--sampler", "--cfg", "-s", "-W", "-H", "--schedule"}) {
    std::vector<std::string> fewer = {"generate"};
    for (size_t i = 0; i < words.size(); i += 2) {
      if (words[i] != left) fewer.insert(fewer.end(), {words[i], words[i + 1]});
    }
    INFO("without " << left);
    const ProgramResult result = run.Run(fewer);
    CHECK((result.exit_code == 3 || result.exit_code == 4));
  }
}

}  // namespace
}  // namespace fovea
