#include "pipelines/generation/concept_replay.h"

#include <cstring>

#include "tensor/ops/elementwise.h"

namespace fovea {
namespace {

// The prompt's half of a guided batch.
Conditioning PromptHalfOf(const Conditioning& all, int64_t rows, int64_t n) {
  Conditioning half = all;
  const auto last = [&](const Tensor& x) { return x.Empty() ? x : x.Slice(0, rows - n, n); };
  half.context = last(all.context);
  half.text_embeds = last(all.text_embeds);
  half.timestep_cond = last(all.timestep_cond);
  return half;
}

PromptTokens TokensOf(const DiffusionModel& model, const GenerateSettings& settings) {
  return model.Text().Tokenize(settings, model.GuidanceOf(settings).Active(), {});
}

// The prompt's states (1,t,c) of these settings.
Conditioning PromptStates(Context& ctx, const DiffusionModel& model,
                          const GenerateSettings& settings) {
  const int64_t rows = model.GuidanceOf(settings).Active() ? 2 : 1;
  return PromptHalfOf(Condition(ctx, model, settings, TokensOf(model, settings), {}), rows, 1);
}

// (1,concepts,c): each concept's state at its last token.
Tensor ConceptStates(Context& ctx, const DiffusionModel& model, const GenerateSettings& settings,
                     std::span<const std::string> concepts) {
  const Tensor states = ctx.arena.New(
      {1, static_cast<int64_t>(concepts.size()), model.Text().ContextDim()}, DType::kF32);
  for (size_t i = 0; i < concepts.size(); ++i) {
    ArenaScope scope(ctx.arena);
    GenerateSettings one = settings;
    one.prompt = concepts[i];
    one.prompt_2.clear();
    one.prompt_weights = "off";
    const PromptReading reading = model.Text().Read(one, one.prompt);
    if (reading.tokens.empty()) {
      throw Error(ErrorCode::kUsage, "--words: the concept \"" + concepts[i] + "\" has no tokens");
    }
    const Tensor own = PromptStates(ctx, model, one).context;
    const int at = reading.tokens.back().positions.back();
    ops::Copy(ctx, own.Slice(1, at, 1), states.Slice(1, static_cast<int64_t>(i), 1));
    ctx.backend.Synchronize();
  }
  return states;
}

}  // namespace

size_t ConceptBytes(const DiffusionModel& model, const GenerateSettings& settings,
                    size_t concepts) {
  const auto width = static_cast<size_t>(model.Text().ContextDim()) * sizeof(float);
  const auto pooled = static_cast<size_t>(model.Text().PooledDim()) * sizeof(float);
  // The concepts' states, and those of one more prompt beside the run's, guided.
  const auto length = static_cast<size_t>(TokensOf(model, settings).length);
  return concepts * width + 2 * (length * width + pooled) + 4096;
}

bool ReplayConcepts(Context& ctx, const DiffusionModel& model, const GenerateSettings& settings,
                    const Start& start, const StoredStep& step,
                    std::span<const std::string> concepts, ImageStreamKeeper& keeper,
                    ConceptReader& reader) {
  ENSURE(settings.batch == 1);
  ArenaScope scope(ctx.arena);
  Conditioning prompt = PromptStates(ctx, model, settings);
  const Tensor states = ConceptStates(ctx, model, settings, concepts);
  std::vector<float> latents(step.latents_in.size()), outputs[2];
  for (int pass = 0; pass < 2; ++pass) {
    if (ctx.Cancelled()) return false;
    if (pass == 1) prompt.context = states;
    DenoisePass run(model, settings, start);
    run.loop.guidance = {};
    run.loop.replay = ReplayedCall{step.step, step.latents_in, &outputs[pass]};
    run.attention.SetListeners({pass == 0 ? static_cast<AttentionListener*>(&keeper) : &reader});
    if (!run.loop.Run(ctx, run.attention, prompt, latents)) return false;
  }
  // What the concepts read is the picture as the prompt makes it, or nothing that is shown is true.
  ENSURE(outputs[0].size() == outputs[1].size() &&
         std::memcmp(outputs[0].data(), outputs[1].data(), outputs[0].size() * sizeof(float)) == 0);
  return true;
}

}  // namespace fovea
