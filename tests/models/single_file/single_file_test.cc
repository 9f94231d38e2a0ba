#include "models/single_file/single_file.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "models/component_weights.h"
#include "models/single_file/config_fit.h"
#include "tensor/error.h"
#include "tests/support/single_file_case.h"
#include "tests/support/source_dir.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

fs::path Configs() {
  return SourceDir() / "assets" / "configs";
}

// What opening says, or "" if it does not mind.
std::string Complaint(const std::function<void()>& open) {
  try {
    open();
  } catch (const Error& error) {
    const std::string what = error.what();
    CHECK(what.find('\n') == std::string::npos);
    return what;
  }
  return "";
}

// Only the header counts: enough of a U-Net to be told.
NamedTensors UNetOf(int64_t in, int64_t text, int64_t vector) {
  NamedTensors tensors;
  const std::string unet = "model.diffusion_model.";
  tensors[unet + "input_blocks.0.0.weight"] = HostTensor({1, in, 1, 1}, DType::kF16);
  tensors[unet + "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"] =
      HostTensor({1, text}, DType::kF16);
  if (vector > 0) {
    tensors[unet + "label_emb.0.0.weight"] = HostTensor({1, vector}, DType::kF16);
  }
  return tensors;
}

TEST_CASE("single file: the config is told by shapes") {
  const TempDir temp;
  const auto fit = [&](const NamedTensors& tensors) {
    WriteSafetensors(temp / "a.safetensors", tensors);
    return FitConfigs(SafetensorsFile::Open(temp / "a.safetensors")->Header()).names;
  };
  using Names = std::vector<std::string>;
  CHECK(fit(UNetOf(4, 768, 0)) == Names{"sd15"});
  CHECK(fit(UNetOf(9, 768, 0)) == Names{"sd15-inpaint"});
  CHECK(fit(UNetOf(4, 1024, 0)) == Names{"sd21-v", "sd21"});
  CHECK(fit(UNetOf(4, 2048, 2816)) == Names{"sdxl"});
  CHECK(fit(UNetOf(4, 1280, 2560)) == Names{"sdxl-refiner"});
  CHECK(fit(UNetOf(5, 1024, 0)).empty());
  CHECK(fit({{"a", HostTensor({1}, DType::kF32)}}).empty());
}

TEST_CASE("single file: our own configs are whole and load") {
  for (const std::string& name : ConfigNames()) {
    INFO(name);
    const ModelFolder config = OpenModelFolder(Configs() / name);
    CHECK((config.Find("unet") || config.Find("transformer")));
    CHECK(config.Find("vae") != nullptr);
    CHECK(config.Find("scheduler") != nullptr);
    CHECK((config.Find("text_encoder") || config.Find("text_encoder_2")));
    for (const ComponentFolder& component : config.components) {
      CHECK(fs::is_directory(config.Get(component.name).folder));
    }
  }
}

TEST_CASE("single file: what is chosen for the user is noted") {
  const TempDir temp;
  const fs::path file = temp / "a.safetensors";
  WriteSafetensors(file, UNetOf(4, 1024, 0));
  const ModelFolder model = OpenSingleFile(file, {Configs(), "", "", {}});
  CHECK(model.pipeline_class == "StableDiffusionPipeline");
  REQUIRE(model.notes.size() == 1);
  CHECK_THAT(model.notes[0], Catch::Contains("sd21-v") && Catch::Contains("--config"));
  CHECK(OpenSingleFile(file, {Configs(), "sd21", "", {}}).notes.empty());
  // The file has no VAE and no text encoder, and no tokenizer is near.
  CHECK_THAT(Complaint([&] { model.Get("vae"); }), Catch::Contains("no component vae"));
  CHECK_THAT(Complaint([&] { model.Get("tokenizer"); }), Catch::Contains("--tokenizer"));
  CHECK(OpenSingleFile(file, {Configs(), "", temp.Path(), {}}).Get("tokenizer").folder ==
        temp.Path());
}

TEST_CASE("single file: a tokenizer of the right size is found and named") {
  const SingleFileCase single = SingleFileCase::Read("sd15");
  const TempDir temp;
  const fs::path file = temp / "a.safetensors";
  single.WriteFile(file);
  const auto write = [&](const std::string& folder, int words) {
    fs::create_directories(temp / folder);
    std::ofstream vocab(temp / folder / "vocab.json"), merges(temp / folder / "merges.txt");
    merges << "#version: 0.2\n";
    vocab << R"({"<|startoftext|>":0,"<|endoftext|>":1)";
    for (int i = 2; i < words; ++i) vocab << ",\"w" << i << "\":" << i;
    vocab << "}";
  };
  write("models/a-small-one/tokenizer", 30);
  write("models/diffusers/right/tokenizer", 40);
  const auto open = [&] {
    return OpenSingleFile(file, {Configs(), single.folder.string(), "", {temp / "models"}});
  };
  // This config folder names no tokenizer: nothing is looked for.
  CHECK(open().Find("tokenizer") == nullptr);
  const fs::path config = temp / "config";
  fs::copy(single.folder, config, fs::copy_options::recursive);
  std::ofstream(config / "model_index.json")
      << R"({"_class_name":"StableDiffusionPipeline","unet":["diffusers","UNet2DConditionModel"],)"
         R"("vae":["diffusers","AutoencoderKL"],"text_encoder":["transformers","CLIPTextModel"],)"
         R"("tokenizer":["transformers","CLIPTokenizer"],"safety_checker":["a","b"]})";
  const ModelFolder model =
      OpenSingleFile(file, {Configs(), config.string(), "", {temp / "models"}});
  CHECK(fs::equivalent(model.Get("tokenizer").folder, temp / "models/diffusers/right/tokenizer"));
  REQUIRE(model.notes.size() == 1);
  CHECK_THAT(model.notes[0], Catch::Contains("right/tokenizer"));
  CHECK(model.Find("safety_checker") == nullptr);
}

TEST_CASE("single file: each thing that is wrong has its line") {
  const SingleFileCase single = SingleFileCase::Read("sd21");
  const TempDir temp;
  const fs::path file = temp / "a.safetensors";
  single.WriteFile(file);
  const NamedTensors good = ReadSafetensors(file);
  const std::string unet = "model.diffusion_model.";
  const std::string text = "cond_stage_model.model.";
  const auto load = [&](const char* component) {
    const ModelFolder model = OpenSingleFile(file, {Configs(), single.folder.string(), "", {}});
    const auto weights = OpenWeights(model.Get(component));
    // What a model asks for.
    for (const auto& [tensor, source] : single.sources.at(component)) {
      const Shape stored = single.tensors.at(source.name);
      Shape shape = stored;
      shape.dim[0] /= source.parts;
      weights->Get(tensor, shape);
    }
    weights->CheckAllRead();
  };
  const auto with = [&](const char* component, const std::function<void(NamedTensors&)>& change) {
    NamedTensors changed = good;
    change(changed);
    WriteSafetensors(file, changed);
    return Complaint([&] { load(component); });
  };
  CHECK(with("unet", [](NamedTensors&) {}) == "");
  CHECK(with("text_encoder", [](NamedTensors&) {}) == "");

  // Of a component.
  CHECK_THAT(with("unet", [&](auto& w) { w.erase(unet + "middle_block.1.norm.bias"); }),
             Catch::Contains("middle_block.1.norm.bias is missing"));
  CHECK_THAT(with("unet", [&](auto& w) { w[unet + "stray"] = HostTensor({1}, DType::kF32); }),
             Catch::Contains("stray"));
  CHECK_THAT(with("unet", [&](auto& w) { w[unet + "out.2.bias"] = HostTensor({5}, DType::kF32); }),
             Catch::Contains("out.2.bias") && Catch::Contains("[5]"));
  CHECK_THAT(with("unet", [&](auto& w) { w[unet + "out.2.bias"] = HostTensor({4}, DType::kI64); }),
             Catch::Contains("dtype I64"));
  CHECK_THAT(
      with("vae", [&](auto& w) { w.erase("first_stage_model.decoder.up.3.block.0.conv1.weight"); }),
      Catch::Contains("decoder.up.3.block.0.conv1.weight is missing"));
  const std::string split = text + "transformer.resblocks.1.attn.in_proj_weight";
  CHECK_THAT(with("text_encoder",
                  [&](auto& w) {
                    w[split] = HostTensor({95, 32}, DType::kF32);
                  }),
             Catch::Contains("in_proj_weight") && Catch::Contains("3 equal parts"));
  CHECK_THAT(with("text_encoder",
                  [&](auto& w) {
                    w[split] = HostTensor({96, 31}, DType::kF32);
                  }),
             Catch::Contains("in_proj_weight") && Catch::Contains("[96, 31]"));
  CHECK_THAT(with("text_encoder", [&](auto& w) { w[split] = HostTensor(Shape{}, DType::kF32); }),
             Catch::Contains("in_proj_weight"));
  CHECK_THAT(
      with("text_encoder", [&](auto& w) { w.erase(text + "transformer.resblocks.2.ln_1.weight"); }),
      Catch::Contains("resblocks.2.ln_1.weight is missing"));
  CHECK(with("text_encoder", [&](auto& w) {  // beyond the config's layers
          w.erase(text + "transformer.resblocks.3.ln_1.weight");
        }) == "");

  // Of the whole file.
  CHECK_THAT(with("unet", [](auto& w) { w["lost.weight"] = HostTensor({1}, DType::kF32); }),
             Catch::Contains("lost.weight") && Catch::Contains("no component"));
  CHECK_THAT(with("unet",
                  [](auto& w) {
                    w.clear();
                    w["conv_in.weight"] = HostTensor({1}, DType::kF32);
                  }),
             Catch::Contains("not a checkpoint in the original names"));
  const auto open = [&](const std::string& config) {
    return Complaint([&] { OpenSingleFile(file, {Configs(), config, "", {}}); });
  };
  WriteSafetensors(file, good);
  CHECK_THAT(open(""), Catch::Contains("which none of sd15"));
  CHECK_THAT(open("sd15"), Catch::Contains("--config sd15 does not fit"));
  CHECK_THAT(open("sd16"), Catch::Contains("neither a folder nor one of"));
  CHECK_THAT(open((single.folder / "unet").string()), Catch::Contains("model_index.json"));
  CHECK_THAT(open(temp.Path().string()), Catch::Contains("neither model_index.json"));
  WriteSafetensors(file, UNetOf(4, 768, 0));
  CHECK_THAT(open("sdxl"), Catch::Contains("sd15 would"));
  NamedTensors vae;
  vae["first_stage_model.decoder.mid.block_1.norm1.weight"] = HostTensor({1}, DType::kF32);
  WriteSafetensors(file, vae);
  CHECK_THAT(open(""), Catch::Contains("no denoiser"));
}

}  // namespace
}  // namespace fovea
