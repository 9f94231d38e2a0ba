#include "pipelines/generation/text_to_image.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>

#include "models/require_finite.h"
#include "pipelines/generation/concept_replay.h"
#include "pipelines/generation/idle_settings.h"
#include "pipelines/generation/image_start.h"
#include "pipelines/generation/memory_estimate.h"
#include "pipelines/generation/pipeline_stages.h"
#include "pipelines/metadata/attention_report.h"
#include "pipelines/pictures/image_input.h"
#include "pipelines/pictures/resample.h"
#include "pipelines/settings/image_settings.h"
#include "pipelines/settings/two_pass.h"
#include "tensor/ops/elementwise.h"
#include "tensor/precision.h"
#include "tensor/weights/weight_limit.h"

namespace fovea {
namespace {

// (h,w,3), piece by piece: the whole in f32 would be four times the picture.
Image Download(Context& ctx, const Tensor& picture, const DiffusionModel& model) {
  constexpr int64_t kRows = 64;
  Image image{static_cast<int>(picture.shape[1]), static_cast<int>(picture.shape[0]), {}};
  image.rgb.reserve(static_cast<size_t>(picture.NumElements()));
  for (int64_t y = 0; y < picture.shape[0]; y += kRows) {
    const Tensor rows = picture.Slice(0, y, std::min(kRows, picture.shape[0] - y));
    HostTensor host(rows.shape, DType::kF32);
    ops::Copy(ctx, rows, host.View());
    ctx.backend.Synchronize();
    RequireFinite(host.View(), "vae: the picture", model.VaeWeights());
    const Image part = ToImage(host.View());
    image.rgb.insert(image.rgb.end(), part.rgb.begin(), part.rgb.end());
  }
  return image;
}

double Since(std::chrono::steady_clock::time_point begin) {
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  return seconds.count();
}

BatchNoise NoiseOf(const GenerateSettings& settings) {
  return {*ParseRngKind(settings.rng), *settings.seed, settings.batch};
}

// How far, in pixels, what was made anew fades into what was kept: half a latent cell.
constexpr int kFeather = 4;

// The uses of a second pass behind those of a first that had `calls` steps.
void Append(std::vector<AttentionUse> uses, int calls, std::vector<AttentionUse>& all) {
  for (AttentionUse& use : uses) {
    for (auto& [first, last] : use.steps) {
      first += calls;
      last += calls;
    }
    all.push_back(std::move(use));
  }
}

// One dry run, stage after stage.
struct Planner {
  Planner(Backend& real, const GenerateSettings& settings)
      : backend(MakePlanningBackend(real)),
        arena(*backend, kPlanningArenaBytes),
        ctx(MakeContext(*backend, arena, {}, *ParseDType(settings.dtype))) {}

  // What was done since the last call of this, `times` over.
  void Count(double times) {
    const double now = backend->TotalCost().flops;
    prediction.flops += (now - counted) * times;
    counted = now;
  }

  std::unique_ptr<PlanningBackend> backend;
  Arena arena;
  Context ctx;
  Prediction prediction;
  double counted = 0;
  bool shares = true;
  int calls = 0;  // of the model, so far
};

class DiffusionPipeline final : public TextToImage {
 public:
  DiffusionPipeline(const ModelFolder& model, Backend& backend) : backend_(backend), model_(model) {
    model_.MakeSampler(Resolve({}));
  }

  const std::string& SamplePrompt() const override { return model_.Limits().defaults.prompt; }
  PipelineFacts Facts() const override;
  PromptReading ReadPrompt(const GenerateSettings& settings,
                           const std::string& prompt) const override {
    return model_.Text().Read(settings, prompt);
  }
  GenerateSettings Resolve(const GenerateSettings& settings) const override;
  void LimitMemory(size_t bytes) override { max_memory_ = bytes; }
  Prediction DryRun(const GenerateSettings& settings, const GenerateInputs& inputs) override;
  Generated Run(const GenerateSettings& settings, const GenerateInputs& inputs,
                const GenerateHooks& hooks) override;
  bool Replay(const GenerateSettings& settings, const GenerateInputs& inputs,
              const StoredStep& step, const GenerateHooks& hooks) override;
  bool ReadConcepts(const GenerateSettings& settings, const GenerateInputs& inputs,
                    const StoredStep& step, std::span<const std::string> concepts,
                    ImageStreamKeeper& keeper, ConceptReader& reader,
                    const GenerateHooks& hooks) override;

 private:
  // These take resolved settings. A pass is text, start, denoising and decoding at one size.
  // `shares`: whether a perturbed branch is computed from where it differs.
  Prediction Plan(const GenerateSettings& settings, const GenerateInputs& inputs,
                  bool shares = true);
  void PlanPass(Planner& planner, const GenerateSettings& settings, const Start& start) const;
  // To result.latents and result.images; false: cancelled.
  bool RunPass(Context& ctx, const GenerateSettings& settings, const Start& start,
               const GenerateHooks& hooks, Generated& result) const;
  bool RunTwoPasses(Context& ctx, const TwoPassRuns& runs, const GenerateInputs& inputs,
                    const GenerateHooks& hooks, Generated& result) const;
  bool Denoise(Context& ctx, const GenerateSettings& settings, const Start& start,
               const PromptTokens& tokens, const GenerateHooks& hooks, Generated& result,
               const std::optional<ReplayedCall>& replay = {}) const;
  bool Decode(Context& ctx, const GenerateSettings& settings, Generated& result) const;
  void TakeMemory(const GenerateSettings& settings, const GenerateInputs& inputs);
  // Of the model, in one pass of these settings. Throws kUsage if there is none.
  int CallsOf(const GenerateSettings& settings) const;

  Backend& backend_;
  DiffusionModel model_;
  size_t max_memory_ = 0;  // 0: no limit
  std::unique_ptr<Arena> arena_;
  size_t arena_bytes_ = 0;  // that it was made for
};

// What follows the text moves along.
void SetTextLength(int length, TokenLayout* tokens) {
  int begin = 0;
  for (Segment& segment : *tokens) {
    if (segment.kind == SegmentKind::kText) segment.length = length;
    segment.begin = begin;
    begin += segment.length;
  }
}

PipelineFacts DiffusionPipeline::Facts() const {
  const SettingLimits& limits = model_.Limits();
  const auto span = model_.Network().AttentionSites();
  std::vector<AttentionSite> sites(span.begin(), span.end());
  // The network knows what text its class is given; the encoders of this folder may give less.
  if (std::any_of(sites.begin(), sites.end(),
                  [](const AttentionSite& site) { return site.kind == SiteKind::kJoint; })) {
    const PromptTokens text = model_.Text().Tokenize(Resolve({}), false, {});
    for (AttentionSite& site : sites) SetTextLength(static_cast<int>(text.length), &site.tokens);
  }
  return {limits.width,
          limits.height,
          model_.VaeFactor(),
          model_.Vae().Traits().latent_channels,
          model_.LatentScale(),
          model_.LatentShift(),
          model_.ExtraChannels() > 0,
          std::move(sites)};
}

GenerateSettings DiffusionPipeline::Resolve(const GenerateSettings& settings) const {
  GenerateSettings resolved = ResolveSettings(settings, model_.Limits());
  model_.CheckSettings(resolved);
  const PromptTokens tokens = model_.Text().Tokenize(resolved, false, {});
  // Where no prompt and an empty one are the same, only the latter is remembered.
  if (!tokens.zero_negative && !model_.Text().KnowsNoNegative() && !resolved.negative) {
    resolved.negative = "";
  }
  if (const auto runs = SplitTwoPass(resolved, model_.Limits().factor)) {
    model_.CheckAttention(runs->first, CallsOf(runs->first));
    model_.CheckAttention(runs->second, CallsOf(runs->second));
  } else {
    model_.CheckAttention(resolved, CallsOf(resolved));
  }
  return resolved;
}

int DiffusionPipeline::CallsOf(const GenerateSettings& settings) const {
  const auto scheduler = model_.MakeSampler(settings);
  int calls = static_cast<int>(scheduler->Timesteps().size());
  if (settings.strength > 0) {
    const int left = StepsOfStrength(settings.steps, settings.strength, scheduler->IsFlow());
    calls -= (settings.steps - left) * scheduler->CallsPerStep();
  }
  if (calls < 1) throw Error(ErrorCode::kUsage, "strength: leaves no step of the sampler's");
  return calls;
}

Prediction DiffusionPipeline::DryRun(const GenerateSettings& asked, const GenerateInputs& inputs) {
  GenerateSettings settings = Resolve(asked);
  Prediction prediction = Plan(settings, inputs);
  prediction.dense_flops = prediction.unshared_flops = prediction.flops;
  if (model_.GuidanceOf(settings).HasPerturbed()) {
    prediction.unshared_flops = Plan(settings, inputs, false).flops;
    const auto first = static_cast<size_t>(model_.PerturbedOf(settings).first_site);
    prediction.perturbed_from = model_.Network().AttentionSites()[first].path;
  }
  if (!settings.attention.empty() || !prediction.hires.Empty()) {
    settings.attention.clear();
    settings.hires = "off";
    prediction.dense_flops = Plan(settings, inputs).flops;
  }
  return prediction;
}

Prediction DiffusionPipeline::Plan(const GenerateSettings& settings, const GenerateInputs& inputs,
                                   bool shares) {
  Planner planner(backend_, settings);
  planner.shares = shares;
  Prediction& prediction = planner.prediction;
  if (const auto runs = SplitTwoPass(settings, model_.Limits().factor)) {
    PlanPass(planner, runs->first, *ChooseStart(model_, runs->first, inputs));
    const std::vector<Image> between(static_cast<size_t>(settings.batch));
    const int first = planner.calls;
    PlanPass(planner, runs->second, *StartFromPictures(runs->second, between, nullptr));
    prediction.hires = {};
    prediction.hires.two_pass = {runs->first.width, runs->first.height, first,
                                 planner.calls - first, runs->second.strength};
  } else {
    PlanPass(planner, settings, *ChooseStart(model_, settings, inputs));
  }
  prediction.numbers = NumbersOf(model_.Weights(), *ParseDType(settings.dtype), backend_.Kind());
  prediction.arena_bytes = planner.arena.PeakBytes();
  prediction.packed_bytes = backend_.PackedBytes() + planner.backend->TotalCost().packed_bytes;
  size_t vectors = 0;
  for (const auto& weights : model_.Weights()) {
    vectors += weights->ConvertedBytes() + VectorsReadInPlace(*weights);
  }
  Cost cost = planner.backend->TotalCost();
  cost.packed_bytes = prediction.packed_bytes;
  prediction.weight_bytes = vectors + cost.in_place_bytes;
  if (max_memory_ > 0) {
    const size_t fixed = kBaselineBytes + prediction.arena_bytes + prediction.host_bytes + vectors;
    prediction.kept_weights = WeightLimit(max_memory_, fixed, cost);
    if (prediction.kept_weights) {
      prediction.packed_bytes = *prediction.kept_weights + cost.largest_weight;
      prediction.weight_bytes = vectors;
    }
  }
  return prediction;
}

void DiffusionPipeline::PlanPass(Planner& planner, const GenerateSettings& settings,
                                 const Start& start) const {
  Context& ctx = planner.ctx;
  Arena& arena = planner.arena;
  {
    ArenaScope scope(arena);
    const PromptTokens tokens =
        model_.Text().Tokenize(settings, model_.GuidanceOf(settings).HasUnconditional(), {});
    const Conditioning conditioning = Condition(ctx, model_, settings, tokens, {});
    planner.Count(1);
    DenoisePass pass(model_, settings, start);
    pass.loop.shares = planner.shares;
    BatchNoise noise = NoiseOf(settings);
    {
      ArenaScope given(arena);
      start.Make(ctx, {model_, settings, *pass.scheduler, noise});
      planner.Count(1);
    }
    const std::vector<int> changes =
        Merged(Merged(pass.attention.StepsOfChange(), pass.loop.hires.StepsOfChange()),
               pass.loop.StepsOfChange());
    for (size_t i = 0; i < changes.size(); ++i) {
      pass.loop.RunOnce(ctx, pass.attention, conditioning, changes[i]);
      planner.Count((i + 1 < changes.size() ? changes[i + 1] : pass.calls) - changes[i]);
    }
    Append(UntilNextChange(pass.attention.Report(), changes, pass.calls), planner.calls,
           planner.prediction.attention);
    planner.prediction.hires = ReportOf(pass.loop.hires);
    planner.calls += pass.calls;
  }
  ArenaScope scope(arena);
  Shape one = model_.LatentShape(settings);
  one[0] = 1;
  // Stands in for host memory, which a dry run must not claim for a picture of any size.
  Arena host(*planner.backend, static_cast<size_t>(one.NumElements()) * sizeof(float) + 64);
  DecodeLatents(ctx, model_, settings, host.New(one, DType::kF32));
  size_t& most = planner.prediction.host_bytes;
  most = std::max(most, HostBytes(model_.LatentShape(settings), settings, settings.strength > 0));
  planner.Count(settings.batch);
}

// Text, start and denoising, to result.latents. False: cancelled.
bool DiffusionPipeline::Denoise(Context& ctx, const GenerateSettings& settings, const Start& start,
                                const PromptTokens& tokens, const GenerateHooks& hooks,
                                Generated& result,
                                const std::optional<ReplayedCall>& replay) const {
  ArenaScope scope(ctx.arena);
  auto begin = std::chrono::steady_clock::now();
  const Conditioning conditioning = Condition(ctx, model_, settings, tokens, hooks.on_text);
  if (ctx.Cancelled()) return false;
  ctx.backend.EndStage();
  result.timings.text += Since(begin);

  begin = std::chrono::steady_clock::now();
  DenoisePass pass(model_, settings, start, hooks.warn);
  if (replay && pass.attention.Remembers()) {
    throw Error(ErrorCode::kUnsupported,
                "the attention plan has an operator that remembers earlier steps, so that one step "
                "cannot be replayed alone");
  }
  BatchNoise noise = NoiseOf(settings);
  StartLatents made;
  {
    ArenaScope given(ctx.arena);
    made = start.Make(ctx, {model_, settings, *pass.scheduler, noise});
  }
  if (ctx.Cancelled()) return false;
  ctx.backend.EndStage();
  result.timings.encode += Since(begin);
  begin = std::chrono::steady_clock::now();
  result.latents = std::move(made.latents);
  RequireFinite(result.latents.View(), "where denoising starts", model_.VaeWeights());
  const std::span<float> latents(result.latents.Data<float>(),
                                 static_cast<size_t>(result.latents.NumElements()));
  pass.attention.SetListeners(hooks.listeners);
  pass.loop.on_step = WithFiniteSteps(model_, hooks.on_step);
  pass.loop.replay = replay;
  pass.loop.draw = [&noise](std::span<float> out) { noise.Normal(out); };
  pass.loop.keep = made.keep;
  if (made.extra.shape().rank == 4) {
    pass.loop.extra = {made.extra.Data<float>(), static_cast<size_t>(made.extra.NumElements())};
  }
  const bool finished = pass.loop.Run(ctx, pass.attention, conditioning, latents);
  ctx.backend.EndStage();
  result.timings.denoise += Since(begin);
  result.sampler = pass.scheduler->Name();
  result.schedule = pass.scheduler->ScheduleType();
  Append(pass.attention.Report(), result.calls, result.attention);
  result.hires = ReportOf(pass.loop.hires);
  result.calls += pass.calls;
  return finished;
}

// result.latents to result.images, one by one. False: cancelled.
bool DiffusionPipeline::Decode(Context& ctx, const GenerateSettings& settings,
                               Generated& result) const {
  const auto begin = std::chrono::steady_clock::now();
  result.images.clear();
  for (int64_t i = 0; i < settings.batch; ++i) {
    ArenaScope scope(ctx.arena);
    const Tensor picture =
        DecodeLatents(ctx, model_, settings, result.latents.View().Slice(0, i, 1));
    if (ctx.Cancelled()) return false;
    result.images.push_back(Download(ctx, picture, model_));
  }
  ctx.backend.EndStage();
  result.timings.decode += Since(begin);
  return true;
}

bool DiffusionPipeline::RunPass(Context& ctx, const GenerateSettings& settings, const Start& start,
                                const GenerateHooks& hooks, Generated& result) const {
  const PromptTokens tokens =
      model_.Text().Tokenize(settings, model_.GuidanceOf(settings).HasUnconditional(), hooks.warn);
  return Denoise(ctx, settings, start, tokens, hooks, result) && Decode(ctx, settings, result);
}

bool DiffusionPipeline::RunTwoPasses(Context& ctx, const TwoPassRuns& runs,
                                     const GenerateInputs& inputs, const GenerateHooks& hooks,
                                     Generated& result) const {
  const int first = CallsOf(runs.first), second = CallsOf(runs.second);
  // Steps are counted through both passes.
  GenerateHooks counting = hooks;
  counting.on_step = [&](StepView view) {
    if (!hooks.on_step) return;
    view.step += result.calls;
    view.steps = first + second;
    hooks.on_step(view);
  };
  if (!RunPass(ctx, runs.first, *ChooseStart(model_, runs.first, inputs), counting, result)) {
    return false;
  }
  counting.on_text = {};  // the same again
  counting.warn = {};
  const std::vector<Image> between = std::move(result.images);
  const auto start = StartFromPictures(runs.second, between, nullptr);
  if (!RunPass(ctx, runs.second, *start, counting, result)) return false;
  result.hires.two_pass = {runs.first.width, runs.first.height, first, second,
                           runs.second.strength};
  return true;
}

void DiffusionPipeline::TakeMemory(const GenerateSettings& settings, const GenerateInputs& inputs) {
  const Prediction plan = Plan(settings, inputs);
  backend_.LimitWeights(plan.kept_weights.value_or(std::numeric_limits<size_t>::max()));
  const size_t needed = plan.arena_bytes;
  if (arena_ != nullptr && arena_bytes_ == needed) return;
  arena_.reset();
  arena_ = std::make_unique<Arena>(backend_, needed);
  arena_bytes_ = needed;
}

bool DiffusionPipeline::Replay(const GenerateSettings& asked, const GenerateInputs& inputs,
                               const StoredStep& step, const GenerateHooks& hooks) {
  const GenerateSettings settings = Resolve(asked);
  model_.CheckReplay(settings);
  TakeMemory(settings, inputs);
  ArenaScope run(*arena_);
  Context ctx = MakeContext(backend_, *arena_, hooks.stop, *ParseDType(settings.dtype));
  const PromptTokens tokens =
      model_.Text().Tokenize(settings, model_.GuidanceOf(settings).HasUnconditional(), {});
  Generated unused;
  std::vector<float> output;
  GenerateHooks listening;
  listening.listeners = hooks.listeners;
  if (!Denoise(ctx, settings, *ChooseStart(model_, settings, inputs), tokens, listening, unused,
               ReplayedCall{step.step, step.latents_in, &output})) {
    return false;
  }
  if (output.size() != step.model_output.size() ||
      std::memcmp(output.data(), step.model_output.data(), output.size() * sizeof(float)) != 0) {
    throw Error(ErrorCode::kUnsupported,
                "step " + std::to_string(step.step) +
                    ": the model does not give what it gave in the run that was stored; settings, "
                    "weights, threads or inputs are others");
  }
  return true;
}

bool DiffusionPipeline::ReadConcepts(const GenerateSettings& asked, const GenerateInputs& inputs,
                                     const StoredStep& step, std::span<const std::string> concepts,
                                     ImageStreamKeeper& keeper, ConceptReader& reader,
                                     const GenerateHooks& hooks) {
  const GenerateSettings settings = Resolve(asked);
  const size_t needed =
      Plan(settings, inputs).arena_bytes + ConceptBytes(model_, settings, concepts.size());
  Arena arena(backend_, needed);
  Context ctx = MakeContext(backend_, arena, hooks.stop, *ParseDType(settings.dtype));
  return ReplayConcepts(ctx, model_, settings, *ChooseStart(model_, settings, inputs), step,
                        concepts, keeper, reader);
}

Generated DiffusionPipeline::Run(const GenerateSettings& asked, const GenerateInputs& inputs,
                                 const GenerateHooks& hooks) {
  Generated result;
  result.settings = Resolve(asked);
  const GenerateSettings& settings = result.settings;
  TakeMemory(settings, inputs);
  ArenaScope run(*arena_);
  const DType asked_type = *ParseDType(settings.dtype);
  Context ctx = MakeContext(backend_, *arena_, hooks.stop, asked_type);
  result.numbers = NumbersOf(model_.Weights(), asked_type, backend_.Kind());
  const auto runs = SplitTwoPass(settings, model_.Limits().factor);
  if (hooks.warn) {
    const int calls = CallsOf(runs ? runs->first : settings);
    for (const std::string& line : IdleSettings(model_, settings, inputs, calls)) hooks.warn(line);
  }
  const bool finished =
      runs ? RunTwoPasses(ctx, *runs, inputs, hooks, result)
           : RunPass(ctx, settings, *ChooseStart(model_, settings, inputs), hooks, result);
  if (!finished) {
    result.cancelled = true;
    result.images.clear();
    return result;
  }
  if (inputs.mask != nullptr && settings.mask_paste == "on") {
    const Image given = ResizeLanczos(*inputs.image, settings.width, settings.height);
    const PixelMask mask = MakePixelMask(*inputs.mask, settings.width, settings.height);
    for (Image& image : result.images) RestoreUnmasked(given, mask, kFeather, &image);
  }
  result.arena_bytes = arena_->PeakBytes();
  result.packed_bytes = backend_.PackedBytes();
  return result;
}

}  // namespace

size_t Prediction::PeakBytes() const {
  return kBaselineBytes + arena_bytes + host_bytes + packed_bytes + weight_bytes;
}

std::unique_ptr<TextToImage> TextToImage::Load(const ModelFolder& model, Backend& backend) {
  return std::make_unique<DiffusionPipeline>(model, backend);
}

}  // namespace fovea
