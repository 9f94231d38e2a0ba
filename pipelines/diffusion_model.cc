#include "pipelines/diffusion_model.h"

#include <array>

#include "models/component_weights.h"

namespace fovea {
namespace {

constexpr TextStates kLast = TextStates::kLast, kPenultimate = TextStates::kPenultimate;

constexpr std::array kClasses = {
    PipelineClass{"StableDiffusionPipeline", kLast, false, true, 7.5},
    PipelineClass{"StableDiffusionImg2ImgPipeline", kLast, false, true, 7.5},
    PipelineClass{"StableDiffusionInpaintPipeline", kLast, false, true, 7.5},
    PipelineClass{"StableDiffusionXLPipeline", kPenultimate, true, false, 5},
    PipelineClass{"StableDiffusionXLImg2ImgPipeline", kPenultimate, true, false, 5},
    PipelineClass{"StableDiffusionXLInpaintPipeline", kPenultimate, true, false, 7.5},
    PipelineClass{"LatentConsistencyModelPipeline", kLast, false, false, 8.5},
    PipelineClass{"LatentConsistencyModelImg2ImgPipeline", kLast, false, false, 8.5},
};

// SDXL's refiner was trained with the scores that people gave to pictures.
constexpr float kAestheticScore = 6, kNegativeAestheticScore = 2.5;

const ComponentFolder& GetPart(const ModelFolder& model, std::string_view name,
                               std::string_view class_name) {
  const ComponentFolder& part = model.Get(name);
  if (part.class_name != class_name) {
    throw Error(ErrorCode::kUnsupported,
                model.folder.string() + ": " + std::string(name) + " is a " + part.class_name +
                    "; " + model.pipeline_class + " is supported with " + std::string(class_name));
  }
  return part;
}

Config ConfigOf(const ComponentFolder& part) {
  return Config::ReadFile(part.folder / "config.json");
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
  const ComponentFolder& unet = GetPart(model, "unet", "UNet2DConditionModel");
  const ComponentFolder& vae = GetPart(model, "vae", "AutoencoderKL");
  text_ = std::make_unique<PromptEncoder>(model, class_.text);
  weights_ = text_->Weights();
  weights_.push_back(OpenWeights(unet));
  unet_ = UNet2DConditionModel::Load(ConfigOf(unet), weights_.back());
  weights_.push_back(OpenWeights(vae));
  vae_ = AutoencoderKL::Load(ConfigOf(vae), weights_.back());
  limits_.defaults = ReadModelDefaults(model.folder);
  limits_.cfg = class_.cfg;
  limits_.factor = vae_->Traits().factor;
  limits_.width = unet_->Traits().sample_width * limits_.factor;
  limits_.height = unet_->Traits().sample_height * limits_.factor;
  limits_.max_clip_skip = text_->MaxClipSkip();
  CheckParts();
}

int DiffusionModel::ExtraChannels() const {
  return unet_->Traits().in_channels - vae_->Traits().latent_channels;
}

// The parts are right each by itself; this is whether they belong together.
void DiffusionModel::CheckParts() const {
  const auto bad = [&](const std::string& what) {
    throw Error(ErrorCode::kBadFile, where_ + ": " + what);
  };
  const auto numbers = [](const char* a, int x, const char* b, int y) {
    return std::string(a) + " " + std::to_string(x) + ", but " + b + " " + std::to_string(y);
  };
  const DenoiserTraits& unet = unet_->Traits();
  const VaeTraits& vae = vae_->Traits();
  // Behind the latents, inpainting models take a mask and the latents of what is kept.
  if (unet.in_channels != vae.latent_channels && ExtraChannels() != vae.latent_channels + 1) {
    bad(numbers("unet in_channels", unet.in_channels, "vae latent_channels", vae.latent_channels));
  }
  if (unet.out_channels != vae.latent_channels) {
    throw Error(ErrorCode::kUnsupported, where_ + ": " +
                                             numbers("unet out_channels", unet.out_channels,
                                                     "vae latent_channels", vae.latent_channels));
  }
  if (unet.context_dim != text_->ContextDim()) {
    bad(numbers("unet cross_attention_dim", unet.context_dim, "text encoders' hidden_size",
                text_->ContextDim()));
  }
  if (vae.out_channels != 3)
    bad("vae out_channels " + std::to_string(vae.out_channels) + "; not 3");
  if (!class_.time_ids && unet.addition_dim > 0) {
    throw Error(ErrorCode::kUnsupported, where_ +
                                             ": the unet takes text_embeds and time_ids, as SDXL's "
                                             "do; " +
                                             std::string(class_.name) + " has none to give");
  }
  if (class_.time_ids) {
    const int given = text_->PooledDim() + TimeIdsOfSample() * unet.addition_time_dim;
    if (unet.addition_dim != given) {
      bad(numbers("unet projection_class_embeddings_input_dim", unet.addition_dim,
                  "text_encoder_2 and time_ids together give", given) +
          "; requires_aesthetics_score is " + (aesthetic_score_ ? "true" : "false") +
          " in model_index.json");
    }
  }
}

Shape DiffusionModel::LatentShape(const GenerateSettings& settings) const {
  return {settings.batch, vae_->Traits().latent_channels, settings.height / limits_.factor,
          settings.width / limits_.factor};
}

std::unique_ptr<Scheduler> DiffusionModel::MakeSampler(
    const GenerateSettings& settings, const std::function<void(const std::string&)>& warn) const {
  const SamplerChoice choice = {settings.sampler, settings.steps, settings.eta, settings.schedule};
  if (!class_.fixes_scheduler) return MakeScheduler(scheduler_config_, choice);
  return MakeScheduler(StableDiffusionScheduler(scheduler_config_, !settings.sampler.empty(),
                                                !settings.mask.empty(), warn),
                       choice);
}

Guidance DiffusionModel::GuidanceOf(const GenerateSettings& settings) const {
  Guidance guidance = {settings.cfg, settings.cfg_rescale, unet_->Traits().timestep_cond_dim > 0};
  if (!settings.cfg_interval.empty()) guidance.interval = ParseStepRange(settings.cfg_interval);
  return guidance;
}

Hires DiffusionModel::HiresOf(const GenerateSettings& settings, int calls) const {
  const Shape latent = LatentShape(settings);
  return {settings.hires, unet_->Traits(), latent[2], latent[3], calls};
}

AttentionRuntime DiffusionModel::AttentionOf(const GenerateSettings& settings, int calls) const {
  std::vector<uint64_t> seeds;
  for (int i = 0; i < settings.batch; ++i) {
    seeds.push_back(*settings.seed + static_cast<uint64_t>(i));
  }
  return {HiresOf(settings, calls).With(AttentionPlan::Parse(settings.attention)),
          unet_->AttentionSites(), calls, std::move(seeds)};
}

int DiffusionModel::TimeIdsOfSample() const {
  return aesthetic_score_ ? 5 : 6;
}

std::vector<float> DiffusionModel::TimeIds(const GenerateSettings& settings, bool guided) const {
  std::vector<float> ids;
  if (!class_.time_ids) return ids;
  const auto height = static_cast<float>(settings.height),
             width = static_cast<float>(settings.width);
  const auto add = [&](float score) {
    for (int i = 0; i < settings.batch; ++i) {
      ids.insert(ids.end(), {height, width, 0, 0});  // the original size, and no crop
      if (aesthetic_score_) {
        ids.push_back(score);
      } else {
        ids.insert(ids.end(), {height, width});  // the size that is meant
      }
    }
  };
  if (guided) add(kNegativeAestheticScore);
  add(kAestheticScore);
  return ids;
}

}  // namespace fovea
