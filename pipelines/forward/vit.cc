// `fovea forward` for Vision Transformers: ViT, DeiT, DINOv2, CLIP's vision tower, timm's.
#include <cmath>

#include "models/vit/vision_transformer.h"
#include "pipelines/forward/component_pass.h"
#include "pipelines/forward/components.h"

namespace fovea {
namespace {

const char* PooledName(VitHead head) {
  switch (head) {
    case VitHead::kClassifier:
    case VitHead::kTwoClassifiers:
      return "logits";
    case VitHead::kClipProjection:
      return "image_embeds";
    case VitHead::kNone:
    case VitHead::kTanhPooler:
    case VitHead::kClassToken:
    case VitHead::kClipPooler:
      break;
  }
  return "pooler_output";
}

class VitComponent final : public Component {
 public:
  VitComponent(std::unique_ptr<VisionTransformer> model, Backend& backend)
      : model_(std::move(model)), runner_(backend, model_->AttentionSites()) {}

  const std::string& ClassName() const override { return model_->Traits().class_name; }
  std::vector<AttentionSite> AttentionSites() const override {
    return {model_->AttentionSites().begin(), model_->AttentionSites().end()};
  }
  const VisionTransformer* Vit() const override { return model_.get(); }
  ForwardResult Forward(const NamedTensors& inputs, const ForwardOptions& options) override;
  NamedTensors ExampleInputs(int width, int height, int batch) const override;

 private:
  std::unique_ptr<VisionTransformer> model_;
  ForwardRunner runner_;
};

ForwardResult VitComponent::Forward(const NamedTensors& inputs, const ForwardOptions& options) {
  const VitConfig& vit = model_->Traits();
  const ForwardInputs given(ClassName(), inputs);
  given.AllowOnly({"pixel_values"});
  const HostTensor pixels =
      given.Floats("pixel_values", {-1, vit.channels, -1, -1}, "n, c, height, width");
  const int64_t b = pixels.shape()[0], height = pixels.shape()[2], width = pixels.shape()[3];
  if (height < vit.patch || width < vit.patch) {
    throw Error(ErrorCode::kUsage,
                ClassName() + ": input \"pixel_values\" has the shape " +
                    pixels.shape().ToString() + ", but the model needs at least one patch of " +
                    std::to_string(vit.patch) + " x " + std::to_string(vit.patch) + " pixels");
  }
  RefuseHires(ClassName(), options);
  ForwardResult result = runner_.Run(inputs, options, [&](ForwardPass& pass) {
    const int tokens = TokenCount(model_->Tokens(height, width));
    const auto states = [&] { return pass.ctx.arena.New({b, tokens, vit.hidden}, DType::kF32); };
    VitOutput out;
    out.last_hidden_state = states();
    out.pooled = pass.ctx.arena.New({b, model_->Columns()}, DType::kF32);
    std::vector<Tensor> hidden;
    for (int i = 0; options.hidden_states && i <= vit.layers; ++i) hidden.push_back(states());
    out.hidden_states = hidden;
    const Tensor input = pass.UploadImage(pixels);  // (b,h,w,c)
    pass.Run([&] { model_->Forward(pass.ctx, pass.attention, input, out); });
    pass.Download("last_hidden_state", out.last_hidden_state);
    pass.Download(PooledName(vit.head), out.pooled);
    for (size_t i = 0; i < hidden.size(); ++i) {
      pass.Download("hidden_states." + std::to_string(i), hidden[i]);
    }
  });
  if (vit.head == VitHead::kTanhPooler && result.outputs.contains("pooler_output")) {
    HostTensor& pooled = result.outputs.at("pooler_output");
    for (int64_t i = 0; i < pooled.NumElements(); ++i) {
      pooled.Data<float>()[i] = std::tanh(pooled.Data<float>()[i]);
    }
  }
  return result;
}

NamedTensors VitComponent::ExampleInputs(int width, int height, int batch) const {
  const VitConfig& vit = model_->Traits();
  const int64_t h = height == 0 ? vit.image_height : std::max<int64_t>(vit.patch, height);
  const int64_t w = width == 0 ? vit.image_width : std::max<int64_t>(vit.patch, width);
  NamedTensors inputs;
  inputs["pixel_values"] = ExampleFloats({batch, vit.channels, h, w}, 1);
  return inputs;
}

}  // namespace

std::unique_ptr<Component> LoadVitComponent(const Config& config,
                                            std::shared_ptr<const WeightStore> weights,
                                            const std::filesystem::path& /*folder*/,
                                            Backend& backend) {
  return std::make_unique<VitComponent>(VisionTransformer::Load(config, std::move(weights)),
                                        backend);
}

}  // namespace fovea
