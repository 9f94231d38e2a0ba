#include "pipelines/generation/diffusion_model.h"

#include <algorithm>
#include <array>

#include "models/component_weights.h"
#include "models/load_denoiser.h"
#include "pipelines/sampling/schedulers/flow_sigmas.h"
#include "pipelines/settings/two_pass.h"

namespace fovea {
namespace {

constexpr PipelineClass OfUNet(std::string_view name, TextStates text, bool time_ids,
                               bool fixes_scheduler, double cfg) {
  return {.name = name,
          .text = text,
          .time_ids = time_ids,
          .fixes_scheduler = fixes_scheduler,
          .cfg = cfg};
}

constexpr PipelineClass OfSD3(std::string_view name) {
  return {.name = name,
          .text = TextStates::kJoint,
          .cfg = 7,
          .denoiser = "SD3Transformer2DModel",
          .flow = true,
          .shifts_latents = true,
          .text_length = 256};
}

constexpr PipelineClass OfFlux(std::string_view name) {
  return {.name = name,
          .text = TextStates::kLongAndPooled,
          .cfg = 3.5,
          .denoiser = "FluxTransformer2DModel",
          .flow = true,
          .shifts_latents = true,
          .text_length = 512};
}

constexpr TextStates kLast = TextStates::kLast, kPenultimate = TextStates::kPenultimate;

constexpr std::array kClasses = {
    OfUNet("StableDiffusionPipeline", kLast, false, true, 7.5),
    OfUNet("StableDiffusionImg2ImgPipeline", kLast, false, true, 7.5),
    OfUNet("StableDiffusionInpaintPipeline", kLast, false, true, 7.5),
    OfUNet("StableDiffusionXLPipeline", kPenultimate, true, false, 5),
    OfUNet("StableDiffusionXLImg2ImgPipeline", kPenultimate, true, false, 5),
    OfUNet("StableDiffusionXLInpaintPipeline", kPenultimate, true, false, 7.5),
    OfUNet("LatentConsistencyModelPipeline", kLast, false, false, 8.5),
    OfUNet("LatentConsistencyModelImg2ImgPipeline", kLast, false, false, 8.5),
    OfSD3("StableDiffusion3Pipeline"),
    OfSD3("StableDiffusion3Img2ImgPipeline"),
    OfFlux("FluxPipeline"),
    OfFlux("FluxImg2ImgPipeline"),
    PipelineClass{.name = "DiTPipeline",
                  .text = TextStates::kNone,
                  .cfg = 4,
                  .denoiser = "DiTTransformer2DModel"},
};

// SDXL's refiner was trained with the scores that people gave to pictures.
constexpr float kAestheticScore = 6, kNegativeAestheticScore = 2.5;

const ComponentFolder& GetPart(const ModelFolder& model, std::string_view name,
                               std::string_view class_name) {
  const ComponentFolder& part = model.Get(name);
  // Folders of DiT from before its class had a name of its own.
  const bool old = class_name == "DiTTransformer2DModel" && part.class_name == "Transformer2DModel";
  if (part.class_name != class_name && !old) {
    throw Error(ErrorCode::kUnsupported,
                model.folder.string() + ": " + std::string(name) + " is a " + part.class_name +
                    "; " + model.pipeline_class + " is supported with " + std::string(class_name));
  }
  return part;
}

}  // namespace

const PipelineClass& FindPipelineClass(const ModelFolder& model) {
  std::string known;
  for (const PipelineClass& each : kClasses) {
    if (each.name == model.pipeline_class) return each;
    known += (known.empty() ? "" : ", ") + std::string(each.name);
  }
  throw Error(ErrorCode::kUnsupported,
              model.folder.string() + ": is " +
                  (model.pipeline_class.empty() ? "a component alone" : model.pipeline_class) +
                  "; pictures are made with folders of " + known);
}

DiffusionModel::DiffusionModel(const ModelFolder& model)
    : where_(model.folder.string()),
      class_(FindPipelineClass(model)),
      aesthetic_score_(model.Flag("requires_aesthetics_score", false)),
      scheduler_config_(Config::ReadFile(model.Get("scheduler").folder / "scheduler_config.json")) {
  const bool transformer = class_.denoiser != "UNet2DConditionModel";
  const ComponentFolder& network =
      GetPart(model, transformer ? "transformer" : "unet", class_.denoiser);
  const ComponentFolder& vae = GetPart(model, "vae", "AutoencoderKL");
  auto network_weights = OpenWeights(network);
  network_ =
      LoadDenoiser(std::string(class_.denoiser), ReadComponentConfig(network), network_weights);
  network_name_ = network.name;
  text_ = std::make_unique<PromptEncoder>(model, class_.text, network_->Traits());
  weights_ = text_->Weights();
  weights_.push_back(std::move(network_weights));
  if (!network.overlay.empty()) overlaid_ = network;
  weights_.push_back(OpenWeights(vae));
  vae_ = AutoencoderKL::Load(ReadComponentConfig(vae), weights_.back());
  const DenoiserTraits& traits = network_->Traits();
  if (traits.num_classes > 0) {
    labels_ = std::make_unique<ClassLabels>(model.folder, traits.num_classes);
  }
  limits_.defaults = ReadModelDefaults(model.folder);
  limits_.cfg = class_.cfg;
  if (class_.text == TextStates::kLongAndPooled && !traits.has_guidance) limits_.cfg = 1;
  limits_.factor = VaeFactor() * traits.patch;
  limits_.width = traits.sample_width * VaeFactor();
  limits_.height = traits.sample_height * VaeFactor();
  limits_.max_clip_skip = text_->MaxClipSkip();
  limits_.text_length = class_.text_length;
  limits_.flow = IsFlowMatching(scheduler_config_);
  CheckParts();
}

const Denoiser& DiffusionModel::NetworkOf(const GenerateSettings& settings) const {
  if (!overlaid_ || !settings.overlay.empty()) return *network_;
  if (plain_network_ == nullptr) {
    ComponentFolder plain = *overlaid_;
    plain.overlay.clear();
    weights_.push_back(OpenWeights(plain));
    plain_network_ =
        LoadDenoiser(std::string(class_.denoiser), ReadComponentConfig(plain), weights_.back());
  }
  return *plain_network_;
}

// In the order in which the constructor opens them; a network without its overlay comes last.
std::vector<std::shared_ptr<const WeightStore>> DiffusionModel::NetworkWeights() const {
  const auto first = weights_.begin() + static_cast<std::ptrdiff_t>(text_->Weights().size());
  std::vector<std::shared_ptr<const WeightStore>> stores(first, weights_.end());
  stores.erase(stores.begin() + 1);
  return stores;
}

std::vector<std::shared_ptr<const WeightStore>> DiffusionModel::VaeWeights() const {
  return {weights_[text_->Weights().size() + 1]};
}

int DiffusionModel::ExtraChannels() const {
  const DenoiserTraits& traits = network_->Traits();
  return traits.in_channels / (traits.packed ? 4 : 1) - vae_->Traits().latent_channels;
}

namespace {

std::string Numbers(const std::string& a, int x, const std::string& b, int y) {
  return a + " " + std::to_string(x) + ", but " + b + " " + std::to_string(y);
}

}  // namespace

// The parts are right each by itself; this is whether they belong together.
void DiffusionModel::CheckParts() const {
  const int channels = vae_->Traits().out_channels;
  if (channels != 3) {
    throw Error(ErrorCode::kBadFile,
                where_ + ": vae out_channels " + std::to_string(channels) + "; not 3");
  }
  if (class_.denoiser == "UNet2DConditionModel") {
    CheckUNet();
  } else {
    CheckTransformer();
  }
}

void DiffusionModel::CheckUNet() const {
  const auto bad = [&](const std::string& what) {
    throw Error(ErrorCode::kBadFile, where_ + ": " + what);
  };
  const DenoiserTraits& unet = network_->Traits();
  const VaeTraits& vae = vae_->Traits();
  // Behind the latents, inpainting models take a mask and the latents of what is kept.
  if (unet.in_channels != vae.latent_channels && ExtraChannels() != vae.latent_channels + 1) {
    bad(Numbers("unet in_channels", unet.in_channels, "vae latent_channels", vae.latent_channels));
  }
  if (unet.out_channels != vae.latent_channels) {
    throw Error(ErrorCode::kUnsupported, where_ + ": " +
                                             Numbers("unet out_channels", unet.out_channels,
                                                     "vae latent_channels", vae.latent_channels));
  }
  if (unet.context_dim != text_->ContextDim()) {
    bad(Numbers("unet cross_attention_dim", unet.context_dim, "text encoders' hidden_size",
                text_->ContextDim()));
  }
  if (!class_.time_ids && unet.addition_dim > 0) {
    throw Error(ErrorCode::kUnsupported, where_ +
                                             ": the unet takes text_embeds and time_ids, as SDXL's "
                                             "do; " +
                                             std::string(class_.name) + " has none to give");
  }
  if (class_.time_ids) {
    const int given = text_->PooledDim() + TimeIdsOfSample() * unet.addition_time_dim;
    if (unet.addition_dim != given) {
      bad(Numbers("unet projection_class_embeddings_input_dim", unet.addition_dim,
                  "text_encoder_2 and time_ids together give", given) +
          "; requires_aesthetics_score is " + (aesthetic_score_ ? "true" : "false") +
          " in model_index.json");
    }
  }
}

void DiffusionModel::CheckTransformer() const {
  const DenoiserTraits& network = network_->Traits();
  const VaeTraits& vae = vae_->Traits();
  const int packed = network.packed ? 4 : 1;
  const auto refuse = [&](const char* field, int channels) {
    throw Error(
        ErrorCode::kUnsupported,
        where_ + ": " +
            Numbers(std::string("transformer ") + field, channels,
                    packed > 1 ? "four times the vae's latent_channels" : "vae latent_channels",
                    packed * vae.latent_channels));
  };
  if (ExtraChannels() != 0) refuse("in_channels", network.in_channels);
  // Models of classes may say how sure they are, in as many channels more, which no sampler reads.
  const bool learned_sigma =
      network.num_classes > 0 && network.out_channels == 2 * vae.latent_channels;
  if (network.out_channels != packed * vae.latent_channels && !learned_sigma) {
    refuse("out_channels", network.out_channels);
  }
  if (class_.flow && !IsFlowMatching(scheduler_config_)) {
    throw Error(ErrorCode::kUnsupported,
                scheduler_config_.Where() + ": " + std::string(class_.name) +
                    " is of flow matching, and this scheduler is not; it needs a "
                    "FlowMatchEulerDiscreteScheduler or the like");
  }
}

Shape DiffusionModel::LatentShape(const GenerateSettings& settings) const {
  return {settings.batch, vae_->Traits().latent_channels, settings.height / VaeFactor(),
          settings.width / VaeFactor()};
}

std::unique_ptr<Scheduler> DiffusionModel::MakeSampler(
    const GenerateSettings& settings, const std::function<void(const std::string&)>& warn) const {
  const DenoiserTraits& traits = network_->Traits();
  const Shape latent = LatentShape(settings);
  const SamplerChoice choice = {settings.sampler,
                                settings.steps,
                                settings.eta,
                                settings.schedule,
                                (latent[2] / traits.patch) * (latent[3] / traits.patch),
                                settings.shift,
                                class_.text == TextStates::kLongAndPooled};
  if (!class_.fixes_scheduler) return MakeScheduler(scheduler_config_, choice);
  return MakeScheduler(StableDiffusionScheduler(scheduler_config_, !settings.sampler.empty(),
                                                !settings.mask.empty(), warn),
                       choice);
}

GuidanceSettings DiffusionModel::GuidanceOf(const GenerateSettings& settings) const {
  const bool flux = class_.text == TextStates::kLongAndPooled;  // which takes cfg as an input
  GuidanceSettings guidance;
  guidance.scale = flux ? settings.true_cfg : settings.cfg;
  guidance.rescale = settings.cfg_rescale;
  guidance.model_is_guided = network_->Traits().timestep_cond_dim > 0;
  guidance.flow = limits_.flow;
  if (!settings.cfg_interval.empty()) guidance.interval = ParseStepRange(settings.cfg_interval);
  guidance.method = ParseOperator(settings.guidance);
  guidance.perturbs = !PerturbedOf(settings).Empty();
  guidance.perturb_scale = settings.perturb_scale;
  if (!settings.perturb_steps.empty()) {
    guidance.perturb_steps = ParseStepRange(settings.perturb_steps);
  }
  return guidance;
}

PerturbedBranch DiffusionModel::PerturbedOf(const GenerateSettings& settings) const {
  return MakePerturbedBranch(settings.perturb, settings.perturb_kind, settings.perturb_scope,
                             network_->AttentionSites());
}

BranchLayout DiffusionModel::BranchesOf(const GenerateSettings& settings) const {
  return {GuidanceOf(settings).Branches(), settings.batch};
}

Hires DiffusionModel::HiresOf(const GenerateSettings& settings, int calls) const {
  const Shape latent = LatentShape(settings);
  return {settings.hires, network_->Traits(), latent[2], latent[3], calls};
}

AttentionRuntime DiffusionModel::AttentionOf(const GenerateSettings& settings, int calls) const {
  std::vector<uint64_t> seeds;
  for (int i = 0; i < settings.batch; ++i) {
    seeds.push_back(*settings.seed + static_cast<uint64_t>(i));
  }
  return {HiresOf(settings, calls).With(AttentionPlan::Parse(settings.attention)),
          network_->AttentionSites(), calls, std::move(seeds)};
}

void DiffusionModel::CheckAttention(const GenerateSettings& settings, int calls) const {
  AttentionRuntime attention = AttentionOf(settings, calls);
  const PerturbedBranch perturbed = PerturbedOf(settings);
  if (!perturbed.attention.heads.empty()) {
    attention.SetPerturbation(BranchKind::kPerturbed, perturbed.attention);
  }
  MakeGuidance(GuidanceOf(settings));
  if (settings.perturb_steps.empty()) return;
  const StepRange range = ParseStepRange(settings.perturb_steps);
  for (int step = 0; step < settings.steps; ++step) {
    if (range.Holds(step, settings.steps)) return;
  }
  throw Error(ErrorCode::kUnsupported, "perturb-steps: " + settings.perturb_steps +
                                           " holds at none of the " +
                                           std::to_string(settings.steps) + " steps of this run");
}

void DiffusionModel::CheckReplay(const GenerateSettings& settings) const {
  if (SplitTwoPass(settings, limits_.factor)) {
    throw Error(ErrorCode::kUnsupported, "a run of two passes cannot be replayed step by step");
  }
  if (MakeGuidance(GuidanceOf(settings))->KeepsState()) {
    throw Error(ErrorCode::kUnsupported,
                "guidance: " + settings.guidance +
                    " remembers earlier steps, so none can be replayed alone; take momentum=0");
  }
}

void DiffusionModel::CheckSettings(const GenerateSettings& settings) const {
  const auto refuse = [](const std::string& what) { throw Error(ErrorCode::kUnsupported, what); };
  if (class_.text != TextStates::kLongAndPooled && settings.true_cfg != 1) {
    refuse("true-cfg: is for models that take --cfg as an input, as FLUX; give --cfg alone");
  }
  if (!limits_.flow && (settings.shift != 0 || settings.hires_shift != 0)) {
    refuse(std::string(settings.shift != 0 ? "shift" : "hires-shift") +
           ": is of flow matching, which this model's " + scheduler_config_.ClassName() +
           " is not; leave it out");
  }
  if (!network_->Traits().rotary && (settings.ntk != 1 || settings.hires_ntk != 0)) {
    refuse(std::string(settings.ntk != 1 ? "ntk" : "hires-ntk") +
           ": is of rotary positions, which " + network_->Traits().class_name +
           " has none of; leave it out");
  }
  if (settings.overlay_pass == "second" && !overlaid_) {
    throw Error(ErrorCode::kUsage, "overlay-pass: there is no overlay; give one with --overlay");
  }
  if (class_.text == TextStates::kLongAndPooled && settings.true_cfg > 1 && !settings.negative) {
    throw Error(ErrorCode::kUsage,
                "true-cfg: leads away from a negative prompt; give one with -n, which may be \"\"");
  }
  if (labels_ != nullptr) {
    if (!settings.negative.value_or("").empty()) {
      refuse(
          "negative: this model draws classes and is guided away from none of them; leave it out");
    }
    if (!settings.prompt.empty()) labels_->Find(settings.prompt);
  }
  const DenoiserTraits& traits = network_->Traits();
  const Shape latent = LatentShape(settings);
  const int64_t grid = std::max(latent[2], latent[3]) / traits.patch;
  if (traits.max_grid > 0 && grid > traits.max_grid) {
    throw Error(ErrorCode::kUsage,
                "width, height: this model has positions for " +
                    std::to_string(traits.max_grid * traits.patch * VaeFactor()) +
                    " pixels a side, not for " + std::to_string(grid * traits.patch * VaeFactor()));
  }
}

std::vector<int64_t> DiffusionModel::LabelsOf(const GenerateSettings& settings,
                                              const BranchLayout& branches) const {
  std::vector<int64_t> labels;
  if (labels_ == nullptr) return labels;
  for (const Branch& branch : branches.Branches()) {
    const bool none = branch.kind == BranchKind::kUnconditional;
    labels.insert(labels.end(), static_cast<size_t>(branch.rows),
                  none ? labels_->None() : labels_->Find(settings.prompt));
  }
  return labels;
}

int DiffusionModel::TimeIdsOfSample() const {
  return aesthetic_score_ ? 5 : 6;
}

std::vector<float> DiffusionModel::TimeIds(const GenerateSettings& settings,
                                           const BranchLayout& branches) const {
  std::vector<float> ids;
  if (!class_.time_ids) return ids;
  const auto height = static_cast<float>(settings.height),
             width = static_cast<float>(settings.width);
  for (const Branch& branch : branches.Branches()) {
    const bool negative = branch.kind == BranchKind::kUnconditional;
    for (int64_t i = 0; i < branch.rows; ++i) {
      ids.insert(ids.end(), {height, width, 0, 0});  // the original size, and no crop
      if (aesthetic_score_) {
        ids.push_back(negative ? kNegativeAestheticScore : kAestheticScore);
      } else {
        ids.insert(ids.end(), {height, width});  // the size that is meant
      }
    }
  }
  return ids;
}

}  // namespace fovea
