// What A1111's settings mean here.
#include "pipelines/metadata/a1111_settings.h"

#include <catch2/catch.hpp>

#include "pipelines/metadata/a1111_names.h"
#include "pipelines/sampling/scheduler.h"

namespace fovea {
namespace {

const std::string kLine =
    "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 512x768, Model: v1-5-pruned";

PictureSettings ReadLine(const std::string& line) {
  return ReadA1111Parameters("a cat\nNegative prompt: dog\n" + line, "x.png");
}

std::string ProblemOf(const PictureSettings& read) {
  std::string text;
  for (const SettingProblem& problem : read.problems) {
    CHECK(problem.message.rfind("x.png: ", 0) == 0);
    text += problem.setting + " ";
  }
  return text;
}

TEST_CASE("settings of an A1111 picture") {
  const PictureSettings read =
      ReadLine(kLine + ", Model hash: 6ce0161689, Clip skip: 2, RNG: CPU, Version: v1.10.1");
  CHECK(read.foreign);
  CHECK(read.problems.empty());
  CHECK(read.unused.empty());
  const GenerateSettings& s = read.settings;
  CHECK(s.prompt == "a cat");
  CHECK(s.negative == "dog");
  CHECK(s.prompt_weights == "a1111");
  CHECK(s.steps == 20);
  CHECK(s.sampler == "euler_a");
  CHECK(s.schedule == "normal");
  CHECK(s.cfg == 7);
  CHECK(s.seed == 42);
  CHECK(s.width == 512);
  CHECK(s.height == 768);
  CHECK(s.model == "v1-5-pruned");
  CHECK(s.clip_skip == 1);
  CHECK(s.rng == "torch");
  CHECK(s.batch == 1);

  const PictureSettings plain = ReadLine(kLine);
  CHECK(plain.settings.clip_skip == 0);
  CHECK(plain.settings.rng == "philox");
  CHECK(ReadLine(kLine + ", RNG: NV").settings.rng == "philox");
  CHECK(ReadLine(kLine + ", Emphasis: None").settings.prompt_weights == "off");
  CHECK(ReadLine(kLine + ", Eta DDIM: 0.5").settings.eta == 0);
}

struct Spelling {
  const char *sampler, *schedule, *version;
  const char *ours, *levels;
};

TEST_CASE("A1111's spellings of samplers and schedules") {
  const Spelling spellings[] = {
      {"Euler a", "", "", "euler_a", "normal"},
      {"Euler", "Automatic", "v1.9.0", "euler", "normal"},
      {"k_euler_ancestral", "", "", "euler_a", "normal"},
      {"euler_ancestral", "", "ComfyUI", "euler_a", "normal"},
      {"Heun", "Beta", "f2.0.1v1.10.1-previous-1-g1", "heun", "beta"},
      {"DPM++ 2M", "", "v1.5.1", "dpmpp_2m", "normal"},
      {"DPM++ 2M", "", "", "dpmpp_2m", "normal"},
      {"DPM++ 2M", "", "v1.9.3", "dpmpp_2m", "karras"},
      {"DPM++ 2M", "Automatic", "", "dpmpp_2m", "karras"},
      {"DPM++ 2M SDE", "Automatic", "v1.10.1", "dpmpp_2m_sde", "exponential"},
      {"DPM++ 2M Karras", "", "v1.6.0", "dpmpp_2m", "karras"},
      {"DPM++ 2M SDE Karras", "", "v1.6.0", "dpmpp_2m_sde", "karras"},
      {"DPM++ 2M SDE Exponential", "", "", "dpmpp_2m_sde", "exponential"},
      {"dpmpp_2m_sde_gpu", "karras", "", "dpmpp_2m_sde", "karras"},
      {"DPM++ 2M SGM Uniform", "", "", "dpmpp_2m", "sgm_uniform"},
      {"DPM++ 2M SGMUniform", "", "", "dpmpp_2m", "sgm_uniform"},
      {"DPM++ 2M", "Simple", "", "dpmpp_2m", "sgm_uniform"},
      {"DPM++ 2M", "Uniform", "v1.9.0", "dpmpp_2m", "normal"},
      {"DDIM", "", "", "ddim", "normal"},
      {"PLMS", "", "", "pndm", "normal"},
      {"UniPC", "", "", "unipc", "normal"},
      {"uni_pc", "normal", "", "unipc", "normal"},
      {"LCM", "", "", "lcm", "model"},
      {"LCM", "Automatic", "v1.10.0", "lcm", "model"},
      {"DPM++ 2M", "KL Optimal", "", "dpmpp_2m", nullptr},
      {"DPM++ 2M", "Align Your Steps", "", "dpmpp_2m", nullptr},
      {"DPM++ 2M Polyexponential", "", "", "dpmpp_2m", nullptr},
      {"LMS", "", "", nullptr, "normal"},
      {"DPM2 a Karras", "", "", nullptr, "karras"},
      {"DPM++ 3M SDE", "Exponential", "", nullptr, "exponential"},
      {"DPM++ 2M SDE Heun", "Karras", "", nullptr, "karras"},
  };
  for (const Spelling& each : spellings) {
    CAPTURE(each.sampler, each.schedule, each.version);
    const OurSampler read =
        ReadA1111Sampler(each.sampler, each.schedule, KnowsScheduleTypes(each.version));
    CHECK(read.sampler.value_or("none") == (each.ours != nullptr ? each.ours : "none"));
    CHECK(read.schedule.value_or("none") == (each.levels != nullptr ? each.levels : "none"));
  }
}

TEST_CASE("every sampler and schedule of ours comes back from its A1111 name") {
  for (const std::string_view sampler : SamplerNames()) {
    CAPTURE(sampler);
    const std::string label = A1111Sampler(sampler);
    CHECK(label != sampler);
    const std::string plain = A1111Schedule(sampler, "model", "");
    const OurSampler read = ReadA1111Sampler(label, plain, true);
    CHECK(read.sampler == sampler);
    const bool fixed = sampler == "lcm" || sampler == "flow_dpmpp_2m";
    CHECK(read.schedule == (fixed ? "model" : "normal"));
    for (const char* ran : {"Karras", "Exponential", "Beta"}) {
      const OurSampler other = ReadA1111Sampler(label, A1111Schedule(sampler, "model", ran), true);
      std::string lower = ran;
      lower[0] = static_cast<char>(lower[0] + 32);
      CHECK(other.schedule == lower);
    }
    CHECK(ReadA1111Sampler(label, A1111Schedule(sampler, "sgm_uniform", ""), true).schedule ==
          "sgm_uniform");
  }
}

TEST_CASE("what an A1111 picture asks for and we lack is named") {
  const PictureSettings read =
      ReadLine(kLine +
               ", ENSD: 31337, Face restoration: CodeFormer, VAE hash: 1, VAE: vae-ft.pt, "
               "Variation seed: 3, Lora hashes: \"a: b\", Tiling: False, Eta: 0.67");
  CHECK(read.problems.empty());
  CHECK(read.unused == std::vector<std::string>{"ENSD: 31337", "Face restoration: CodeFormer",
                                                "VAE: vae-ft.pt", "Variation seed: 3",
                                                "Eta: 0.67"});
  CHECK(ReadLine(kLine + ", ENSD: 0, Eta: 1, VAE: Automatic").unused.empty());
  // Files that are told by their hashes alone.
  CHECK(ReadLine(kLine + ", VAE hash: 63aeecb90f, TI hashes: \"easyneg: 12ab\"").unused ==
        std::vector<std::string>{"VAE hash: 63aeecb90f", "TI hashes: easyneg: 12ab"});
}

TEST_CASE("what an A1111 prompt means there and not here is named") {
  const auto read = [](const std::string& prompt) {
    return ReadA1111Parameters(prompt + "\nNegative prompt: x AND [a|b]\n" + kLine, "w.png");
  };
  CHECK(read("[red:blue:0.5] cube AND <lora:x:1>").unused ==
        std::vector<std::string>{"prompt: [red:blue:0.5] (prompt editing)",
                                 "prompt: AND (several prompts at once)",
                                 "negative prompt: [a|b] (alternating words)"});
  const PictureSettings tagged = read("a cube <hypernet:style:1>");
  REQUIRE(tagged.problems.size() == 1);
  CHECK(tagged.problems[0].setting == "prompt");
  CHECK(tagged.problems[0].code == ErrorCode::kUnsupported);
  CHECK(tagged.problems[0].message.find("hypernet") != std::string::npos);
}

TEST_CASE("settings that cannot be taken over are problems of their flags") {
  const auto with = [](const char* field, const char* value) {
    std::string line = kLine;
    const std::string key = std::string(field) + ": ";
    const size_t begin = line.find(key) + key.size();
    return line.replace(begin, std::min(line.find(',', begin), line.size()) - begin, value);
  };
  CHECK(ProblemOf(ReadLine(with("Steps", "many"))) == "steps ");
  CHECK(ProblemOf(ReadLine(with("Steps", "0"))) == "steps ");
  CHECK(ProblemOf(ReadLine(with("Steps", "20.5"))) == "steps ");
  CHECK(ProblemOf(ReadLine(with("CFG scale", "nan"))) == "cfg ");
  CHECK(ProblemOf(ReadLine(with("CFG scale", "-1"))) == "cfg ");
  CHECK(ProblemOf(ReadLine(with("Seed", "-1"))) == "seed ");
  CHECK(ProblemOf(ReadLine(with("Seed", "18446744073709551616"))) == "seed ");
  CHECK(ProblemOf(ReadLine(with("Size", "512"))) == "height ");
  CHECK(ProblemOf(ReadLine(with("Size", "axb"))) == "width height ");
  CHECK(ProblemOf(ReadLine(with("Size", "512x-8"))) == "height ");
  CHECK(ProblemOf(ReadLine(with("Sampler", "LMS"))) == "sampler ");
  CHECK(ProblemOf(ReadLine(with("Sampler", "LMS Polyexponential"))) == "sampler schedule ");
  CHECK(ProblemOf(ReadLine(with("Model", ""))) == "model ");
  CHECK(ProblemOf(ReadLine(kLine + ", Clip skip: 0")) == "clip-skip ");
  CHECK(ProblemOf(ReadLine(kLine + ", RNG: TPU")) == "rng ");
  CHECK_THROWS_WITH(ReadA1111Parameters("a cat", "x.png"), Catch::Contains("no line of settings"));
  CHECK_THROWS_WITH(ReadLine("aa: b, cc: d, ee: f"), Catch::Contains("no line of settings"));
}

TEST_CASE("A1111's second pass and image to image") {
  const PictureSettings image = ReadLine(kLine + ", Denoising strength: 0.7, Mask blur: 4");
  CHECK(ProblemOf(image) == "image mask ");
  CHECK(image.settings.strength == 0.7);
  CHECK(image.unused == std::vector<std::string>{"Mask blur: 4"});
  CHECK(ProblemOf(ReadLine(kLine + ", Denoising strength: 7")) == "strength ");

  const std::string hires = kLine + ", Denoising strength: 0.4, Hires upscale: 1.5, ";
  const PictureSettings lanczos = ReadLine(hires + "Hires upscaler: Lanczos");
  CHECK(ProblemOf(lanczos).empty());
  CHECK(lanczos.unused.empty());
  CHECK(lanczos.settings.hires == "two-pass=1.5,0.4");
  CHECK(lanczos.settings.width == 768);
  CHECK(lanczos.settings.height == 1152);
  const PictureSettings latent = ReadLine(hires + "Hires upscaler: Latent");
  CHECK(ProblemOf(latent) == "hires ");
  CHECK(latent.unused.empty());
  CHECK(latent.settings.width == 512);
  CHECK_THAT(latent.problems[0].message, Catch::Contains("two-pass=1.5,0.4 at -W 768 -H 1152"));
  CHECK(ProblemOf(ReadLine(hires + "Hires steps: 10, Hires upscaler: Lanczos")) == "hires ");
  CHECK(ProblemOf(ReadLine(hires + "Hires steps: 20, Hires upscaler: Lanczos")).empty());

  const PictureSettings resized = ReadLine(
      kLine + ", Denoising strength: 0.4, Hires resize: 768x1152, Hires upscaler: Lanczos");
  CHECK(resized.settings.hires == "two-pass=1.5,0.4");
  CHECK(resized.settings.height == 1152);
  CHECK(ProblemOf(ReadLine(kLine + ", Hires resize: big, Hires upscaler: Lanczos")) == "hires ");
}

TEST_CASE("two passes and image to image under the names that A1111 has for them") {
  GenerateSettings settings;
  settings.width = 128;
  settings.height = 192;
  Provenance provenance;
  provenance.hires.two_pass = {64, 96, 20, 10, 0.5};
  settings.hires = "two-pass=2,0.5";
  const std::string two = A1111Parameters(settings, provenance);
  CHECK_THAT(two, Catch::Contains("Size: 64x96, "));
  CHECK_THAT(two, Catch::Contains("Denoising strength: 0.5, Hires resize: 128x192, "
                                  "Hires upscaler: Lanczos"));
  CHECK_THAT(two, !Catch::Contains("HiDiffusion"));
  const GenerateSettings back = ReadA1111Parameters(two, "x.png").settings;
  CHECK(back.hires == settings.hires);
  CHECK(back.width == 128);
  CHECK(back.height == 192);
  settings.hires = "off";
  settings.strength = 0.6;
  const std::string one = A1111Parameters(settings, Provenance{});
  CHECK_THAT(one, Catch::Contains("Size: 128x192, "));
  CHECK_THAT(one, Catch::Contains("Denoising strength: 0.6"));
  CHECK_THAT(one, !Catch::Contains("Hires"));
  CHECK(ReadA1111Parameters(one, "x.png").settings.strength == 0.6);
}

}  // namespace
}  // namespace fovea
