#include "pipelines/text_to_image.h"

#include <chrono>

#include "pipelines/attention_report.h"
#include "pipelines/pipeline_stages.h"
#include "tensor/ops/elementwise.h"

namespace fovea {
namespace {

// Of the program without models: code, libraries, threads, oneDNN's kernels. Measured.
constexpr size_t kBaselineBytes = size_t{28} << 20;

double Since(std::chrono::steady_clock::time_point begin) {
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  return seconds.count();
}

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

BatchNoise NoiseOf(const GenerateSettings& settings) {
  return {*ParseRngKind(settings.rng), *settings.seed, settings.batch};
}

class DiffusionPipeline final : public TextToImage {
 public:
  DiffusionPipeline(const ModelFolder& model, Backend& backend) : backend_(backend), model_(model) {
    model_.MakeSampler(Resolve({}));
  }

  const std::string& SamplePrompt() const override { return model_.Limits().defaults.prompt; }
  GenerateSettings Resolve(const GenerateSettings& settings) const override;
  Prediction DryRun(const GenerateSettings& settings, const GenerateInputs& inputs) override;
  Generated Run(const GenerateSettings& settings, const GenerateInputs& inputs,
                const GenerateHooks& hooks) override;

 private:
  Prediction Plan(const GenerateSettings& settings, const GenerateInputs& inputs);  // resolved
  bool Denoise(Context& ctx, const Start& start, const PromptTokens& tokens,
               const GenerateHooks& hooks, Generated& result) const;
  bool Decode(Context& ctx, Generated& result) const;

  Backend& backend_;
  DiffusionModel model_;
  std::unique_ptr<Arena> arena_;
  size_t arena_bytes_ = 0;  // that it was made for
};

GenerateSettings DiffusionPipeline::Resolve(const GenerateSettings& settings) const {
  GenerateSettings resolved = ResolveSettings(settings, model_.Limits());
  const PromptTokens tokens = model_.Text().Tokenize(resolved, false, {});
  // Where no prompt and an empty one are the same, only the latter is remembered.
  if (!tokens.zero_negative && !resolved.negative) resolved.negative = "";
  model_.AttentionOf(resolved, static_cast<int>(model_.MakeSampler(resolved)->Timesteps().size()));
  return resolved;
}

Prediction DiffusionPipeline::DryRun(const GenerateSettings& asked, const GenerateInputs& inputs) {
  GenerateSettings settings = Resolve(asked);
  Prediction prediction = Plan(settings, inputs);
  prediction.dense_flops = prediction.flops;
  if (!settings.attention.empty() || !prediction.hires.Empty()) {
    settings.attention.clear();
    settings.hires = "off";
    prediction.dense_flops = Plan(settings, inputs).flops;
  }
  return prediction;
}

Prediction DiffusionPipeline::Plan(const GenerateSettings& settings, const GenerateInputs& inputs) {
  const std::unique_ptr<PlanningBackend> planner = MakePlanningBackend(backend_);
  Arena arena(*planner, kPlanningArenaBytes);
  Context ctx{*planner, arena, {}, *ParseDType(settings.dtype)};
  Prediction prediction;
  auto stage = [&, before = 0.0](double times) mutable {
    const double now = planner->TotalCost().flops;
    prediction.flops += (now - before) * times;
    before = now;
  };
  const auto start = ChooseStart(model_, settings, inputs);
  {
    ArenaScope scope(arena);
    const PromptTokens tokens =
        model_.Text().Tokenize(settings, model_.GuidanceOf(settings).Active(), {});
    const Conditioning conditioning = Condition(ctx, model_, settings, tokens, {});
    stage(1);
    DenoisePass pass(model_, settings, *start);
    BatchNoise noise = NoiseOf(settings);
    {
      ArenaScope given(arena);
      start->Make(ctx, {model_, settings, *pass.scheduler, noise});
      stage(1);
    }
    const std::vector<int> changes = Merged(
        Merged(pass.attention.Plan().StepsOfChange(pass.calls), pass.loop.hires.StepsOfChange()),
        pass.loop.guidance.StepsOfChange(pass.calls));
    for (size_t i = 0; i < changes.size(); ++i) {
      pass.loop.RunOnce(ctx, pass.attention, conditioning, changes[i]);
      stage((i + 1 < changes.size() ? changes[i + 1] : pass.calls) - changes[i]);
    }
    prediction.attention = UntilNextChange(pass.attention.Report(), changes, pass.calls);
    prediction.hires = ReportOf(pass.loop.hires);
  }
  {
    ArenaScope scope(arena);
    Shape one = model_.LatentShape(settings);
    one[0] = 1;
    // Stands in for host memory, which a dry run must not claim for a picture of any size.
    Arena host(*planner, static_cast<size_t>(one.NumElements()) * sizeof(float) + 64);
    DecodeLatents(ctx, model_, settings, host.New(one, DType::kF32));
    stage(settings.batch);
  }
  prediction.arena_bytes = arena.PeakBytes();
  prediction.packed_bytes = backend_.PackedBytes() + planner->TotalCost().packed_bytes;
  for (const auto& weights : model_.Weights()) {
    prediction.weight_bytes +=
        weights->ConvertedBytes() + BytesReadInPlace(*weights, ctx.dtype == DType::kF32);
  }
  return prediction;
}

// Text, start and denoising, to result.latents. False: cancelled.
bool DiffusionPipeline::Denoise(Context& ctx, const Start& start, const PromptTokens& tokens,
                                const GenerateHooks& hooks, Generated& result) const {
  const GenerateSettings& settings = result.settings;
  ArenaScope scope(ctx.arena);
  auto begin = std::chrono::steady_clock::now();
  const Conditioning conditioning = Condition(ctx, model_, settings, tokens, hooks.on_text);
  if (ctx.Cancelled()) return false;
  result.timings.text = Since(begin);

  begin = std::chrono::steady_clock::now();
  DenoisePass pass(model_, settings, start, hooks.warn);
  BatchNoise noise = NoiseOf(settings);
  StartLatents made;
  {
    ArenaScope given(ctx.arena);
    made = start.Make(ctx, {model_, settings, *pass.scheduler, noise});
  }
  if (ctx.Cancelled()) return false;
  result.latents = std::move(made.latents);
  const std::span<float> latents(result.latents.Data<float>(),
                                 static_cast<size_t>(result.latents.NumElements()));
  pass.loop.on_step = hooks.on_step;
  pass.loop.draw = [&noise](std::span<float> out) { noise.Normal(out); };
  pass.loop.keep = made.keep;
  if (made.extra.shape().rank == 4) {
    pass.loop.extra = {made.extra.Data<float>(), static_cast<size_t>(made.extra.NumElements())};
  }
  const bool finished = pass.loop.Run(ctx, pass.attention, conditioning, latents);
  result.timings.denoise = Since(begin);
  result.sampler = pass.scheduler->Name();
  result.schedule = pass.scheduler->ScheduleType();
  result.attention = pass.attention.Report();
  result.hires = ReportOf(pass.loop.hires);
  return finished;
}

// result.latents to result.images, one by one. False: cancelled.
bool DiffusionPipeline::Decode(Context& ctx, Generated& result) const {
  const auto begin = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < result.settings.batch; ++i) {
    ArenaScope scope(ctx.arena);
    const Tensor picture =
        DecodeLatents(ctx, model_, result.settings, result.latents.View().Slice(0, i, 1));
    if (ctx.Cancelled()) return false;
    HostTensor host(picture.shape, DType::kF32);
    ops::Copy(ctx, picture, host.View());
    ctx.backend.Synchronize();
    result.images.push_back(ToImage(host.View()));
  }
  result.timings.decode = Since(begin);
  return true;
}

Generated DiffusionPipeline::Run(const GenerateSettings& asked, const GenerateInputs& inputs,
                                 const GenerateHooks& hooks) {
  Generated result;
  result.settings = Resolve(asked);
  const GenerateSettings& settings = result.settings;
  const auto start = ChooseStart(model_, settings, inputs);
  const PromptTokens tokens =
      model_.Text().Tokenize(settings, model_.GuidanceOf(settings).Active(), hooks.warn);
  const size_t needed = Plan(settings, inputs).arena_bytes;
  if (arena_ == nullptr || arena_bytes_ != needed) {
    arena_.reset();
    arena_ = std::make_unique<Arena>(backend_, needed);
    arena_bytes_ = needed;
  }
  ArenaScope run(*arena_);
  Context ctx{backend_, *arena_, hooks.stop, *ParseDType(settings.dtype)};
  if (!Denoise(ctx, *start, tokens, hooks, result) || !Decode(ctx, result)) {
    result.cancelled = true;
    result.images.clear();
    return result;
  }
  result.arena_bytes = arena_->PeakBytes();
  result.packed_bytes = backend_.PackedBytes();
  return result;
}

}  // namespace

size_t Prediction::PeakBytes() const {
  return kBaselineBytes + arena_bytes + packed_bytes + weight_bytes;
}

std::unique_ptr<TextToImage> TextToImage::Load(const ModelFolder& model, Backend& backend) {
  return std::make_unique<DiffusionPipeline>(model, backend);
}

}  // namespace fovea
