#include "tests/support/hidiffusion_case.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "models/files/safetensors.h"

namespace fovea {
namespace {

using nlohmann::json;

json ReadJson(const std::filesystem::path& path) {
  std::ifstream file(path);
  return json::parse(file);
}

NamedTensors InputsOf(const NamedTensors& io, const std::string& size) {
  NamedTensors inputs;
  const std::string prefix = "in." + size + ".";
  for (const auto& [name, tensor] : io) {
    if (name.starts_with(prefix)) inputs[name.substr(prefix.size())] = tensor;
  }
  return inputs;
}

HidiffusionCase CaseOf(const json& from, const NamedTensors& io) {
  HidiffusionCase c;
  c.name = from.at("name");
  c.schedule = from.at("schedule");
  c.step = from.at("step");
  c.steps = from.at("steps");
  c.trained = from.at("trained");
  c.batch = from.at("batch");
  c.raunet = from.at("raunet");
  c.windows = from.at("windows");
  c.seed = from.at("seed");
  c.timestep = from.at("timestep");
  c.inputs = InputsOf(io, from.at("inputs"));
  c.output = io.at("out." + c.name);
  c.reference_f32_error = from.at("reference_f32_error");
  c.sizes = from.at("sizes").get<std::vector<std::pair<int64_t, int64_t>>>();
  c.quarters = from.at("quarters").get<std::vector<int>>();
  return c;
}

HidiffusionLoop LoopOf(const json& from, const NamedTensors& io) {
  HidiffusionLoop loop;
  loop.name = from.at("name");
  loop.schedule = from.at("schedule");
  loop.steps = from.at("steps");
  loop.trained = from.at("trained");
  loop.seed = from.at("seed");
  loop.cfg = from.at("cfg");
  json scheduler = from.at("scheduler");
  scheduler["_class_name"] = "DDIMScheduler";
  loop.scheduler_config = scheduler.dump();
  loop.inputs = InputsOf(io, from.at("inputs"));
  for (const auto& [step, error] : from.at("reference_f32_error").items()) {
    loop.reference_f32_error[std::stoi(step)] = error;
    loop.latents[std::stoi(step)] = io.at("out." + loop.name + "." + step);
  }
  return loop;
}

}  // namespace

std::string HidiffusionCase::Hires() const {
  return raunet ? "raunet=" + schedule : "off";
}

HidiffusionModel HidiffusionModel::Read(const std::string& name) {
  const auto folder = GoldenFolder() / "hidiffusion" / name;
  const json about = ReadJson(folder / "case.json");
  const NamedTensors io = ReadSafetensors(folder / "io.safetensors");
  HidiffusionModel model;
  model.name = name;
  for (const json& each : about.at("cases")) model.cases.push_back(CaseOf(each, io));
  for (const json& each : about.at("loops")) model.loops.push_back(LoopOf(each, io));
  model.folder_ = std::make_shared<TempDir>();
  WriteFormulaWeights(ReadShapes(folder / "tensors.json"), DType::kF32,
                      *model.folder_ / "diffusion_pytorch_model.safetensors");
  return model;
}

std::unique_ptr<UNet2DConditionModel> HidiffusionModel::Load(int trained) const {
  json config = ReadJson(GoldenFolder() / "hidiffusion" / name / "config.json");
  config["sample_size"] = trained;
  return UNet2DConditionModel::Load(Config::Parse(config.dump(), name + "/config.json"),
                                    WeightStore::Open(folder_->Path()));
}

}  // namespace fovea
