#include "pipelines/generation/pipeline_stages.h"

#include "models/require_finite.h"
#include "pipelines/prompts/conditioning.h"
#include "tensor/ops/elementwise.h"
#include "tensor/trace.h"

namespace fovea {
namespace {

// Above this, --vae-tiling auto works in tiles. Whole decodes of larger pictures would set the
// peak of memory by far.
constexpr int64_t kMaxWholePixels = int64_t{1024} * 1024;

// Row 0 of x (n,...) to rows 1 to n - 1.
void Repeat(Context& ctx, const Tensor& x) {
  for (int64_t i = 1; i < x.shape[0]; ++i) ops::Copy(ctx, x.Slice(0, 0, 1), x.Slice(0, i, 1));
}

// Encodes branch by branch.
class TextStage {
 public:
  TextStage(Context& ctx, const DiffusionModel& model, Conditioning& out, bool dumps)
      : ctx_(ctx), text_(model.Text()), out_(out), dumps_(dumps) {}

  // To the branch's rows; `name` goes before those of the dump.
  void Encode(const PromptTokens& tokens, PromptHalf half, int skip, const Branch& branch,
              const std::string& name) {
    if (ctx_.Cancelled()) return;
    const Rows rows = RowsOf(branch);
    text_.Encode(ctx_, tokens, half, skip, rows.states.Slice(0, 0, 1),
                 rows.pooled.Empty() ? Tensor{} : rows.pooled.Slice(0, 0, 1));
    Finish(rows, name);
  }

  void Zero(const Branch& branch, const std::string& name) {
    const Rows rows = RowsOf(branch);
    for (const Tensor& each : {rows.states, rows.pooled}) {
      if (each.Empty()) continue;
      SetZero(ctx_, each.Slice(0, 0, 1));
    }
    Finish(rows, name);
  }

  void Copy(const Branch& from, const Branch& to) {
    if (ctx_.Cancelled()) return;
    ops::Copy(ctx_, RowsOf(from).states, RowsOf(to).states);
    if (!out_.text_embeds.Empty()) ops::Copy(ctx_, RowsOf(from).pooled, RowsOf(to).pooled);
  }

  NamedTensors dump;

 private:
  struct Rows {
    Tensor states, pooled;  // (n,t,c), (n,c)
  };

  Rows RowsOf(const Branch& branch) const {
    const auto rows = [&](const Tensor& x) { return x.Slice(0, branch.first_row, branch.rows); };
    return {rows(out_.context), out_.text_embeds.Empty() ? Tensor{} : rows(out_.text_embeds)};
  }

  void Finish(const Rows& rows, const std::string& name) {
    if (ctx_.Cancelled()) return;
    Repeat(ctx_, rows.states);
    Check(rows.states, name + "prompt_embeds");
    if (rows.pooled.Empty()) return;
    Repeat(ctx_, rows.pooled);
    Check(rows.pooled, name + "pooled_prompt_embeds");
  }

  // That the states are numbers; they are dumped under `name`.
  void Check(const Tensor& rows, const std::string& name) {
    if (ctx_.backend.IsPlanning()) return;
    const Tensor own = rows.Slice(0, 0, 1);
    HostTensor host(own.shape, DType::kF32);
    ops::Copy(ctx_, own, host.View());
    ctx_.backend.Synchronize();
    RequireFinite(host.View(), "text encoder: what it makes of the prompt (" + name + ")",
                  text_.Weights());
    if (dumps_) dump[name] = std::move(host);
  }

  Context& ctx_;
  const PromptEncoder& text_;
  Conditioning& out_;
  bool dumps_;
};

}  // namespace

Conditioning Condition(Context& ctx, const DiffusionModel& model, const GenerateSettings& settings,
                       const PromptTokens& tokens,
                       const std::function<void(const NamedTensors&)>& on_text) {
  TRACE_ZONE("text");
  const PromptEncoder& text = model.Text();
  const BranchLayout branches = model.BranchesOf(settings);
  const int64_t rows = branches.Rows();
  Conditioning out;
  const DenoiserTraits& network = model.Network().Traits();
  out.class_labels = model.LabelsOf(settings, branches);
  if (network.has_guidance) out.guidance = {static_cast<float>(settings.cfg)};
  if (tokens.length == 0) return out;
  out.context = ctx.arena.New({rows, tokens.length, text.ContextDim()}, DType::kF32);
  if (text.PooledDim() > 0) {
    out.text_embeds = ctx.arena.New({rows, text.PooledDim()}, DType::kF32);
  }
  TextStage stage(ctx, model, out, on_text != nullptr);
  const Branch prompt = branches.Find(BranchKind::kConditional, rows);
  for (const Branch& branch : branches.Branches()) {
    if (branch.kind == BranchKind::kPerturbed) {
      stage.Copy(prompt, branch);
    } else if (branch.kind == BranchKind::kConditional) {
      stage.Encode(tokens, PromptHalf::kPositive, settings.clip_skip, branch, "");
    } else if (tokens.zero_negative) {
      stage.Zero(branch, "negative_");
    } else {
      stage.Encode(tokens, PromptHalf::kNegative, 0, branch,
                   "negative_");  // diffusers skips layers for the prompt only
    }
  }
  out.time_ids = model.TimeIds(settings, branches);
  if (const int c = network.timestep_cond_dim; c > 0) {
    out.timestep_cond = ctx.arena.New({rows, c}, DType::kF32);
    CopyFromHost(ctx, GuidanceEmbedding(settings.cfg, rows, c), out.timestep_cond);
  }
  ctx.backend.Synchronize();
  if (!stage.dump.empty() && !ctx.Cancelled()) on_text(stage.dump);
  return out;
}

DenoisePass::DenoisePass(const DiffusionModel& model, const GenerateSettings& settings,
                         const Start& start, const std::function<void(const std::string&)>& warn)
    : scheduler(model.MakeSampler(settings, warn)),
      calls(static_cast<int>(scheduler->Timesteps().size()) - start.FirstCall(*scheduler)),
      attention(model.AttentionOf(settings, calls)),
      loop{.denoiser = model.NetworkOf(settings),
           .scheduler = *scheduler,
           .guidance = MakeGuidance(model.GuidanceOf(settings)),
           .shape = model.LatentShape(settings),
           .draw = {},
           .on_step = {},
           .hires = model.HiresOf(settings, calls),
           .timestep_divisor = model.TimestepDivisor(),
           .ntk = settings.ntk,
           .first_call = start.FirstCall(*scheduler),
           .perturbed = model.PerturbedOf(settings)} {
  if (loop.perturbed.attention.heads.empty()) return;
  attention.SetPerturbation(BranchKind::kPerturbed, loop.perturbed.attention);
}

std::function<void(const StepView&)> WithFiniteSteps(
    const DiffusionModel& model, const std::function<void(const StepView&)>& on_step) {
  return [&model, on_step](const StepView& view) {
    const std::string step =
        "step " + std::to_string(view.step + 1) + " of " + std::to_string(view.steps);
    RequireFinite(view.model_output, model.NetworkName() + ": the output of " + step,
                  model.NetworkWeights());
    RequireFinite(view.latents_out, "what the sampler made in " + step, model.NetworkWeights());
    if (on_step) on_step(view);
  };
}

bool TilesVae(const GenerateSettings& settings) {
  const int64_t pixels = int64_t{settings.width} * settings.height;
  return settings.vae_tiling == "on" || (settings.vae_tiling == "auto" && pixels > kMaxWholePixels);
}

Tensor DecodeLatents(Context& ctx, const DiffusionModel& model, const GenerateSettings& settings,
                     const Tensor& latents) {
  TRACE_ZONE("decode");
  AttentionRuntime attention;
  const AutoencoderKL& vae = model.Vae();
  const int64_t h = latents.shape[2], w = latents.shape[3];
  const Tensor z = ctx.arena.New({1, h, w, latents.shape[1]}, DType::kF32);
  if (!ctx.backend.IsPlanning()) {
    HostTensor scaled(latents.shape, DType::kF32);
    for (int64_t k = 0; k < scaled.NumElements(); ++k) {
      scaled.Data<float>()[k] = latents.Data<float>()[k] / static_cast<float>(model.LatentScale()) +
                                static_cast<float>(model.LatentShift());
    }
    CopyFromHost(ctx, scaled, z.Permute({0, 3, 1, 2}));
  }
  const Tensor picture = ctx.arena.New({1, settings.height, settings.width, 3}, DType::kF32);
  if (TilesVae(settings)) {
    DecodeTiled(ctx, attention, vae, DefaultTiling(vae.Traits()), z, picture);
  } else {
    vae.Decode(ctx, attention, z, picture);
  }
  ctx.backend.Synchronize();
  return picture.Reshape({settings.height, settings.width, 3});
}

}  // namespace fovea
