// The table of samplers: their names, diffusers' classes, and how they are made.

#include <algorithm>
#include <array>
#include <set>

#include <nlohmann/json.hpp>

#include "pipelines/sampling/schedulers/flow_sigmas.h"
#include "pipelines/sampling/schedulers/samplers.h"
#include "tensor/error.h"

namespace fovea {
namespace {

std::unique_ptr<Scheduler> MakeDpmpp(const Config& config, const SamplerChoice& choice) {
  return MakeDpmSolverMultistep(config, choice, "");
}

std::unique_ptr<Scheduler> MakeDpmppSde(const Config& config, const SamplerChoice& choice) {
  return MakeDpmSolverMultistep(config, choice, "sde-dpmsolver++");
}

std::unique_ptr<Scheduler> MakeFlowDpmpp(const Config& config, const SamplerChoice& choice) {
  nlohmann::json json = config.Json();
  if (config.ClassName() != "DPMSolverMultistepScheduler") {
    json["use_flow_sigmas"] = true;
    json["prediction_type"] = "flow_prediction";
  }
  return MakeDpmSolverMultistep(Config::Parse(json.dump(), config.Where()), choice, "");
}

// What --schedule may ask of a class.
enum class Levels : uint8_t {
  kSpaced,  // timesteps in the config's spacing
  kSigmas,  // ... or a ramp of sigmas
  kFixed,   // its own
};

struct Sampler {
  std::string_view name, diffusers_class;
  bool flow;  // for models of flow matching
  Levels levels;
  std::unique_ptr<Scheduler> (*make)(const Config&, const SamplerChoice&);
};

// Of two samplers of one class the first is the class as its config says.
constexpr Sampler kSamplers[] = {
    {"ddim", "DDIMScheduler", false, Levels::kSigmas, MakeDdim},
    {"pndm", "PNDMScheduler", false, Levels::kSpaced, MakePndm},
    {"euler", "EulerDiscreteScheduler", false, Levels::kSigmas, MakeEuler},
    {"euler_a", "EulerAncestralDiscreteScheduler", false, Levels::kSigmas, MakeEulerAncestral},
    {"heun", "HeunDiscreteScheduler", false, Levels::kSigmas, MakeHeun},
    {"dpmpp_2m", "DPMSolverMultistepScheduler", false, Levels::kSigmas, MakeDpmpp},
    {"dpmpp_2m_sde", "DPMSolverMultistepScheduler", false, Levels::kSigmas, MakeDpmppSde},
    {"unipc", "UniPCMultistepScheduler", false, Levels::kSigmas, MakeUniPc},
    {"lcm", "LCMScheduler", false, Levels::kSigmas, MakeLcm},
    {"flow_euler", "FlowMatchEulerDiscreteScheduler", true, Levels::kSigmas, MakeFlowEuler},
    {"flow_heun", "FlowMatchHeunDiscreteScheduler", true, Levels::kSigmas, MakeFlowHeun},
    {"flow_dpmpp_2m", "DPMSolverMultistepScheduler", true, Levels::kFixed, MakeFlowDpmpp},
};

constexpr std::string_view kSchedules[] = {"model",       "normal",      "karras",
                                           "exponential", "sgm_uniform", "beta"};

constexpr auto kNames = [] {
  std::array<std::string_view, std::size(kSamplers)> names;
  for (size_t i = 0; i < names.size(); ++i) names[i] = kSamplers[i].name;
  return names;
}();

std::string Known(std::string_view Sampler::*member) {
  std::string text;
  std::set<std::string_view> said;
  for (const Sampler& sampler : kSamplers) {
    if (!said.insert(sampler.*member).second) continue;
    text += (text.empty() ? "" : ", ") + std::string(sampler.*member);
  }
  return text;
}

const Sampler& FindByClass(const Config& config) {
  const std::string name = config.ClassName();
  const Sampler* found = nullptr;
  for (const Sampler& sampler : kSamplers) {
    if (sampler.diffusers_class != name) continue;
    if (sampler.flow == IsFlowMatching(config)) return sampler;
    found = &sampler;  // says itself why it cannot
  }
  if (found != nullptr) return *found;
  throw Error(ErrorCode::kUnsupported,
              config.Where() + ": scheduler class \"" + name.substr(0, 80) + "\" is not among " +
                  Known(&Sampler::diffusers_class) + "; name a sampler to use another");
}

// A model is trained for one of both kinds of noise levels; the other kind's samplers make nothing
// of it.
void CheckKind(const Sampler& sampler, const Config& config) {
  const bool flow = IsFlowMatching(config);
  if (sampler.flow == flow) return;
  std::string able;
  for (const Sampler& each : kSamplers) {
    if (each.flow == flow) able += (able.empty() ? "" : ", ") + std::string(each.name);
  }
  throw Error(ErrorCode::kUnsupported,
              "sampler: " + std::string(sampler.name) + " is for models of " +
                  (flow ? "noise prediction, and this one is of flow matching ("
                        : "flow matching, and this one predicts noise (") +
                  config.Where() + "); take one of " + able);
}

// Fields that the class left at its defaults do not travel to another class.
void EraseUsedDefaults(nlohmann::json* json) {
  const auto used = json->find("_use_default_values");
  if (used == json->end() || !used->is_array()) return;
  const nlohmann::json fields = *used;
  for (const auto& field : fields) {
    if (field.is_string()) json->erase(field.get<std::string>());
  }
  json->erase("_use_default_values");
}

// Replaces the noise levels, as diffusers users do it with from_config.
void SetSchedule(const Sampler& sampler, std::string_view schedule, nlohmann::json* json) {
  if (schedule.empty() || schedule == "model") return;
  if (std::find(std::begin(kSchedules), std::end(kSchedules), schedule) == std::end(kSchedules)) {
    std::string known;
    for (const std::string_view name : kSchedules) {
      known += (known.empty() ? "" : ", ") + std::string(name);
    }
    throw Error(ErrorCode::kUsage,
                "schedule: \"" + std::string(schedule.substr(0, 80)) + "\" is not among " + known);
  }
  const bool ramp = schedule != "normal" && schedule != "sgm_uniform";
  if (sampler.levels == Levels::kFixed || (ramp && sampler.levels == Levels::kSpaced)) {
    std::string able;
    for (const Sampler& each : kSamplers) {
      if (each.levels != Levels::kSigmas || each.flow != sampler.flow) continue;
      able += (able.empty() ? "" : ", ") + std::string(each.name);
    }
    throw Error(ErrorCode::kUnsupported, "schedule: " + std::string(schedule) +
                                             " is not one of sampler " + std::string(sampler.name) +
                                             "; it is of " + able);
  }
  for (const char* field :
       {"use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas"}) {
    (*json)[field] = false;
  }
  if (ramp) (*json)["use_" + std::string(schedule) + "_sigmas"] = true;
  // What others call SGM uniform are diffusers' trailing timesteps.
  if (schedule == "sgm_uniform") (*json)["timestep_spacing"] = "trailing";
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
    CheckKind(*sampler, config);
  }
  const int64_t train_steps = config.Int("num_train_timesteps", 1, 100000, 1000);
  if (choice.steps < 1 || choice.steps > train_steps) {
    throw Error(ErrorCode::kUsage, "steps: " + std::to_string(choice.steps) +
                                       " is not between 1 and the model's " +
                                       std::to_string(train_steps) + " training steps");
  }
  nlohmann::json json = config.Json();
  EraseUsedDefaults(&json);
  SetSchedule(*sampler, choice.schedule, &json);
  return sampler->make(Config::Parse(json.dump(), config.Where()), choice);
}

std::span<const std::string_view> SamplerNames() {
  return kNames;
}

std::span<const std::string_view> ScheduleNames() {
  return kSchedules;
}

}  // namespace fovea
