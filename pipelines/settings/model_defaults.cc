#include "pipelines/settings/model_defaults.h"

#include <cmath>

#include <nlohmann/json.hpp>

#include "tensor/error.h"

namespace fovea {
namespace {

std::optional<int> ReadInt(const Config& config, std::string_view field, int high, int low = 1) {
  if (!config.Has(field)) return std::nullopt;
  return static_cast<int>(config.Int(field, low, high));
}

std::optional<double> ReadNumber(const Config& config, std::string_view field, double high) {
  if (!config.Has(field)) return std::nullopt;
  const double value = config.Number(field, 0);
  if (!(value >= 0 && value <= high)) {
    throw Error(ErrorCode::kBadFile, config.Where() + ": " + std::string(field) +
                                         " must lie between 0 and " + std::to_string(high));
  }
  return value;
}

}  // namespace

ModelDefaults ReadModelDefaults(const std::filesystem::path& folder) {
  ModelDefaults defaults;
  const std::filesystem::path path = folder / "fovea.json";
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return defaults;
  const Config config = Config::ReadFile(path);
  defaults.width = ReadInt(config, "width", 1 << 20);
  defaults.height = ReadInt(config, "height", 1 << 20);
  defaults.steps = ReadInt(config, "steps", 100000);
  defaults.max_sequence_length = ReadInt(config, "max_sequence_length", 512, 0);
  defaults.cfg = ReadNumber(config, "cfg", 1e6);
  defaults.cfg_rescale = ReadNumber(config, "cfg_rescale", 1);
  defaults.sampler = config.String("sampler", "");
  defaults.prompt = config.String("prompt", "");
  config.CheckAllRead();
  return defaults;
}

Config StableDiffusionScheduler(const Config& config, bool named, bool inpaints,
                                const std::function<void(const std::string&)>& warn) {
  nlohmann::json json = config.Json();
  const auto say = [&](const std::string& what) {
    if (warn)
      warn(config.Where() + ": " + what + " in StableDiffusion" + (inpaints ? "Inpaint" : "") +
           "Pipeline, as in diffusers");
  };
  const auto offset = json.find("steps_offset");
  if (offset == json.end()) {
    if (!named) json["steps_offset"] = 1;
  } else if (offset->is_null() || (offset->is_number_integer() && *offset >= 0 && *offset != 1)) {
    say("steps_offset " + offset->dump() + " counts as 1");
    *offset = 1;
  }
  if (inpaints) {
    const auto skip = json.find("skip_prk_steps");
    if (skip == json.end()) {
      if (!named && config.ClassName() == "PNDMScheduler") json["skip_prk_steps"] = true;
    } else if (*skip == false) {
      say("skip_prk_steps false counts as true");
      *skip = true;
    }
    return Config::Parse(json.dump(), config.Where());
  }
  const auto clip = json.find("clip_sample");
  if (clip == json.end()) {
    if (!named) json["clip_sample"] = false;
  } else if (*clip == true) {
    say("clip_sample true counts as false");
    *clip = false;
  }
  return Config::Parse(json.dump(), config.Where());
}

}  // namespace fovea
