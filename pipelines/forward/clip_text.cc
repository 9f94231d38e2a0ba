// `fovea forward` for CLIPTextModel and CLIPTextModelWithProjection.
#include "models/clip/clip_text_model.h"
#include "pipelines/forward/component_pass.h"
#include "pipelines/forward/components.h"

namespace fovea {
namespace {

class ClipTextComponent final : public Component {
 public:
  ClipTextComponent(std::unique_ptr<ClipTextModel> model, Backend& backend)
      : class_name_(model->Traits().projection > 0 ? "CLIPTextModelWithProjection"
                                                   : "CLIPTextModel"),
        model_(std::move(model)),
        runner_(backend, model_->AttentionSites()) {}

  const std::string& ClassName() const override { return class_name_; }
  std::vector<AttentionSite> AttentionSites() const override {
    return {model_->AttentionSites().begin(), model_->AttentionSites().end()};
  }
  ForwardResult Forward(const NamedTensors& inputs, const ForwardOptions& options) override;
  NamedTensors ExampleInputs(int width, int height, int batch) const override;

 private:
  const std::string class_name_;
  std::unique_ptr<ClipTextModel> model_;
  ForwardRunner runner_;
};

ForwardResult ClipTextComponent::Forward(const NamedTensors& inputs,
                                         const ForwardOptions& options) {
  const ClipTextTraits& traits = model_->Traits();
  const ForwardInputs given(class_name_, inputs);
  given.AllowOnly({"input_ids"});
  const HostTensor ids = given.Indices("input_ids", {-1, -1}, "n, tokens", traits.vocabulary);
  const int64_t b = ids.shape()[0], t = ids.shape()[1];
  if (t > traits.positions) {
    throw Error(ErrorCode::kUsage, class_name_ + ": input \"input_ids\" has " + std::to_string(t) +
                                       " tokens, but the model takes at most " +
                                       std::to_string(traits.positions));
  }
  RefuseHires(ClassName(), options);
  return runner_.Run(inputs, options, [&](ForwardPass& pass) {
    const auto states = [&] { return pass.ctx.arena.New({b, t, traits.hidden}, DType::kF32); };
    ClipTextOutput out;
    out.last_hidden_state = states();
    const int columns = traits.projection > 0 ? traits.projection : traits.hidden;
    out.pooled = pass.ctx.arena.New({b, columns}, DType::kF32);
    std::vector<Tensor> hidden;
    for (int i = 0; options.hidden_states && i <= traits.layers; ++i) hidden.push_back(states());
    out.hidden_states = hidden;
    pass.Run([&] { model_->Forward(pass.ctx, pass.attention, ids.View(), out); });
    pass.Download("last_hidden_state", out.last_hidden_state);
    pass.Download(traits.projection > 0 ? "text_embeds" : "pooler_output", out.pooled);
    for (size_t i = 0; i < hidden.size(); ++i) {
      pass.Download("hidden_states." + std::to_string(i), hidden[i]);
    }
  });
}

NamedTensors ClipTextComponent::ExampleInputs(int /*width*/, int /*height*/, int batch) const {
  const ClipTextTraits& traits = model_->Traits();
  HostTensor ids({batch, traits.positions}, DType::kI64);
  for (int64_t i = 0; i < ids.NumElements(); ++i) {
    ids.Data<int64_t>()[i] = (i * 7919 + 1) % traits.vocabulary;
  }
  NamedTensors inputs;
  inputs.emplace("input_ids", std::move(ids));
  return inputs;
}

}  // namespace

std::unique_ptr<Component> LoadClipTextComponent(const Config& config,
                                                 std::shared_ptr<const WeightStore> weights,
                                                 const std::filesystem::path& /*folder*/,
                                                 Backend& backend) {
  return std::make_unique<ClipTextComponent>(ClipTextModel::Load(config, std::move(weights)),
                                             backend);
}

}  // namespace fovea
