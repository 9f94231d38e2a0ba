// The table of samplers: their names, diffusers' classes, and how they are made.

#include <array>
#include <optional>
#include <set>

#include <nlohmann/json.hpp>

#include "pipelines/schedulers/samplers.h"
#include "tensor/error.h"

namespace fovea {
namespace {

std::unique_ptr<Scheduler> MakeDpmpp(const Config& config, const SamplerChoice& choice) {
  return MakeDpmSolverMultistep(config, choice, "");
}

std::unique_ptr<Scheduler> MakeDpmppSde(const Config& config, const SamplerChoice& choice) {
  return MakeDpmSolverMultistep(config, choice, "sde-dpmsolver++");
}

struct Sampler {
  std::string_view name, diffusers_class;
  std::unique_ptr<Scheduler> (*make)(const Config&, const SamplerChoice&);
};

// Of two samplers of one class the first is the class as its config says.
constexpr Sampler kSamplers[] = {
    {"ddim", "DDIMScheduler", MakeDdim},
    {"pndm", "PNDMScheduler", MakePndm},
    {"euler", "EulerDiscreteScheduler", MakeEuler},
    {"euler_a", "EulerAncestralDiscreteScheduler", MakeEulerAncestral},
    {"dpmpp_2m", "DPMSolverMultistepScheduler", MakeDpmpp},
    {"dpmpp_2m_sde", "DPMSolverMultistepScheduler", MakeDpmppSde},
};

constexpr auto kNames = [] {
  std::array<std::string_view, std::size(kSamplers)> names;
  for (size_t i = 0; i < names.size(); ++i) names[i] = kSamplers[i].name;
  return names;
}();

std::string Known(std::string_view Sampler::*member) {
  std::string text;
  std::string_view last;
  for (const Sampler& sampler : kSamplers) {
    if (sampler.*member == last) continue;
    text += (text.empty() ? "" : ", ") + std::string(sampler.*member);
    last = sampler.*member;
  }
  return text;
}

const Sampler& FindByClass(const Config& config) {
  const std::string name = config.ClassName();
  for (const Sampler& sampler : kSamplers) {
    if (sampler.diffusers_class == name) return sampler;
  }
  throw Error(ErrorCode::kUnsupported,
              config.Where() + ": scheduler class \"" + name.substr(0, 80) + "\" is not among " +
                  Known(&Sampler::diffusers_class) + "; name a sampler to use another");
}

// Fields that the class left at its defaults do not travel to another class.
std::optional<Config> WithoutUsedDefaults(const Config& config) {
  const auto used = config.Json().find("_use_default_values");
  if (used == config.Json().end() || !used->is_array()) return std::nullopt;
  nlohmann::json json = config.Json();
  for (const auto& field : *used) {
    if (field.is_string()) json.erase(field.get<std::string>());
  }
  json.erase("_use_default_values");
  return Config::Parse(json.dump(), config.Where());
}

}  // namespace

std::unique_ptr<Scheduler> MakeScheduler(const Config& config, const SamplerChoice& choice) {
  const Sampler* sampler = nullptr;
  if (choice.sampler.empty()) {
    sampler = &FindByClass(config);
  } else {
    for (const Sampler& candidate : kSamplers) {
      if (candidate.name == choice.sampler) sampler = &candidate;
    }
    if (sampler == nullptr) {
      throw Error(ErrorCode::kUsage, "sampler: \"" + choice.sampler.substr(0, 80) +
                                         "\" is not among " + Known(&Sampler::name));
    }
  }
  const int64_t train_steps = config.Int("num_train_timesteps", 1, 100000, 1000);
  if (choice.steps < 1 || choice.steps > train_steps) {
    throw Error(ErrorCode::kUsage, "steps: " + std::to_string(choice.steps) +
                                       " is not between 1 and the model's " +
                                       std::to_string(train_steps) + " training steps");
  }
  const std::optional<Config> without = WithoutUsedDefaults(config);
  return sampler->make(without ? *without : config, choice);
}

std::span<const std::string_view> SamplerNames() {
  return kNames;
}

}  // namespace fovea
