// Fuzzes the settings text of A1111's web UI: any text has parts, what we write comes back, and its
// settings are read or refused.
#include "pipelines/metadata/a1111_settings.h"
#include "pipelines/metadata/a1111_text.h"
#include "tests/fuzz/fuzz_target.h"

namespace fovea {

std::vector<std::string> FuzzSeeds() {
  const std::string prompts = "a cat, (b:1.2)\nNegative prompt: dog\n";
  return {
      prompts + "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 512x512, Model: m",
      prompts + "Steps: 1, Sampler: DPM++ 2M SDE Karras, Clip skip: 2, ENSD: 31337, RNG: CPU",
      prompts +
          "Steps: 9, Hires upscale: 2, Hires steps: 5, Denoising strength: 0.5, Seed: 1, "
          "Hires upscaler: Latent, Schedule type: Automatic, Version: v1.10.1",
      "Negative prompt: x\nNegative prompt:y\nk: v, key: \"a \\\" \\u00e9, b: c\", last: \"open",
      PictureText(GenerateSettings{}, Provenance{}, 0).at("parameters"),
  };
}

}  // namespace fovea

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fovea;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const A1111Text parts = ParseA1111Text(text);
  const std::string written = WriteA1111Text(parts);
  if (parts.fields.size() >= 3) {
    // Prompts only gain blanks; fields without a value are left out.
    const A1111Text back = ParseA1111Text(written);
    if (back.prompt.size() < parts.prompt.size()) std::abort();
    if (back.fields.size() > parts.fields.size()) std::abort();
  }
  RefusesOrReads([&] { ReadA1111Parameters(text, "x.png"); });
  RefusesOrReads(
      [&] { ReadA1111Parameters("a\n" + text + ", Steps: 2, Seed: 1, Size: 8x8", "x.png"); });
  return 0;
}
