#include "app/engine/latent_preview.h"

#include <catch2/catch.hpp>

#include <cmath>

namespace fovea {
namespace {

// Latents of 2 channels whose picture is an affine function of them.
void Make(int h, int w, std::vector<float>* latents, Image* picture) {
  const auto plane = static_cast<size_t>(h * w);
  latents->resize(2 * plane);
  *picture = {w * 2, h * 2, std::vector<uint8_t>(plane * 4 * 3)};
  for (int y = 0; y < h; ++y) {
    for (int x = 0; x < w; ++x) {
      const auto p = static_cast<size_t>(y * w + x);
      (*latents)[p] = std::sin(static_cast<float>(y * 3 + x));
      (*latents)[plane + p] = std::cos(static_cast<float>(x * 5 - y));
      const float a = (*latents)[p], b = (*latents)[plane + p];
      const float colour[3] = {0.5f + 0.3f * a, 0.4f - 0.2f * b, 0.5f + 0.1f * a + 0.2f * b};
      for (int i = 0; i < 4; ++i) {
        const auto at = static_cast<size_t>((y * 2 + i / 2) * w * 2 + x * 2 + i % 2) * 3;
        for (size_t c = 0; c < 3; ++c) {
          picture->rgb[at + c] = static_cast<uint8_t>(std::lround(colour[c] * 255));
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("an affine map from latents to colours is found") {
  std::vector<float> latents;
  Image picture;
  Make(7, 9, &latents, &picture);
  const Shape shape{1, 2, 7, 9};
  LatentPreview preview(2);
  CHECK(preview.Draw(shape, latents).rgb.empty());
  preview.Learn(shape, latents, picture);
  REQUIRE(preview.Fitted());
  LatentPreview again(2);
  again.Read(preview.Text());
  const Image drawn = again.Draw(shape, latents);
  REQUIRE((drawn.width == 9 && drawn.height == 7));
  for (int y = 0; y < 7; ++y) {
    for (int x = 0; x < 9; ++x) {
      for (size_t c = 0; c < 3; ++c) {
        const int is = drawn.rgb[static_cast<size_t>(y * 9 + x) * 3 + c];
        const int should = picture.rgb[static_cast<size_t>(y * 2 * 18 + x * 2) * 3 + c];
        CHECK(std::abs(is - should) <= 2);  // of 255: rounding and the damping of the fit
      }
    }
  }
}

TEST_CASE("a text of other channels or with rubbish leaves it unfitted") {
  LatentPreview preview(4);
  preview.Read("2 1 2 3 4 5 6 7 8 9");
  CHECK_FALSE(preview.Fitted());
  preview.Read("4 1 2 x");
  CHECK_FALSE(preview.Fitted());
  preview.Read("");
  CHECK_FALSE(preview.Fitted());
}

TEST_CASE("latents that are not finite teach nothing") {
  LatentPreview preview(1);
  const std::vector<float> latents{NAN, 1, 2, 3};
  preview.Learn({1, 1, 2, 2}, latents, {2, 2, std::vector<uint8_t>(12, 100)});
  CHECK_FALSE(preview.Fitted());
}

}  // namespace fovea
