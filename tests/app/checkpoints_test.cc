// Single files and LoRA files on the command line.
#include <catch2/catch.hpp>
#include <fstream>
#include <functional>

#include <nlohmann/json.hpp>

#include "models/files/safetensors.h"
#include "models/files/sha256.h"
#include "models/single_file/ldm_names.h"
#include "tests/support/cli_checks.h"
#include "tests/support/golden_case.h"
#include "tests/support/pipeline_case.h"
#include "tests/support/single_file_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// The tiny pipeline as a folder, and its weights as one file under the original names.
struct Tiny {
  TempDir temp;
  fs::path folder = temp / "tiny", file = temp / "tiny-file.safetensors";

  Tiny() {
    WritePipeline(folder, Sd15SchedulerJson());
    const LdmLayout layout{.layers_per_block = 1, .vae_levels = 4, .text_layers = 3};
    NamedTensors out;
    const auto add = [&](const char* part, LdmModule module, const std::string& prefix) {
      for (const auto& entry : fs::directory_iterator(folder / part)) {
        if (entry.path().extension() != ".safetensors") continue;
        for (auto& [name, tensor] : ReadSafetensors(entry.path())) {
          const auto names = LdmNames(module, name, layout);
          REQUIRE(!names.empty());
          out[prefix + names.front().name] = tensor;
        }
      }
    };
    add("unet", LdmModule::kUNet, "model.diffusion_model.");
    add("vae", LdmModule::kVae, "first_stage_model.");
    add("text_encoder", LdmModule::kClip, "cond_stage_model.transformer.");
    WriteSafetensors(file, out);
  }

  ProgramResult Generate(const fs::path& model, std::vector<std::string> more) const {
    std::vector<std::string> words = {"generate", "-m", model, "--steps", "2", "-s", "3"};
    words.insert(words.end(), more.begin(), more.end());
    return RunFovea(words,
                    {.folder = temp.Path(), .env = {{"FOVEA_MODELS", temp.Path().string()}}});
  }
  std::string Latents(const fs::path& model, std::vector<std::string> more) const {
    more.insert(more.end(), {"-o", temp / "a.png", "--save-latents", temp / "l.safetensors"});
    CheckDone(Generate(model, more));
    return ReadBytes(temp / "l.safetensors");
  }
  // A LoRA of the U-Net's and the text encoder's layers.
  fs::path WriteLora(const std::string& name) const {
    NamedTensors t;
    const auto add = [&](const std::string& layer, int64_t out, int64_t in) {
      HostTensor up({out, 2}, DType::kF32), down({2, in}, DType::kF32);
      for (int64_t i = 0; i < 2 * out; ++i) up.Data<float>()[i] = 0.3f * static_cast<float>(i % 5);
      for (int64_t i = 0; i < 2 * in; ++i)
        down.Data<float>()[i] = 0.2f - 0.1f * static_cast<float>(i % 4);
      t[layer + ".lora_up.weight"] = up;
      t[layer + ".lora_down.weight"] = down;
    };
    add("lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q", 32, 32);
    add("lora_unet_input_blocks_1_1_transformer_blocks_0_attn2_to_v", 16, 32);
    add("lora_te_text_model_encoder_layers_0_mlp_fc1", 64, 32);
    fs::create_directories(temp / "Lora");
    WriteSafetensors(temp / "Lora" / (name + ".safetensors"), t);
    return temp / "Lora" / (name + ".safetensors");
  }
};

TEST_CASE("generate makes the same picture from a single file as from the folder") {
  const Tiny tiny;
  const std::string config = tiny.folder;
  const std::string from_folder = tiny.Latents(tiny.folder, {"-p", "a red cube"});
  CHECK(tiny.Latents(tiny.file, {"-p", "a red cube", "--config", config}) == from_folder);
  CHECK(tiny.Latents(tiny.file, {"-p", "a red cube", "--config", config, "--tokenizer",
                                 tiny.folder / "tokenizer"}) == from_folder);

  const ProgramResult info = RunFovea({"info", tiny.temp / "a.png", "--json"});
  CHECK_THAT(json::parse(info.out).at("parameters").get<std::string>(),
             Catch::Contains("Model hash: " + Sha256OfFile(tiny.file)->substr(0, 10) + ","));

  // By name, and without a tokenizer of its own.
  fs::remove_all(tiny.folder / "tokenizer");
  const ProgramResult none =
      tiny.Generate("tiny-file", {"-p", "a", "--config", config, "-o", tiny.temp / "b.png"});
  CheckFails(none, 3, "--tokenizer");
  CheckFails(tiny.Generate(tiny.file, {"-p", "a"}), 3, "--config");
  CheckFails(tiny.Generate(tiny.file, {"-p", "a", "--config", "sd15"}), 3, "does not fit");
  CheckFails(tiny.Generate(tiny.file, {"-p", "a", "--config", "sd99"}), 2, "sd99");
  CheckFails(tiny.Generate(tiny.folder, {"-p", "a", "--config", "sd15"}), 2, "--config");
}

TEST_CASE("info and forward take single files") {
  const SingleFileCase single = SingleFileCase::Read("sdxl");
  const TempDir temp;
  const fs::path file = temp / "xl.safetensors";
  single.WriteFile(file);
  const ProgramResult info =
      RunFovea({"info", file, "--config", single.folder, "--layers", "--tensors", "--json"});
  CheckDone(info);
  const json report = json::parse(info.out);
  CHECK(report.at("model") == "xl");
  CHECK(report.at("class") == "StableDiffusionXLPipeline");
  CHECK(report.at("layers").size() > 20);
  size_t owned = 0;
  for (const auto& [name, shape] : single.tensors) owned += name != "denoiser.sigmas" ? 1 : 0;
  CHECK(report.at("tensors").size() == owned);
  for (const auto& [component, runs] : single.runs) {
    WriteSafetensors(temp / "in.safetensors", runs.front().inputs);
    CheckDone(RunFovea({"forward", "-m", file, "--config", single.folder, "--component", component,
                        "--in", temp / "in.safetensors", "--out", temp / "out.safetensors"}));
    const NamedTensors got = ReadSafetensors(temp / "out.safetensors");
    for (const auto& [name, values] : got) {
      const HostTensor& want = runs.front().outputs.at(name);
      const double limit = ForwardLimit(want, runs.front().reference_f32_error.at(name));
      CHECK(Difference(values, want, limit) == "");
    }
  }
}

TEST_CASE("info lists the models that names are looked up in") {
  const Tiny tiny;
  tiny.WriteLora("style");
  const RunOptions there{.env = {{"FOVEA_MODELS", tiny.temp.Path().string()}}};
  const ProgramResult lines = RunFovea({"info", "--list-models"}, there);
  CheckDone(lines);
  CHECK_THAT(lines.out, Catch::Contains("pipeline   still-life-unet"));
  const ProgramResult result = RunFovea({"info", "--list-models", "--json"}, there);
  CheckDone(result);
  std::map<std::string, std::string> kinds;
  const json report = json::parse(result.out);
  for (const json& each : report.at("models")) {
    kinds[each.at("name")] = each.at("kind");
    CHECK(fs::exists(each.at("path").get<std::string>()));
    CHECK(each.at("bytes") > 0);
  }
  CHECK(kinds.at("tiny") == "pipeline");
  CHECK(kinds.at("tiny-file") == "checkpoint");
  CHECK(kinds.at("style") == "lora");
  CHECK(kinds.at("still-life-unet") == "pipeline");
  CheckFails(RunFovea({"info", "--list-models", "--samplers"}), 2, "--list-models");
}

TEST_CASE("generate: --lora, tags in the prompt and --from are one") {
  const Tiny tiny;
  const std::string lora = tiny.WriteLora("style");
  const std::string plain = tiny.Latents(tiny.folder, {"-p", "a red cube"});
  const std::string added =
      tiny.Latents(tiny.folder, {"-p", "a red cube", "--lora", lora + ":0.5"});
  CHECK(added != plain);
  CHECK(tiny.Latents(tiny.folder, {"-p", "a red <lora:style:0.5> cube"}) == added);
  CHECK(tiny.Latents(tiny.folder, {"-p", "a red cube", "--lora", "style:0.25", "--lora",
                                   lora + ":0.25"}) != plain);
  CHECK(tiny.Latents(tiny.folder, {"--from", tiny.temp / "a.png"}) != plain);
  CHECK(tiny.Latents(tiny.folder, {"-p", "a red cube", "--lora", lora + ":0.5"}) == added);
  const fs::path picture = tiny.temp / "kept.png";
  fs::copy_file(tiny.temp / "a.png", picture);
  CHECK(tiny.Latents(tiny.folder, {"--from", picture}) == added);
  CHECK(tiny.Latents(tiny.folder, {"-p", "a red cube"}) == plain);

  const ProgramResult info = RunFovea({"info", picture, "--json"});
  CheckDone(info);
  const json report = json::parse(info.out);
  CHECK(report.at("settings").at("lora") == "style:0.5");
  const auto parameters = report.at("parameters").get<std::string>();
  CHECK_THAT(parameters, Catch::StartsWith("a red cube <lora:style:0.5>\n"));
  // By which model sites and A1111 find the file: what follows its header.
  const std::string bytes = ReadBytes(lora);
  const auto header =
      static_cast<unsigned char>(bytes[0]) + 256 * static_cast<unsigned char>(bytes[1]);
  CHECK_THAT(parameters, Catch::Contains("Lora hashes: \"style: " +
                                         Sha256OfFile(lora, 8 + header)->substr(0, 12) + '"'));

  CheckFails(tiny.Generate(tiny.folder, {"-p", "a <lora:absent>"}), 3, "absent");
  CheckFails(tiny.Generate(tiny.folder, {"-p", "a <lora:style:much>"}), 2, "scale");
  CheckFails(tiny.Generate(tiny.folder, {"-p", "a", "--lora", tiny.temp / "no.safetensors"}), 3,
             "no.safetensors");
  NamedTensors wrong = ReadSafetensors(lora);
  wrong["lora_unet_brain.lora_up.weight"] = HostTensor({3, 2}, DType::kF32);
  wrong["lora_unet_brain.lora_down.weight"] = HostTensor({2, 3}, DType::kF32);
  WriteSafetensors(lora, wrong);
  CheckFails(tiny.Generate(tiny.folder, {"-p", "a", "--lora", lora}), 3, "lora_unet_brain");
}

// A safetensors file of this header and this many zero bytes.
std::string Safetensors(const std::string& header, size_t bytes) {
  std::string out;
  for (int shift = 0; shift < 64; shift += 8) {
    out += static_cast<char>(static_cast<uint64_t>(header.size()) >> shift);
  }
  return out + header + std::string(bytes, '\0');
}

std::vector<std::string> BrokenContainers() {
  return {"",
          "hello, this is a letter",
          std::string(8, '\xff') + "{}",
          std::string("\x10\0\0\0\0\0\0\0{}", 10),
          Safetensors("[]", 0),
          Safetensors("{", 0),
          Safetensors(R"({"a":1})", 0),
          Safetensors(R"({"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}})", 4),
          Safetensors(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4),
          Safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4),
          Safetensors(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 3),
          Safetensors(
              R"({"a":{"dtype":"F32","shape":[4611686018427387904,8],"data_offsets":[0,0]}})", 0)};
}

// One line that names the file or the tensor, the code of a bad file or of something that we lack.
void CheckRefused(const ProgramResult& result, const std::string& says) {
  CHECK((result.exit_code == 3 || result.exit_code == 4));
  CheckFails(result, result.exit_code, says);
}

TEST_CASE("every malformed LoRA file is one clear line") {
  const Tiny tiny;
  const fs::path file = tiny.temp / "bad.safetensors";
  const auto refused = [&](const std::string& says) {
    CheckRefused(tiny.Generate(tiny.folder, {"-p", "a", "--lora", file}), says);
  };
  for (const std::string& bytes : BrokenContainers()) {
    CAPTURE(bytes);
    WriteBytes(file, bytes);
    refused("bad.safetensors");
  }
  const std::string layer = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q";
  const std::string up = layer + ".lora_up.weight", down = layer + ".lora_down.weight";
  const auto of = [](const Shape& shape) { return HostTensor(shape, DType::kF32); };
  const std::vector<std::pair<NamedTensors, std::string>> cases = {
      {{{"weight", of({2, 2})}}, "weight"},
      {{{up, of({32, 2})}}, layer},
      {{{down, of({2, 32})}}, layer},
      {{{up, of({32, 2})}, {down, of({3, 32})}}, layer},
      {{{up, of({31, 2})}, {down, of({2, 32})}}, layer},
      {{{up, of({32, 2})}, {down, of({2, 33})}}, layer},
      {{{up, of({32})}, {down, of({2, 32})}}, layer},
      {{{up, of({32, 2})}, {down, of({2, 32})}, {layer + ".alpha", of({2})}}, layer},
      {{{layer + ".hada_w1_a", of({32, 2})}, {layer + ".hada_w1_b", of({2, 32})}}, layer},
      {{{"lora_unet_brain.lora_up.weight", of({1, 1})},
        {"lora_unet_brain.lora_down.weight", of({1, 1})}},
       "lora_unet_brain"},
  };
  for (const auto& [tensors, says] : cases) {
    CAPTURE(tensors.begin()->first, tensors.size());
    WriteSafetensors(file, tensors);
    refused(says);
  }
}

TEST_CASE("every malformed single file is one clear line") {
  const Tiny tiny;
  const fs::path file = tiny.temp / "bad.safetensors";
  const auto refused = [&](const std::string& says) {
    CheckRefused(tiny.Generate(file, {"-p", "a", "--config", tiny.folder}), says);
  };
  for (const std::string& bytes : BrokenContainers()) {
    CAPTURE(bytes);
    WriteBytes(file, bytes);
    refused("bad.safetensors");
  }
  const NamedTensors whole = ReadSafetensors(tiny.file);
  const std::string unet = "model.diffusion_model.", name = unet + "out.2.bias";
  const auto with = [&](const std::string& says, const std::function<void(NamedTensors&)>& edit) {
    NamedTensors tensors = whole;
    edit(tensors);
    CAPTURE(says, tensors.size());
    WriteSafetensors(file, tensors);
    refused(says);
  };
  REQUIRE(whole.contains(name));
  with("out.2.bias", [&](NamedTensors& t) { t.erase(name); });
  with("out.2.bias", [&](NamedTensors& t) { t[name] = HostTensor({5}, DType::kF32); });
  with("brain", [&](NamedTensors& t) { t[unet + "brain"] = HostTensor({1}, DType::kF32); });
  with("brain", [&](NamedTensors& t) { t["brain"] = HostTensor({1}, DType::kF32); });
  with("bad.safetensors", [&](NamedTensors& t) { t = {{"a", HostTensor({1}, DType::kF32)}}; });
  for (const char* part : {"model.diffusion_model.", "first_stage_model.", "cond_stage_model."}) {
    with("bad.safetensors", [&](NamedTensors& t) {
      std::erase_if(t, [&](const auto& each) { return each.first.starts_with(part); });
    });
  }
}

}  // namespace
}  // namespace fovea
