#include "models/model_folder.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "tensor/error.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

std::string ErrorOf(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    CHECK(error.code == ErrorCode::kBadFile);
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return error.what();
  }
  FAIL("no error");
  return "";
}

#define CHECK_ERROR(body, expected)                  \
  do {                                               \
    const std::string text = ErrorOf([&] { body; }); \
    INFO(text);                                      \
    CHECK(text.find(expected) != std::string::npos); \
  } while (false)

void Write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

constexpr const char* kIndex = R"({
  "_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.30.0",
  "feature_extractor": [null, null], "image_encoder": null, "requires_safety_checker": false,
  "scheduler": ["diffusers", "PNDMScheduler"], "tokenizer": ["transformers", "CLIPTokenizer"],
  "text_encoder": ["transformers", "CLIPTextModel"], "unet": ["diffusers", "UNet2DConditionModel"],
  "vae": ["diffusers", "AutoencoderKL", "../other/vae"]
})";

TEST_CASE("model folder: a pipeline lists its components") {
  const TempDir root;
  Write(root / "sd/model_index.json", kIndex);
  fs::create_directories(root / "sd/unet");
  fs::create_directories(root / "other/vae");
  const ModelFolder model = OpenModelFolder(root / "sd");
  CHECK(model.name == "sd");
  CHECK(OpenModelFolder(root / "sd/").name == "sd");
  CHECK(model.pipeline_class == "StableDiffusionPipeline");
  CHECK(model.components.size() == 5);
  CHECK(model.Find("feature_extractor") == nullptr);
  CHECK(model.Find("image_encoder") == nullptr);
  CHECK(model.Find("requires_safety_checker") == nullptr);
  CHECK(model.Get("unet").class_name == "UNet2DConditionModel");
  CHECK(model.Get("unet").folder == root / "sd/unet");
  CHECK(fs::equivalent(model.Get("vae").folder, root / "other/vae"));
  CHECK(model.Find("scheduler")->class_name == "PNDMScheduler");
  CHECK_ERROR(model.Get("text_encoder"), "component text_encoder is missing");
  CHECK_ERROR(model.Get("transformer"),
              "has no component transformer; it has scheduler, text_encoder");
}

TEST_CASE("model folder: a component may be a link") {
  const TempDir root;
  Write(root / "sd/model_index.json", R"({"_class_name":"P","vae":["diffusers","AutoencoderKL"]})");
  fs::create_directories(root / "other/vae");
  fs::create_directory_symlink("../other/vae", root / "sd/vae");
  CHECK(fs::equivalent(OpenModelFolder(root / "sd").Get("vae").folder, root / "other/vae"));
}

TEST_CASE("model folder: a component alone") {
  const TempDir root;
  Write(root / "unet/config.json", R"({"_class_name":"UNet2DConditionModel"})");
  const ModelFolder model = OpenModelFolder(root / "unet");
  CHECK(model.pipeline_class.empty());
  REQUIRE(model.components.size() == 1);
  CHECK(model.Get("").class_name == "UNet2DConditionModel");
  CHECK(model.Get("").folder == root / "unet");
  CHECK_ERROR(model.Get("vae"), "it is a component folder alone");
  Write(root / "clip/config.json", R"({"architectures":["CLIPTextModel"]})");
  CHECK(OpenModelFolder(root / "clip").Get("").class_name == "CLIPTextModel");
}

TEST_CASE("model folder: what is not a model says why") {
  const TempDir root;
  CHECK_ERROR(OpenModelFolder(root / "no"), "does not exist");
  CHECK_ERROR(OpenModelFolder(root.Path()), "neither model_index.json nor config.json");
  Write(root / "x.safetensors", "x");
  CHECK_ERROR(OpenModelFolder(root / "x.safetensors"), "is a file");
  const auto refuse = [&](const std::string& content, const std::string& expected) {
    Write(root / "bad/model_index.json", content);
    CHECK_ERROR(OpenModelFolder(root / "bad"), expected);
  };
  refuse("", "not valid JSON");
  refuse("{}", "names no class");
  refuse(R"({"_class_name":"P"})", "names no components");
  refuse(R"({"_class_name":"P","unet":["diffusers"]})", "unet must be [library, class]");
  refuse(R"({"_class_name":"P","unet":["diffusers",1]})", "unet must be [library, class]");
  refuse(R"({"_class_name":"P","unet":["diffusers",null]})", "unet must be [library, class]");
  refuse(R"({"_class_name":"P","unet":["a","b","c","d"]})", "unet must be [library, class]");
  refuse(R"({"_class_name":"P","unet":["a","b","/etc"]})", "must name a relative path");
  refuse(R"({"_class_name":"P","unet":["a","b",""]})", "must name a relative path");
  refuse(R"({"_class_name":"P","../unet":["a","b"]})", "is not a folder's name");
  refuse(R"({"_class_name":"P","..":["a","b"]})", "is not a folder's name");
}

}  // namespace
}  // namespace fovea
