// Pictures and masks on their way to the networks, against Pillow and diffusers'
// VaeImageProcessor (tests/golden/pictures).
#include "pipelines/pictures/image_input.h"

#include <catch2/catch.hpp>

#include "models/files/safetensors.h"
#include "pipelines/pictures/picture_file.h"
#include "pipelines/pictures/resample.h"
#include "tests/support/golden_case.h"

namespace fovea {
namespace {

std::filesystem::path Pictures() {
  return GoldenFolder() / "pictures";
}

}  // namespace

TEST_CASE("pictures are resized as Pillow resizes them") {
  const Image tall = ReadPicture(Pictures() / "tall.png");
  const NamedTensors sizes = ReadSafetensors(Pictures() / "resized.safetensors");
  REQUIRE(sizes.size() > 8);
  for (const auto& [name, want] : sizes) {
    CAPTURE(name);
    const auto height = static_cast<int>(want.shape()[0]),
               width = static_cast<int>(want.shape()[1]);
    const Image got = ResizeLanczos(tall, width, height);
    REQUIRE(got.width == width);
    REQUIRE(got.height == height);
    int differing = 0;
    for (size_t i = 0; i < got.rgb.size(); ++i) {
      differing += got.rgb[i] != want.Data<uint8_t>()[i] ? 1 : 0;
    }
    CHECK(differing == 0);
  }
}

TEST_CASE("masks are cut at one half and thinned to the latent size") {
  const NamedTensors want = ReadSafetensors(Pictures() / "masks.safetensors");
  const PixelMask mask = MakePixelMask(ReadPicture(Pictures() / "shapes.png"), 40, 24);
  const HostTensor& whole = want.at("mask");
  REQUIRE(mask.repaint.size() == static_cast<size_t>(whole.NumElements()));
  CHECK(std::equal(mask.repaint.begin(), mask.repaint.end(), whole.Data<uint8_t>()));
  const HostTensor latent = ToLatentMask(mask, 8);
  const HostTensor& small = want.at("latent_mask");
  REQUIRE(latent.shape() == Shape{1, 1, 3, 5});
  for (int64_t i = 0; i < latent.NumElements(); ++i) {
    CHECK(latent.Data<float>()[i] == small.Data<uint8_t>()[i]);
  }
}

TEST_CASE("grey 127 stays, grey 128 is repainted") {
  const Image mask{3, 1, {127, 127, 127, 128, 128, 128, 255, 0, 0}};
  CHECK(MakePixelMask(mask, 3, 1).repaint == std::vector<uint8_t>{0, 1, 0});  // red is 76
}

TEST_CASE("networks see pictures from -1 to 1, and grey under the mask") {
  const Image image{2, 1, {0, 255, 51, 102, 153, 204}};
  const HostTensor seen = ToModelInput(image);
  REQUIRE(seen.shape() == Shape{1, 1, 2, 3});
  const float want[] = {-1, 1, -0.6f, -0.2f, 0.2f, 0.6f};
  for (int i = 0; i < 6; ++i) CHECK(std::abs(seen.Data<float>()[i] - want[i]) < 1e-6f);
  const HostTensor masked = ToMaskedInput(image, {2, 1, {1, 0}});
  for (int i = 0; i < 6; ++i) CHECK(masked.Data<float>()[i] == (i < 3 ? 0 : seen.Data<float>()[i]));
}

TEST_CASE("unmasked pixels come back, and fade in beside the mask") {
  const int w = 12;
  const Image original{w, 1, std::vector<uint8_t>(36, 100)};
  Image picture{w, 1, std::vector<uint8_t>(36, 200)};
  PixelMask mask{w, 1, std::vector<uint8_t>(12, 0)};
  mask.repaint[1] = mask.repaint[2] = 1;
  const auto restored = [&](int feather) {
    Image out = picture;
    RestoreUnmasked(original, mask, feather, &out);
    std::vector<int> reds;
    for (size_t i = 0; i < out.rgb.size(); i += 3) reds.push_back(out.rgb[i]);
    return reds;
  };
  CHECK(restored(0) ==
        std::vector<int>{100, 200, 200, 100, 100, 100, 100, 100, 100, 100, 100, 100});
  CHECK(restored(3) ==
        std::vector<int>{175, 200, 200, 175, 150, 125, 100, 100, 100, 100, 100, 100});
  mask.repaint.assign(12, 0);
  CHECK(restored(3) == std::vector<int>(12, 100));
  mask.repaint.assign(12, 1);
  CHECK(restored(3) == std::vector<int>(12, 200));
}

TEST_CASE("the fade is as wide up and down as sideways") {
  const int side = 9;
  const Image original{side, side, std::vector<uint8_t>(243, 0)};
  Image picture{side, side, std::vector<uint8_t>(243, 240)};
  PixelMask mask{side, side, std::vector<uint8_t>(81, 0)};
  mask.repaint[4 * side + 4] = 1;
  RestoreUnmasked(original, mask, 2, &picture);
  const auto at = [&](int y, int x) {
    return picture.rgb[static_cast<size_t>(3 * (y * side + x))];
  };
  CHECK(at(4, 4) == 240);
  CHECK(at(4, 6) == 80);
  CHECK(at(6, 4) == 80);
  CHECK(at(2, 4) == 80);
  CHECK(at(5, 5) == at(3, 3));
  CHECK(at(5, 5) == 127);  // 240 * (1 - sqrt(2) / 3)
  CHECK(at(4, 7) == 0);
  CHECK(at(1, 1) == 0);
}

}  // namespace fovea
