// What a user sees must not depend on the dtype of the arithmetic: the built-in model's pictures in
// bf16 are those in f32, up to noise below what an eye can tell.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "pipelines/pictures/formats/png_file.h"
#include "tests/support/cli_checks.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

// Peak signal-to-noise ratio of 8-bit pictures, in dB.
double Psnr(const Image& a, const Image& b) {
  REQUIRE(a.rgb.size() == b.rgb.size());
  REQUIRE(!a.rgb.empty());
  double squares = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) {
    const double difference = a.rgb[i] - b.rgb[i];
    squares += difference * difference;
  }
  if (squares == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(255.0 * 255.0 * static_cast<double>(a.rgb.size()) / squares);
}

TEST_CASE("pictures of the built-in model in bf16 and f32 agree within 40 dB") {
  const TempDir temp;
  for (const char* prompt : {"a red cube", "a blue sphere and a green cone"}) {
    INFO(prompt);
    for (const char* dtype : {"f32", "bf16"}) {
      CheckDone(RunFovea({"generate", "-p", prompt, "-s", "3", "--steps", "8", "--dtype", dtype,
                          "-o", std::string(dtype) + ".png"},
                         {.folder = temp.Path()}));
    }
    CHECK(Psnr(ReadPng(temp / "f32.png"), ReadPng(temp / "bf16.png")) >= 40);
  }
}

}  // namespace
}  // namespace fovea
