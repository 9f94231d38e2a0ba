#include "pipelines/text_to_image.h"

#include <chrono>
#include <cstring>

#include "models/clip/clip_text_model.h"
#include "models/clip/clip_tokenizer.h"
#include "models/component_weights.h"
#include "models/unet/unet.h"
#include "models/vae/autoencoder_kl.h"
#include "pipelines/attention_report.h"
#include "pipelines/conditioning.h"
#include "pipelines/model_defaults.h"
#include "pipelines/noise.h"
#include "pipelines/resolve_settings.h"
#include "tensor/ops/elementwise.h"
#include "tensor/trace.h"

namespace fovea {
namespace {

// Above this, --vae-tiling auto decodes in tiles. Whole decodes of larger pictures would set the
// peak of memory by far.
constexpr int64_t kMaxWholePixels = int64_t{1024} * 1024;

// Of the program without models: code, libraries, threads, oneDNN's kernels. Measured.
constexpr size_t kBaselineBytes = size_t{28} << 20;

double Since(std::chrono::steady_clock::time_point begin) {
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  return seconds.count();
}

[[noreturn]] void Refuse(const std::string& what) {
  throw Error(ErrorCode::kUnsupported, what);
}

class StableDiffusion final : public TextToImage {
 public:
  StableDiffusion(const ModelFolder& model, Backend& backend);

  const std::string& SamplePrompt() const override { return limits_.defaults.prompt; }
  GenerateSettings Resolve(const GenerateSettings& settings) const override;
  Prediction DryRun(const GenerateSettings& settings) override;
  Generated Run(const GenerateSettings& settings, const HostTensor* init_latents,
                const GenerateHooks& hooks) override;

 private:
  struct Prompts {
    PromptWindows positive, negative;  // equally many
  };
  using Draws = std::vector<std::unique_ptr<NoiseSource>>;

  void CheckParts(const ModelFolder& model);
  std::unique_ptr<Scheduler> MakeSampler(const GenerateSettings& settings,
                                         const std::function<void(const std::string&)>& warn) const;
  Guidance GuidanceOf(const GenerateSettings& settings) const;
  Shape LatentShape(const GenerateSettings& settings) const;
  Prompts Tokenize(const GenerateSettings& settings, const GenerateHooks& hooks) const;
  // Of the denoiser, whose sites alone an attention plan is about.
  AttentionRuntime AttentionOf(const GenerateSettings& settings, const Scheduler& scheduler) const;
  Hires HiresOf(const GenerateSettings& settings, const Scheduler& scheduler) const;
  Prediction Plan(const GenerateSettings& settings);  // resolved ones
  DenoiseLoop LoopOf(const GenerateSettings& settings, Scheduler& scheduler) const;
  HostTensor FirstLatents(const GenerateSettings& settings, const Scheduler& scheduler,
                          const HostTensor* init_latents, Draws& draws) const;

  // The stages, on the real backend and in dry runs alike.
  Conditioning Condition(Context& ctx, const GenerateSettings& settings, const Prompts& prompts,
                         const GenerateHooks& hooks) const;
  Tensor Decode(Context& ctx, const GenerateSettings& settings, const Tensor& latents) const;

  Backend& backend_;
  SettingLimits limits_;
  std::optional<Config> scheduler_config_;
  std::shared_ptr<WeightStore> unet_weights_, vae_weights_, text_weights_;
  std::unique_ptr<ClipTokenizer> tokenizer_;
  std::unique_ptr<ClipTextModel> text_;
  std::unique_ptr<UNet2DConditionModel> unet_;
  std::unique_ptr<AutoencoderKL> vae_;
  std::unique_ptr<Arena> arena_;
  size_t arena_bytes_ = 0;  // that it was made for
};

// Of the mapped file, whose pages then stay: norms and biases in f32, and matrices where the
// backend multiplies by them as they lie, f32 by f32. Of tables of embeddings only a few rows are
// read.
size_t BytesReadInPlace(const WeightStore& weights, bool computes_f32) {
  size_t bytes = 0;
  for (const TensorEntry& entry : weights.Entries()) {
    const bool matrix = entry.shape.rank == 2 && !entry.name.ends_with("embedding.weight");
    if (entry.dtype == DType::kF32 && (entry.shape.rank == 1 || (matrix && computes_f32))) {
      bytes += static_cast<size_t>(entry.end - entry.begin);
    }
  }
  return bytes;
}

const ComponentFolder& GetPart(const ModelFolder& model, std::string_view name,
                               std::string_view class_name) {
  const ComponentFolder& part = model.Get(name);
  if (part.class_name != class_name) {
    Refuse(model.folder.string() + ": " + std::string(name) + " is a " + part.class_name +
           "; StableDiffusionPipeline is supported with " + std::string(class_name));
  }
  return part;
}

StableDiffusion::StableDiffusion(const ModelFolder& model, Backend& backend) : backend_(backend) {
  const ComponentFolder& unet = GetPart(model, "unet", "UNet2DConditionModel");
  const ComponentFolder& vae = GetPart(model, "vae", "AutoencoderKL");
  const ComponentFolder& text = GetPart(model, "text_encoder", "CLIPTextModel");
  const ComponentFolder& words = model.Get("tokenizer");
  tokenizer_ = ClipTokenizer::Open(words.folder, words.settings);
  scheduler_config_ = Config::ReadFile(model.Get("scheduler").folder / "scheduler_config.json");
  const auto config = [](const ComponentFolder& part) {
    return Config::ReadFile(part.folder / "config.json");
  };
  unet_weights_ = OpenWeights(unet);
  unet_ = UNet2DConditionModel::Load(config(unet), unet_weights_);
  vae_weights_ = OpenWeights(vae);
  vae_ = AutoencoderKL::Load(config(vae), vae_weights_);
  text_weights_ = OpenWeights(text);
  text_ = ClipTextModel::Load(config(text), text_weights_);
  limits_.defaults = ReadModelDefaults(model.folder);
  limits_.factor = vae_->Traits().factor;
  limits_.width = unet_->Traits().sample_width * limits_.factor;
  limits_.height = unet_->Traits().sample_height * limits_.factor;
  limits_.text_layers = text_->Traits().layers;
  CheckParts(model);
  MakeSampler(Resolve({}), {});
}

// The parts are right each by itself; this is whether they belong together.
void StableDiffusion::CheckParts(const ModelFolder& model) {
  const auto bad = [&](const std::string& what) {
    throw Error(ErrorCode::kBadFile, model.folder.string() + ": " + what);
  };
  const auto numbers = [](const char* a, int x, const char* b, int y) {
    return std::string(a) + " " + std::to_string(x) + ", but " + b + " " + std::to_string(y);
  };
  const DenoiserTraits& unet = unet_->Traits();
  const VaeTraits& vae = vae_->Traits();
  const ClipTextTraits& text = text_->Traits();
  if (unet.in_channels == 9 && vae.latent_channels == 4) {
    Refuse(model.folder.string() +
           ": the unet has 9 input channels, for inpainting; text to image "
           "needs one with 4");
  }
  if (unet.addition_dim > 0) {
    Refuse(model.folder.string() +
           ": the unet takes text_embeds and time_ids, as SDXL's do; StableDiffusionPipeline has "
           "none to give");
  }
  if (unet.in_channels != vae.latent_channels) {
    bad(numbers("unet in_channels", unet.in_channels, "vae latent_channels", vae.latent_channels));
  }
  if (unet.out_channels != unet.in_channels) {
    Refuse(model.folder.string() + ": " +
           numbers("unet in_channels", unet.in_channels, "out_channels", unet.out_channels));
  }
  if (unet.context_dim != text.hidden) {
    bad(numbers("unet cross_attention_dim", unet.context_dim, "text_encoder hidden_size",
                text.hidden));
  }
  if (vae.out_channels != 3)
    bad("vae out_channels " + std::to_string(vae.out_channels) + "; not 3");
  if (tokenizer_->Vocabulary() > text.vocabulary) {
    bad(numbers("tokenizer has words", tokenizer_->Vocabulary(), "text_encoder vocab_size",
                text.vocabulary));
  }
}

std::unique_ptr<Scheduler> StableDiffusion::MakeSampler(
    const GenerateSettings& settings, const std::function<void(const std::string&)>& warn) const {
  const Config config =
      StableDiffusionScheduler(*scheduler_config_, !settings.sampler.empty(), warn);
  return MakeScheduler(config, {settings.sampler, settings.steps, settings.eta, settings.schedule});
}

Guidance StableDiffusion::GuidanceOf(const GenerateSettings& settings) const {
  return {settings.cfg, settings.cfg_rescale, unet_->Traits().timestep_cond_dim > 0};
}

Shape StableDiffusion::LatentShape(const GenerateSettings& settings) const {
  return {settings.batch, vae_->Traits().latent_channels, settings.height / limits_.factor,
          settings.width / limits_.factor};
}

GenerateSettings StableDiffusion::Resolve(const GenerateSettings& settings) const {
  GenerateSettings resolved = ResolveSettings(settings, limits_);
  AttentionOf(resolved, *MakeSampler(resolved, {}));
  return resolved;
}

StableDiffusion::Prompts StableDiffusion::Tokenize(const GenerateSettings& settings,
                                                   const GenerateHooks& hooks) const {
  const int length = std::min(tokenizer_->Length(), text_->Traits().positions);
  const PromptWeights mode = ParsePromptWeights(settings.prompt_weights);
  const bool guided = GuidanceOf(settings).Active();
  Prompts prompts;
  prompts.positive = MakeWindows(*tokenizer_, length, settings.prompt, mode, "prompt", hooks.warn);
  prompts.negative = MakeWindows(*tokenizer_, length, guided ? settings.negative : "", mode,
                                 "negative prompt", hooks.warn);
  PadWindows(prompts.negative.Count(), &prompts.positive);
  PadWindows(prompts.positive.Count(), &prompts.negative);
  return prompts;
}

AttentionRuntime StableDiffusion::AttentionOf(const GenerateSettings& settings,
                                              const Scheduler& scheduler) const {
  std::vector<uint64_t> seeds;
  for (int i = 0; i < settings.batch; ++i) {
    seeds.push_back(*settings.seed + static_cast<uint64_t>(i));
  }
  return {HiresOf(settings, scheduler).With(AttentionPlan::Parse(settings.attention)),
          unet_->AttentionSites(), static_cast<int>(scheduler.Timesteps().size()),
          std::move(seeds)};
}

Hires StableDiffusion::HiresOf(const GenerateSettings& settings, const Scheduler& scheduler) const {
  const Shape latent = LatentShape(settings);
  return {settings.hires, unet_->Traits(), latent[2], latent[3],
          static_cast<int>(scheduler.Timesteps().size())};
}

DenoiseLoop StableDiffusion::LoopOf(const GenerateSettings& settings, Scheduler& scheduler) const {
  return {*unet_, scheduler, GuidanceOf(settings),        LatentShape(settings),
          {},     {},        HiresOf(settings, scheduler)};
}

Conditioning StableDiffusion::Condition(Context& ctx, const GenerateSettings& settings,
                                        const Prompts& prompts, const GenerateHooks& hooks) const {
  TRACE_ZONE("text");
  AttentionRuntime attention;
  const Guidance guidance = GuidanceOf(settings);
  const int64_t n = settings.batch, halves = guidance.Active() ? 2 : 1;
  const int64_t t = prompts.positive.Count() * prompts.positive.length,
                hidden = text_->Traits().hidden;
  Conditioning conditioning;
  conditioning.context = ctx.arena.New({n * halves, t, hidden}, DType::kF32);
  NamedTensors dump;
  const auto encode = [&](const PromptWindows& windows, int skip, int64_t first, const char* name) {
    const Tensor own = conditioning.context.Slice(0, first, 1);  // (1, t, hidden)
    EncodePrompt(ctx, attention, *text_, windows, skip, own);
    for (int64_t i = 1; i < n; ++i) {
      ops::Copy(ctx, own, conditioning.context.Slice(0, first + i, 1));
    }
    if (hooks.on_text && !ctx.backend.IsPlanning()) {
      HostTensor host(own.shape, DType::kF32);
      ops::Copy(ctx, own, host.View());
      dump[name] = std::move(host);
    }
  };
  // diffusers skips layers for the prompt only.
  if (halves == 2) encode(prompts.negative, 0, 0, "negative_prompt_embeds");
  if (!ctx.Cancelled())
    encode(prompts.positive, settings.clip_skip, n * (halves - 1), "prompt_embeds");
  if (const int c = unet_->Traits().timestep_cond_dim; c > 0) {
    conditioning.timestep_cond = ctx.arena.New({n * halves, c}, DType::kF32);
    const HostTensor embedding = GuidanceEmbedding(settings.cfg, n * halves, c);
    ops::Copy(ctx, embedding.View(), conditioning.timestep_cond);
  }
  ctx.backend.Synchronize();
  if (!dump.empty() && !ctx.Cancelled()) hooks.on_text(dump);
  return conditioning;
}

// latents (1,c,h,w) f32 on the host -> (H,W,3) f32 in the arena.
Tensor StableDiffusion::Decode(Context& ctx, const GenerateSettings& settings,
                               const Tensor& latents) const {
  TRACE_ZONE("decode");
  AttentionRuntime attention;
  const int64_t h = latents.shape[2], w = latents.shape[3];
  const Tensor z = ctx.arena.New({1, h, w, latents.shape[1]}, DType::kF32);
  ops::Copy(ctx, latents.Permute({0, 2, 3, 1}), z);
  const Tensor picture = ctx.arena.New({1, settings.height, settings.width, 3}, DType::kF32);
  const int64_t pixels = int64_t{settings.width} * settings.height;
  const bool tiled =
      settings.vae_tiling == "on" || (settings.vae_tiling == "auto" && pixels > kMaxWholePixels);
  if (tiled) {
    DecodeTiled(ctx, attention, *vae_, DefaultTiling(vae_->Traits()), z, picture);
  } else {
    vae_->Decode(ctx, attention, z, picture);
  }
  ctx.backend.Synchronize();
  return picture.Reshape({settings.height, settings.width, 3});
}

Prediction StableDiffusion::DryRun(const GenerateSettings& asked) {
  GenerateSettings settings = Resolve(asked);
  Prediction prediction = Plan(settings);
  prediction.dense_flops = prediction.flops;
  if (!settings.attention.empty() || !prediction.hires.Empty()) {
    settings.attention.clear();
    settings.hires = "off";
    prediction.dense_flops = Plan(settings).flops;
  }
  return prediction;
}

Prediction StableDiffusion::Plan(const GenerateSettings& settings) {
  const std::unique_ptr<PlanningBackend> planner = MakePlanningBackend(backend_);
  Arena arena(*planner, kPlanningArenaBytes);
  Context ctx{*planner, arena, {}, *ParseDType(settings.dtype)};
  Prediction prediction;
  auto stage = [&, before = 0.0](double times) mutable {
    const double now = planner->TotalCost().flops;
    prediction.flops += (now - before) * times;
    before = now;
  };
  {
    ArenaScope scope(arena);
    const Conditioning conditioning = Condition(ctx, settings, Tokenize(settings, {}), {});
    stage(1);
    const auto scheduler = MakeSampler(settings, {});
    AttentionRuntime attention = AttentionOf(settings, *scheduler);
    const auto steps = static_cast<int>(scheduler->Timesteps().size());
    DenoiseLoop loop = LoopOf(settings, *scheduler);
    const std::vector<int> changes =
        Merged(attention.Plan().StepsOfChange(steps), loop.hires.StepsOfChange());
    for (size_t i = 0; i < changes.size(); ++i) {
      loop.RunOnce(ctx, attention, conditioning, changes[i]);
      stage((i + 1 < changes.size() ? changes[i + 1] : steps) - changes[i]);
    }
    prediction.attention = UntilNextChange(attention.Report(), changes, steps);
    prediction.hires = ReportOf(loop.hires);
  }
  {
    ArenaScope scope(arena);
    Shape one = LatentShape(settings);
    one[0] = 1;
    // Stands in for host memory, which a dry run must not claim for a picture of any size.
    Arena host(*planner, static_cast<size_t>(one.NumElements()) * sizeof(float) + 64);
    Decode(ctx, settings, host.New(one, DType::kF32));
    stage(settings.batch);
  }
  prediction.arena_bytes = arena.PeakBytes();
  prediction.packed_bytes = backend_.PackedBytes() + planner->TotalCost().packed_bytes;
  for (const auto& weights : {unet_weights_, vae_weights_, text_weights_}) {
    prediction.weight_bytes +=
        weights->ConvertedBytes() + BytesReadInPlace(*weights, ctx.dtype == DType::kF32);
  }
  return prediction;
}

HostTensor StableDiffusion::FirstLatents(const GenerateSettings& settings,
                                         const Scheduler& scheduler, const HostTensor* init_latents,
                                         Draws& draws) const {
  const Shape shape = LatentShape(settings);
  HostTensor latents(shape, DType::kF32);
  float* values = latents.Data<float>();
  const auto count = static_cast<size_t>(shape.NumElements());
  if (init_latents != nullptr) {
    if (!(init_latents->shape() == shape)) {
      throw Error(ErrorCode::kBadFile, "init-latents: shape " + init_latents->shape().ToString() +
                                           " where these settings need " + shape.ToString());
    }
    const HostTensor given = init_latents->ToF32();
    std::memcpy(values, given.data(), latents.Bytes());
  } else {
    const size_t one = count / draws.size();
    for (size_t i = 0; i < draws.size(); ++i) draws[i]->Normal({values + i * one, one});
  }
  const double sigma = scheduler.InitNoiseSigma();
  for (size_t k = 0; k < count; ++k) values[k] = static_cast<float>(values[k] * sigma);
  return latents;
}

Generated StableDiffusion::Run(const GenerateSettings& asked, const HostTensor* init_latents,
                               const GenerateHooks& hooks) {
  Generated result;
  result.settings = Resolve(asked);
  const GenerateSettings& settings = result.settings;
  const auto scheduler = MakeSampler(settings, hooks.warn);
  result.sampler = scheduler->Name();
  result.schedule = scheduler->ScheduleType();
  Draws draws;
  for (int i = 0; i < settings.batch; ++i) {
    draws.push_back(
        MakeNoiseSource(*ParseRngKind(settings.rng), *settings.seed + static_cast<uint64_t>(i)));
  }
  result.latents = FirstLatents(settings, *scheduler, init_latents, draws);
  const Prompts prompts = Tokenize(settings, hooks);

  const size_t needed = Plan(settings).arena_bytes;
  if (arena_ == nullptr || arena_bytes_ != needed) {
    arena_.reset();
    arena_ = std::make_unique<Arena>(backend_, needed);
    arena_bytes_ = needed;
  }
  ArenaScope run(*arena_);
  Context ctx{backend_, *arena_, hooks.stop, *ParseDType(settings.dtype)};
  AttentionRuntime attention = AttentionOf(settings, *scheduler);
  const auto cancelled = [&result] {
    result.cancelled = true;
    result.images.clear();
    return result;
  };

  auto begin = std::chrono::steady_clock::now();
  {
    ArenaScope scope(*arena_);
    const Conditioning conditioning = Condition(ctx, settings, prompts, hooks);
    if (ctx.Cancelled()) return cancelled();
    result.timings.text = Since(begin);

    begin = std::chrono::steady_clock::now();
    DenoiseLoop loop = LoopOf(settings, *scheduler);
    loop.on_step = hooks.on_step;
    loop.draw = [&](std::span<float> out) {
      const size_t one = out.size() / draws.size();
      for (size_t i = 0; i < draws.size(); ++i) draws[i]->Normal(out.subspan(i * one, one));
    };
    const std::span<float> latents(result.latents.Data<float>(),
                                   static_cast<size_t>(result.latents.NumElements()));
    if (!loop.Run(ctx, attention, conditioning, latents)) return cancelled();
    result.timings.denoise = Since(begin);
  }

  begin = std::chrono::steady_clock::now();
  // StableDiffusionPipeline takes no notice of a VAE's shift_factor.
  HostTensor scaled = result.latents;
  for (int64_t k = 0; k < scaled.NumElements(); ++k) {
    scaled.Data<float>()[k] /= static_cast<float>(vae_->Traits().scaling_factor);
  }
  for (int64_t i = 0; i < settings.batch; ++i) {
    ArenaScope scope(*arena_);
    const Tensor picture = Decode(ctx, settings, scaled.View().Slice(0, i, 1));
    if (ctx.Cancelled()) return cancelled();
    HostTensor host(picture.shape, DType::kF32);
    ops::Copy(ctx, picture, host.View());
    result.images.push_back(ToImage(host.View()));
  }
  result.timings.decode = Since(begin);
  result.attention = attention.Report();
  result.hires = ReportOf(HiresOf(settings, *scheduler));
  result.arena_bytes = arena_->PeakBytes();
  result.packed_bytes = backend_.PackedBytes();
  return result;
}

}  // namespace

size_t Prediction::PeakBytes() const {
  return kBaselineBytes + arena_bytes + packed_bytes + weight_bytes;
}

std::unique_ptr<TextToImage> TextToImage::Load(const ModelFolder& model, Backend& backend) {
  if (model.pipeline_class != "StableDiffusionPipeline") {
    const std::string what =
        model.pipeline_class.empty() ? "a component alone" : model.pipeline_class;
    Refuse(model.folder.string() + ": is " + what +
           "; pictures are made with StableDiffusionPipeline folders");
  }
  return std::make_unique<StableDiffusion>(model, backend);
}

}  // namespace fovea
