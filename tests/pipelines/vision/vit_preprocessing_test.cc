// Pictures prepared for Vision Transformers, against transformers' processors, timm and Pillow.
#include "pipelines/vision/vit_preprocessing.h"

#include <catch2/catch.hpp>
#include <cmath>

#include <nlohmann/json.hpp>

#include "models/files/safetensors.h"
#include "models/files/text_file.h"
#include "pipelines/pictures/picture_file.h"
#include "tests/support/golden_case.h"

namespace fovea {
namespace {

using nlohmann::json;

std::filesystem::path Folder() {
  return GoldenFolder() / "preprocessing";
}

TEST_CASE("resizing is that of Pillow for every filter") {
  const Image tall = ReadPicture(GoldenFolder() / "pictures" / "tall.png");
  const std::map<std::string, ResampleFilter> filters = {
      {"NEAREST", ResampleFilter::kNearest},   {"LANCZOS", ResampleFilter::kLanczos},
      {"BILINEAR", ResampleFilter::kBilinear}, {"BICUBIC", ResampleFilter::kBicubic},
      {"BOX", ResampleFilter::kBox},           {"HAMMING", ResampleFilter::kHamming}};
  const NamedTensors golden = ReadSafetensors(Folder() / "resized.safetensors");
  CHECK(golden.size() == 42);
  for (const auto& [name, want] : golden) {
    INFO(name);
    const auto filter = filters.find(name.substr(0, name.find(' ')));
    REQUIRE(filter != filters.end());
    const Image got = Resize(tall, static_cast<int>(want.shape()[1]),
                             static_cast<int>(want.shape()[0]), filter->second);
    REQUIRE(got.rgb.size() == static_cast<size_t>(want.NumElements()));
    CHECK(std::equal(got.rgb.begin(), got.rgb.end(), static_cast<const uint8_t*>(want.data())));
  }
}

TEST_CASE("preprocessing agrees with transformers and timm") {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(Folder())) {
    if (entry.path().extension() != ".json") continue;
    ++count;
    const json file = json::parse(ReadTextFile(entry.path(), 1 << 20));
    const std::string class_name = file.at("class");
    const Config config = Config::Parse(file.at("config").dump(), entry.path().string());
    const VitPreprocessing how = class_name == "VisionTransformer"
                                     ? ParseTimmPreprocessing(config)
                                     : ParseVitPreprocessing(config, class_name);
    const auto golden = std::filesystem::path(entry.path()).replace_extension(".safetensors");
    for (const auto& [picture, want] : ReadSafetensors(golden)) {
      INFO(entry.path().filename().string() << " " << picture);
      const HostTensor got = how.Apply(ReadPicture(GoldenFolder() / "pictures" / picture));
      const Shape& s = want.shape();
      REQUIRE(got.shape() == Shape{1, s[0], s[1], s[2]});
      // Bytes agree; what is left is the rounding of f32 arithmetic on them.
      double worst = 0;
      for (int64_t i = 0; i < want.NumElements(); ++i) {
        const float w = want.Data<float>()[i];
        const double off = std::abs(static_cast<double>(got.Data<float>()[i] - w));
        worst = std::max(worst, off / std::max(1.0, std::abs(static_cast<double>(w))));
        if (!(off >= 0)) worst = INFINITY;
      }
      CHECK(worst <= 2e-6);
    }
  }
  CHECK(count == 11);
}

void CheckRefused(const json& fields, const std::string& says) {
  INFO(fields.dump());
  try {
    ParseVitPreprocessing(Config::Parse(fields.dump(), "preprocessor_config.json"), "ViTModel");
    FAIL_CHECK("was taken");
  } catch (const Error& error) {
    const std::string text = error.what();
    CHECK(text.find("preprocessor_config.json") == 0);
    CHECK(text.find(says) != std::string::npos);
  }
}

TEST_CASE("preprocessing configs are refused by field") {
  CheckRefused({{"image_processor_type", "SamImageProcessor"}}, "image_processor_type");
  CheckRefused({{"size", 0}}, "size");
  CheckRefused({{"size", {{"width", 3}}}}, "height");
  CheckRefused({{"size", {{"height", 3}, {"width", 3}, {"depth", 3}}}}, "depth");
  CheckRefused({{"resample", 6}}, "resample");
  CheckRefused({{"image_std", {1, 0, 1}}}, "image_std");
  CheckRefused({{"image_mean", {1, 0}}}, "image_mean");
  CheckRefused({{"do_pad", true}}, "do_pad");
  CheckRefused({{"do_flip", true}}, "do_flip");
}

TEST_CASE("a picture too long and thin for the shorter side is refused") {
  VitPreprocessing how;
  how.fit = VitPreprocessing::Fit::kShortestEdge;
  Image line{1000, 1, {}};
  line.rgb.resize(3000);
  CHECK_THROWS_WITH(how.Apply(line), Catch::Contains("too long and thin"));
}

}  // namespace
}  // namespace fovea
