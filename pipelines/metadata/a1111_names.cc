#include "pipelines/metadata/a1111_names.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace fovea {
namespace {

struct Sampler {
  std::string_view name;       // ours
  std::string_view label;      // A1111's
  std::string_view automatic;  // what "Automatic" means there, as our schedule
};

// The plain schedule of LCM and of DPM++ 2M on flows is the only one that we have.
constexpr Sampler kSamplers[] = {
    {"ddim", "DDIM", "normal"},
    {"pndm", "PLMS", "normal"},
    {"euler", "Euler", "normal"},
    {"euler_a", "Euler a", "normal"},
    {"heun", "Heun", "normal"},
    {"dpmpp_2m", "DPM++ 2M", "karras"},
    {"dpmpp_2m_sde", "DPM++ 2M SDE", "exponential"},
    {"unipc", "UniPC", "normal"},
    {"lcm", "LCM", "model"},
    {"flow_euler", "Flow Euler", "normal"},
    {"flow_heun", "Flow Heun", "normal"},
    {"flow_dpmpp_2m", "Flow DPM++ 2M", "model"},
};

// In Folded spelling. What ComfyUI, diffusers and other programs of the habit write besides.
constexpr std::pair<std::string_view, std::string_view> kAliases[] = {
    {"plms", "pndm"},
    {"euler_ancestral", "euler_a"},
    {"dpmpp_2m_sde_gpu", "dpmpp_2m_sde"},
    {"uni_pc", "unipc"},
};

// Folded, longer endings first; no schedule of ours: one that we lack. Uniform and Normal are the
// same levels for a model of the usual kind. Simple takes every n-th level from the noisiest on,
// which is what diffusers' trailing timesteps do.
constexpr std::pair<std::string_view, std::string_view> kSchedules[] = {
    {"automatic", "automatic"},
    {"sgm_uniform", "sgm_uniform"},
    {"sgmuniform", "sgm_uniform"},
    {"uniform", "normal"},
    {"normal", "normal"},
    {"karras_exponential", ""},
    {"karras", "karras"},
    {"ka", "karras"},
    {"polyexponential", ""},
    {"exponential", "exponential"},
    {"simple", "sgm_uniform"},
    {"beta", "beta"},
    {"kl_optimal", ""},
    {"align_your_steps", ""},
    {"ddim_uniform", ""},
    {"turbo", ""},
};

// "DPM++ 2M" and "k_dpmpp_2m" are both "dpmpp_2m".
std::string Folded(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == '+') {
      out += 'p';
    } else if (c == ' ' || c == '-') {
      out += '_';
    } else {
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
  }
  for (const std::string_view prefix : {"k_", "sample_"}) {
    if (out.starts_with(prefix)) out.erase(0, prefix.size());
  }
  return out;
}

const Sampler* FindSampler(std::string_view folded) {
  for (const auto& [alias, name] : kAliases) {
    if (folded == alias) folded = name;
  }
  for (const Sampler& sampler : kSamplers) {
    if (folded == sampler.name) return &sampler;
  }
  return nullptr;
}

}  // namespace

std::string A1111Sampler(std::string_view sampler) {
  for (const Sampler& each : kSamplers) {
    if (each.name == sampler) return std::string(each.label);
  }
  return std::string(sampler);
}

std::string A1111Schedule(std::string_view sampler, std::string_view asked, std::string_view ran) {
  if (asked == "sgm_uniform") return "SGM Uniform";
  if (!ran.empty()) return std::string(ran);
  // A1111's others follow no schedule but their own.
  for (const char* each :
       {"euler", "euler_a", "heun", "dpmpp_2m", "dpmpp_2m_sde", "flow_euler", "flow_heun"}) {
    if (sampler == each) return "Normal";
  }
  return {};
}

OurSampler ReadA1111Sampler(std::string_view sampler, std::string_view schedule, bool automatic) {
  std::string name = Folded(sampler);
  std::string levels = Folded(schedule);
  for (const auto& [suffix, ours] : kSchedules) {
    const std::string ending = "_" + std::string(suffix);
    if (FindSampler(name) != nullptr || !name.ends_with(ending)) continue;
    name.erase(name.size() - ending.size());
    levels = suffix;
  }
  if (levels.empty()) levels = automatic ? "automatic" : "normal";
  OurSampler names;
  const Sampler* found = FindSampler(name);
  if (found != nullptr) names.sampler = found->name;
  for (const auto& [theirs, ours] : kSchedules) {
    if (levels == theirs && !ours.empty()) names.schedule = ours;
  }
  if (names.schedule == "automatic") {
    names.schedule = found != nullptr ? found->automatic : "model";
  } else if (names.schedule == "normal" && found != nullptr && found->automatic == "model") {
    names.schedule = "model";
  }
  return names;
}

bool KnowsScheduleTypes(std::string_view version) {
  if (version.starts_with('f')) return version.size() > 1 && version[1] >= '0' && version[1] <= '9';
  if (version.starts_with('v')) version.remove_prefix(1);
  int parts[2] = {0, 0};
  for (int& part : parts) {
    const auto read = std::from_chars(version.data(), version.data() + version.size(), part);
    if (read.ec != std::errc()) return false;
    version.remove_prefix(static_cast<size_t>(read.ptr - version.data()));
    if (version.starts_with('.')) version.remove_prefix(1);
  }
  return parts[0] > 1 || (parts[0] == 1 && parts[1] >= 9);
}

}  // namespace fovea
