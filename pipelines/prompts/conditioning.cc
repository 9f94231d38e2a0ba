#include "pipelines/prompts/conditioning.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/ops/elementwise.h"

namespace fovea {

namespace {

// ids (w,t) to states (w,t,hidden), and the pooled text of the first window.
void Encode(Context& ctx, AttentionRuntime& attention, const ClipTextModel& text,
            const HostTensor& ids, const TextLayer& layer, const Tensor& out,
            const Tensor& pooled) {
  ArenaScope scope(ctx.arena);
  ClipTextOutput output;
  const bool last = layer.skip == 0 && layer.final_norm;
  output.last_hidden_state = last ? out : ctx.arena.New(out.shape, DType::kF32);
  if (!pooled.Empty()) output.pooled = ctx.arena.New({out.shape[0], pooled.shape[1]}, DType::kF32);
  std::vector<Tensor> states(static_cast<size_t>(text.Traits().layers) + 1);
  const size_t wanted = states.size() - 1 - static_cast<size_t>(layer.skip);
  if (!last) {
    states[wanted] = layer.final_norm ? ctx.arena.New(out.shape, DType::kF32) : out;
    output.hidden_states = states;
  }
  text.Forward(ctx, attention, ids.View(), output);
  if (ctx.Cancelled()) return;
  if (!last && layer.final_norm) text.FinalNorm(ctx, states[wanted], out);
  if (!pooled.Empty()) ops::Copy(ctx, output.pooled.Slice(0, 0, 1), pooled);
}

// One window of `count` states of `width` numbers each.
void WeighAsA1111(const double* weights, int64_t count, int64_t width, float* states) {
  double before = 0, after = 0;
  for (int64_t i = 0; i < count * width; ++i) {
    before += states[i];
    after += states[i] * weights[i / width];
  }
  const double restore = after != 0 ? before / after : 1;
  for (int64_t i = 0; i < count * width; ++i) {
    states[i] = static_cast<float>(states[i] * weights[i / width] * restore);
  }
}

void WeighAsComfy(const double* weights, int64_t count, int64_t width, const float* empty,
                  float* states) {
  for (int64_t i = 0; i < count * width; ++i) {
    states[i] = static_cast<float>((states[i] - empty[i]) * weights[i / width] + empty[i]);
  }
}

}  // namespace

void EncodePrompt(Context& ctx, AttentionRuntime& attention, const ClipTextModel& text,
                  const PromptWindows& windows, const TextLayer& layer, const Tensor& out,
                  const Tensor& pooled) {
  const int64_t count = windows.Count(), t = windows.length, width = out.shape[2];
  ENSURE(out.shape == (Shape{1, count * t, width}), out.shape.ToString());
  if (!windows.Weighted()) {
    return Encode(ctx, attention, text, HostTensor({count, t}, windows.ids), layer,
                  out.Reshape({count, t, width}), pooled);
  }
  ArenaScope scope(ctx.arena);
  const bool comfy = windows.mode == PromptWeights::kComfy;
  std::vector<int32_t> ids = windows.ids;
  if (comfy) ids.insert(ids.end(), windows.empty.begin(), windows.empty.end());
  const int64_t rows = static_cast<int64_t>(ids.size()) / t;
  const Tensor states = ctx.arena.New({rows, t, width}, DType::kF32);
  Encode(ctx, attention, text, HostTensor({rows, t}, std::move(ids)), layer, states, pooled);
  if (ctx.Cancelled() || ctx.backend.IsPlanning()) return;
  HostTensor host(states.shape, DType::kF32);
  ops::Copy(ctx, states, host.View());
  ctx.backend.Synchronize();
  const int64_t window = t * width;
  for (int64_t w = 0; w < count; ++w) {
    float* own = host.Data<float>() + w * window;
    const double* weights = windows.weights.data() + w * t;
    if (comfy)
      WeighAsComfy(weights, t, width, host.Data<float>() + count * window, own);
    else
      WeighAsA1111(weights, t, width, own);
  }
  ops::Copy(ctx, host.View().Slice(0, 0, count), out.Reshape({count, t, width}));
  ctx.backend.Synchronize();  // the host tensor ends here
}

void CopyFromHost(Context& ctx, const HostTensor& host, const Tensor& out) {
  ops::Copy(ctx, host.View(), out);
  ctx.backend.Synchronize();
}

void SetZero(Context& ctx, const Tensor& out) {
  if (!ctx.backend.IsPlanning()) CopyFromHost(ctx, HostTensor(out.shape, out.dtype), out);
}

HostTensor GuidanceEmbedding(double scale, int64_t n, int64_t c) {
  HostTensor embedding({n, c}, DType::kF32);
  const int64_t half = c / 2;
  const auto w = static_cast<float>((scale - 1) * 1000);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t k = 0; k < half; ++k) {
      const double frequency =
          std::exp(-std::log(10000.0) / static_cast<double>(std::max<int64_t>(half - 1, 1)) *
                   static_cast<double>(k));
      const double angle = static_cast<float>(w * frequency);
      embedding.Data<float>()[i * c + k] = static_cast<float>(std::sin(angle));
      embedding.Data<float>()[i * c + half + k] = static_cast<float>(std::cos(angle));
    }
  }
  return embedding;
}

}  // namespace fovea
