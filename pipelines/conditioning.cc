#include "pipelines/conditioning.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "models/json_text.h"
#include "tensor/ops/elementwise.h"

namespace fovea {

HostTensor TokenizePrompt(const ClipTokenizer& tokenizer, int length, const std::string& prompt,
                          const std::string& which,
                          const std::function<void(const std::string&)>& warn) {
  std::vector<std::string> cut;
  const std::vector<int32_t> ids = tokenizer.EncodePadded(prompt, length, &cut);
  if (!cut.empty() && warn) {
    std::string text;
    for (const std::string& piece : cut) text += piece;
    warn(which + " is longer than " + std::to_string(length - 2) + " tokens; cut off: \"" +
         Printable(text) + "\"");
  }
  return HostTensor({1, length}, ids);
}

void EncodeText(Context& ctx, AttentionRuntime& attention, const ClipTextModel& text,
                const HostTensor& ids, int skip, const Tensor& out) {
  ArenaScope scope(ctx.arena);
  ClipTextOutput output;
  if (skip == 0) {
    output.last_hidden_state = out;
    text.Forward(ctx, attention, ids.View(), output);
    return;
  }
  output.last_hidden_state = ctx.arena.New(out.shape, DType::kF32);
  std::vector<Tensor> states;
  for (int i = 0; i <= text.Traits().layers; ++i) {
    states.push_back(ctx.arena.New(out.shape, DType::kF32));
  }
  output.hidden_states = states;
  text.Forward(ctx, attention, ids.View(), output);
  if (ctx.Cancelled()) return;
  text.FinalNorm(ctx, states[states.size() - 1 - static_cast<size_t>(skip)], out);
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
