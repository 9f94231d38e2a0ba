// A latent diffusion pipeline, opened: its networks, checked against each other, and what follows
// from its class and configs.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "attention/attention_runtime.h"
#include "models/config.h"
#include "models/denoiser.h"
#include "models/model_folder.h"
#include "models/vae/autoencoder_kl.h"
#include "pipelines/prompts/class_labels.h"
#include "pipelines/prompts/prompt_encoder.h"
#include "pipelines/sampling/guidance.h"
#include "pipelines/sampling/guidance/perturbed_branch.h"
#include "pipelines/sampling/hires.h"
#include "pipelines/sampling/scheduler.h"
#include "pipelines/settings/resolve_settings.h"

namespace fovea {

// What a pipeline class of diffusers does in its own way.
struct PipelineClass {
  std::string_view name;
  TextStates text = TextStates::kLast;
  bool time_ids = false;         // SDXL: text_embeds and time_ids
  bool fixes_scheduler = false;  // see StableDiffusionScheduler
  double cfg = 7.5;              // the class's default
  std::string_view denoiser = "UNet2DConditionModel";
  bool flow = false;            // its schedulers are those of flow matching
  bool shifts_latents = false;  // by the VAE's shift_factor
  int text_length = 0;          // default of max-sequence-length; 0: the class has no such thing
};
// Throws kUnsupported listing the classes that we have.
const PipelineClass& FindPipelineClass(const ModelFolder& model);

class DiffusionModel {
 public:
  // Opens and checks configs and weights; packs nothing yet.
  explicit DiffusionModel(const ModelFolder& model);

  const PipelineClass& Class() const { return class_; }
  const SettingLimits& Limits() const { return limits_; }
  const Denoiser& Network() const { return *network_; }
  // The one for a pass: without the overlay where the settings have none, as the first of two may.
  const Denoiser& NetworkOf(const GenerateSettings& settings) const;
  const AutoencoderKL& Vae() const { return *vae_; }
  const PromptEncoder& Text() const { return *text_; }
  const std::vector<std::shared_ptr<const WeightStore>>& Weights() const { return weights_; }
  std::vector<std::shared_ptr<const WeightStore>> NetworkWeights() const;  // and without overlay
  std::vector<std::shared_ptr<const WeightStore>> VaeWeights() const;
  const std::string& NetworkName() const { return network_name_; }  // "unet", "transformer"
  // Channels of the network's input behind the latents': 5 for inpainting models, else 0.
  int ExtraChannels() const;
  int VaeFactor() const { return vae_->Traits().factor; }  // picture pixels a latent pixel
  // Latents as the network knows them are (x - shift) * scale of the VAE's. diffusers' pipelines of
  // U-Nets and of DiT take no notice of a VAE's shift_factor.
  double LatentScale() const { return vae_->Traits().scaling_factor; }
  double LatentShift() const { return class_.shifts_latents ? vae_->Traits().shift_factor : 0; }
  // What the scheduler's timesteps are divided by for the network.
  float TimestepDivisor() const { return network_->Traits().packed ? 1000 : 1; }

  // All of these take resolved settings.
  Shape LatentShape(const GenerateSettings& settings) const;  // (n,c,h,w)
  std::unique_ptr<Scheduler> MakeSampler(
      const GenerateSettings& settings,
      const std::function<void(const std::string&)>& warn = {}) const;
  GuidanceSettings GuidanceOf(const GenerateSettings& settings) const;
  // Throws kUsage and kUnsupported for layers and heads that are not this model's.
  PerturbedBranch PerturbedOf(const GenerateSettings& settings) const;
  // All that a run asks the network, in the order of rows, a row for each picture.
  BranchLayout BranchesOf(const GenerateSettings& settings) const;
  // `calls` of the network: the run's, which may be fewer than the scheduler's.
  Hires HiresOf(const GenerateSettings& settings, int calls) const;
  // Of the network, whose sites alone an attention plan is about.
  AttentionRuntime AttentionOf(const GenerateSettings& settings, int calls) const;
  // Throws as the above and the runtime do for what a run of `calls` calls cannot have.
  void CheckAttention(const GenerateSettings& settings, int calls) const;
  // Throws kUnsupported for runs of which no step can be repeated alone.
  void CheckReplay(const GenerateSettings& settings) const;
  // SDXL's picture sizes, crops and, for refiners, scores, one group for each row. Empty for other
  // classes.
  std::vector<float> TimeIds(const GenerateSettings& settings, const BranchLayout& branches) const;
  // The class that the prompt names, or "none" in the unconditional branch, one for each row. Empty
  // for other models. Throws kUsage for a prompt that names no class.
  std::vector<int64_t> LabelsOf(const GenerateSettings& settings,
                                const BranchLayout& branches) const;
  // Throws kUsage and kUnsupported for settings that are not this model's.
  void CheckSettings(const GenerateSettings& settings) const;

 private:
  void CheckParts() const;
  void CheckUNet() const;
  void CheckTransformer() const;
  int TimeIdsOfSample() const;

  std::string where_, network_name_;
  const PipelineClass& class_;
  bool aesthetic_score_;
  Config scheduler_config_;
  std::unique_ptr<ClassLabels> labels_;  // of models of classes
  std::unique_ptr<Denoiser> network_;
  std::optional<ComponentFolder> overlaid_;          // where the network has an overlay
  mutable std::unique_ptr<Denoiser> plain_network_;  // without it, opened when asked for
  std::unique_ptr<PromptEncoder> text_;
  std::unique_ptr<AutoencoderKL> vae_;
  mutable std::vector<std::shared_ptr<const WeightStore>> weights_;
  SettingLimits limits_;
};

}  // namespace fovea
