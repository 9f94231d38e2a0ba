#include "tests/support/pipeline_case.h"

#include <fstream>

#include <nlohmann/json.hpp>

#include "tests/support/golden_case.h"

namespace fovea {
namespace {

void WriteText(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

}  // namespace

void WritePipeline(const std::filesystem::path& to, const std::string& scheduler_json) {
  const std::filesystem::path from = GoldenFolder() / "pipeline" / "model";
  std::filesystem::create_directories(to);
  std::filesystem::copy(from / "tokenizer", to / "tokenizer");
  for (const char* name : {"unet", "vae", "text_encoder"}) {
    std::filesystem::create_directories(to / name);
    std::filesystem::copy(from / name / "config.json", to / name / "config.json");
    const bool text = std::string_view(name) == "text_encoder";
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

std::string Sd15SchedulerJson() {
  return R"({"_class_name":"PNDMScheduler","beta_end":0.012,"beta_schedule":"scaled_linear",)"
         R"("beta_start":0.00085,"num_train_timesteps":1000,"set_alpha_to_one":false,)"
         R"("skip_prk_steps":true,"steps_offset":1,"trained_betas":null,"clip_sample":false})";
}

}  // namespace fovea
