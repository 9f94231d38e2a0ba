#include "tests/support/pipeline_case.h"

#include <fstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/support/golden_case.h"

namespace fovea {
namespace {

void WriteText(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

}  // namespace

void WritePipeline(const std::filesystem::path& to, const std::string& scheduler_json,
                   const std::string& model) {
  const std::filesystem::path from = GoldenFolder() / model;
  for (const auto& part : std::filesystem::directory_iterator(from)) {
    if (!part.is_directory()) continue;
    const std::string name = part.path().filename().string();
    std::filesystem::create_directories(to / name);
    if (name.starts_with("tokenizer")) {
      if (std::filesystem::exists(part.path() / "tokenizer.json")) {  // T5's
        std::filesystem::copy(part.path(), to / name);
        continue;
      }
      // All others have one vocabulary.
      for (const auto& folder : {GoldenFolder() / "pipeline/model/tokenizer", part.path()}) {
        std::filesystem::copy(folder, to / name,
                              std::filesystem::copy_options::recursive |
                                  std::filesystem::copy_options::overwrite_existing);
      }
      continue;
    }
    std::filesystem::copy(from / name / "config.json", to / name / "config.json");
    const bool text = name.starts_with("text_encoder");
    WriteFormulaWeights(
        ReadShapes(from / name / "tensors.json"), DType::kF32,
        to / name / (text ? "model.safetensors" : "diffusion_pytorch_model.safetensors"));
  }
  WriteText(to / "scheduler" / "scheduler_config.json", scheduler_json);
  nlohmann::json index;
  std::ifstream(from / "model_index.json") >> index;
  const std::string scheduler =
      nlohmann::json::parse(scheduler_json).value("_class_name", "PNDMScheduler");
  index["scheduler"] = {"diffusers", scheduler};
  WriteText(to / "model_index.json", index.dump(1));
}

GenerateSettings RunSettings(const nlohmann::json& json) {
  GenerateSettings settings;
  settings.prompt = json["prompt"];
  if (!json["negative"].is_null()) settings.negative = json["negative"].get<std::string>();
  settings.prompt_2 = json.value("prompt_2", "");
  settings.negative_2 = json.value("negative_2", "");
  settings.prompt_3 = json.value("prompt_3", "");
  settings.negative_3 = json.value("negative_3", "");
  settings.prompt_weights = json.value("prompt_weights", settings.prompt_weights);
  settings.true_cfg = json.value("true_cfg", 1.0);
  settings.max_sequence_length = json.value("max_sequence_length", -1);
  settings.width = json["width"];
  settings.height = json["height"];
  settings.steps = json["steps"];
  settings.ntk = json.value("ntk", 1.0);
  settings.shift = json.value("shift", 0.0);
  settings.cfg = json["cfg"];
  settings.cfg_rescale = json["cfg_rescale"];
  settings.eta = json["eta"];
  settings.seed = json["seed"].get<uint64_t>();
  settings.batch = json["batch"];
  settings.clip_skip = json["clip_skip"];
  settings.sampler = json["sampler"];
  settings.rng = "torch";
  settings.dtype = "f32";
  return settings;
}

std::string Sd15SchedulerJson() {
  return R"({"_class_name":"PNDMScheduler","beta_end":0.012,"beta_schedule":"scaled_linear",)"
         R"("beta_start":0.00085,"num_train_timesteps":1000,"set_alpha_to_one":false,)"
         R"("skip_prk_steps":true,"steps_offset":1,"trained_betas":null,"clip_sample":false})";
}

std::function<void(const NamedTensors&)> TextChecker(const NamedTensors& tensors,
                                                     const std::string& run, int* count) {
  return [&tensors, run, count](const NamedTensors& text) {
    for (const auto& [part, states] : text) {
      const auto want = tensors.find(run + "." + part);
      if (want == tensors.end()) continue;
      CAPTURE(part);
      ++*count;
      if (RootMeanSquare(want->second) == 0) {
        CHECK(RootMeanSquare(states) == 0);
      } else {
        CHECK(RelativeL2(states, want->second) < 1e-5);
      }
    }
  };
}

}  // namespace fovea
