#include "pipelines/settings/resolve_settings.h"

#include <cmath>

#include "attention/heads/perturbation_list.h"
#include "attention/plans/plan.h"
#include "pipelines/settings/image_settings.h"
#include "pipelines/settings/prompt_weights_mode.h"
#include "pipelines/settings/random_seed.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr int kMaxSide = 1 << 20;  // memory is the real limit
constexpr int kMaxBatch = 4096;
constexpr int kMaxTextLength = 512;  // as in diffusers
constexpr size_t kMaxPromptBytes = 65536;
constexpr double kLeastFactor = 0.01, kMostFactor = 1000;

[[noreturn]] void Bad(const std::string& what) {
  throw Error(ErrorCode::kUsage, what);
}

int ResolveSide(const char* name, int asked, const std::optional<int>& model, int trained,
                int factor) {
  const int side = asked != 0 ? asked : model.value_or(trained);
  if (side < factor || side > kMaxSide || side % factor != 0) {
    Bad(std::string(name) + ": " + std::to_string(side) + " is not a multiple of " +
        std::to_string(factor) + " from " + std::to_string(factor) + " to " +
        std::to_string(kMaxSide));
  }
  return side;
}

double ResolveNumber(const char* name, double asked, double otherwise, double high) {
  const double value = asked < 0 ? otherwise : asked;
  if (!(value >= 0 && value <= high)) {
    char limit[32];
    std::snprintf(limit, sizeof limit, "%g", high);
    Bad(std::string(name) + ": must lie between 0 and " + limit);
  }
  return value;
}

void CheckOneOf(const char* name, const std::string& value,
                std::initializer_list<std::string_view> known) {
  std::string list;
  for (const std::string_view each : known) {
    if (value == each) return;
    list += (list.empty() ? "" : ", ") + std::string(each);
  }
  Bad(std::string(name) + ": \"" + value.substr(0, 80) + "\" is not among " + list);
}

void ResolveTextLength(const SettingLimits& limits, GenerateSettings* settings) {
  int& length = settings->max_sequence_length;
  if (limits.text_length == 0) {
    if (length < 0) return;
    throw Error(ErrorCode::kUnsupported,
                "max-sequence-length: this model has no text encoder of free length; leave it out");
  }
  if (length < 0) length = limits.defaults.max_sequence_length.value_or(limits.text_length);
  if (length > kMaxTextLength) {
    Bad("max-sequence-length: " + std::to_string(length) + " is not between 0 and " +
        std::to_string(kMaxTextLength));
  }
}

// 0 stands for a default.
void CheckFactor(const char* name, double value) {
  if (value == 0 || (value >= kLeastFactor && value <= kMostFactor)) return;
  Bad(std::string(name) + ": must lie between 0.01 and 1000");
}

// The text of errors names the flag.
void CheckSteps(const char* name, const std::string& text) {
  if (text.empty()) return;
  try {
    ParseStepRange(text);
  } catch (const Error& error) {
    Bad(std::string(name) + ": " + error.what());
  }
}

// What nothing is done with is as if it had not been given, so that pictures that are the same say
// the same.
void ResolvePerturbation(GenerateSettings* settings) {
  settings->perturb = PerturbList::Parse(settings->perturb).Text();
  // -1 without plain guidance is the perturbed network's own answer, which `heads` shows.
  if (!(settings->perturb_scale >= 0 && settings->perturb_scale <= 1e6) &&
      settings->perturb_scale != -1) {
    Bad("perturb-scale: must lie between 0 and 1e6");
  }
  CheckSteps("perturb-steps", settings->perturb_steps);
  ParsePerturbKind(settings->perturb_kind);
  ParsePerturbScope(settings->perturb_scope);
  settings->guidance = ParseOperator(settings->guidance).Text();
}

}  // namespace

GenerateSettings ResolveSettings(const GenerateSettings& asked, const SettingLimits& limits) {
  const ModelDefaults& model = limits.defaults;
  GenerateSettings settings = asked;
  if (asked.steps == 0) settings.steps = model.steps.value_or(25);
  ResolveImageSettings(limits, &settings);
  settings.width = ResolveSide("width", settings.width, model.width, limits.width, limits.factor);
  settings.height =
      ResolveSide("height", settings.height, model.height, limits.height, limits.factor);
  if (asked.batch < 1 || asked.batch > kMaxBatch) {
    Bad("batch: " + std::to_string(asked.batch) + " is not between 1 and " +
        std::to_string(kMaxBatch));
  }
  settings.cfg = ResolveNumber("cfg", asked.cfg, model.cfg.value_or(limits.cfg), 1e6);
  settings.cfg_rescale =
      ResolveNumber("cfg-rescale", asked.cfg_rescale, model.cfg_rescale.value_or(0), 1);
  if (asked.sampler.empty()) settings.sampler = model.sampler;
  if (!(asked.eta >= 0 && asked.eta <= 1)) Bad("eta: must lie between 0 and 1");
  if (asked.clip_skip < 0 || asked.clip_skip > limits.max_clip_skip) {
    Bad("clip-skip: " + std::to_string(asked.clip_skip) + " is not between 0 and " +
        std::to_string(limits.max_clip_skip) + ", the text encoder's layers");
  }
  ResolveTextLength(limits, &settings);
  if (!(asked.true_cfg >= 0 && asked.true_cfg <= 1e6)) Bad("true-cfg: must lie between 0 and 1e6");
  CheckSteps("cfg-interval", asked.cfg_interval);
  ResolvePerturbation(&settings);
  settings.attention = AttentionPlan::Parse(asked.attention).Text();
  settings.hires_attention = AttentionPlan::Parse(asked.hires_attention).Text();
  if (asked.hires_steps < 0) Bad("hires-steps: must be at least 1");
  if (!(asked.hires_cfg <= 1e6)) Bad("hires-cfg: must lie between 0 and 1e6");
  CheckFactor("shift", asked.shift);
  CheckFactor("hires-shift", asked.hires_shift);
  CheckFactor("hires-ntk", asked.hires_ntk);
  CheckFactor("ntk", asked.ntk);
  if (asked.ntk == 0) settings.ntk = 1;
  CheckOneOf("overlay-pass", asked.overlay_pass, {"both", "second"});
  ParsePromptWeights(asked.prompt_weights);
  const std::string negative = asked.negative.value_or("");
  for (const std::string* text : {&asked.prompt, &negative, &asked.prompt_2, &asked.negative_2,
                                  &asked.prompt_3, &asked.negative_3}) {
    if (text->size() > kMaxPromptBytes) {
      Bad("prompt: longer than " + std::to_string(kMaxPromptBytes) + " bytes");
    }
  }
  CheckOneOf("rng", asked.rng, {"torch", "philox"});
  CheckOneOf("vae-tiling", asked.vae_tiling, {"auto", "on", "off"});
  if (asked.dtype == "f16") {
    throw Error(ErrorCode::kUnsupported, "dtype: f16 is not a CPU compute type; take f32 or bf16");
  }
  CheckOneOf("dtype", asked.dtype, {"auto", "f32", "bf16"});
  if (asked.dtype == "auto") settings.dtype = "f32";
  if (!asked.seed) settings.seed = RandomSeed();
  return settings;
}

}  // namespace fovea
