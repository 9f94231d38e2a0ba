// `fovea forward` for AutoencoderKL: decodes `z` or encodes `x`.
#include "models/vae/autoencoder_kl.h"
#include "pipelines/forward/component_pass.h"
#include "pipelines/forward/components.h"

namespace fovea {
namespace {

class VaeComponent final : public Component {
 public:
  VaeComponent(std::unique_ptr<AutoencoderKL> model, Backend& backend)
      : model_(std::move(model)), runner_(backend, model_->AttentionSites()) {}

  const std::string& ClassName() const override { return class_name_; }
  std::vector<AttentionSite> AttentionSites() const override {
    return {model_->AttentionSites().begin(), model_->AttentionSites().end()};
  }
  ForwardResult Forward(const NamedTensors& inputs, const ForwardOptions& options) override;
  NamedTensors ExampleInputs(int width, int height, int batch) const override;

 private:
  ForwardResult Decode(const ForwardInputs& given, const NamedTensors& inputs,
                       const ForwardOptions& options);
  ForwardResult Encode(const ForwardInputs& given, const NamedTensors& inputs,
                       const ForwardOptions& options);

  const std::string class_name_ = "AutoencoderKL";
  std::unique_ptr<AutoencoderKL> model_;
  ForwardRunner runner_;
};

ForwardResult VaeComponent::Decode(const ForwardInputs& given, const NamedTensors& inputs,
                                   const ForwardOptions& options) {
  const VaeTraits& traits = model_->Traits();
  const HostTensor z = given.Floats("z", {-1, traits.latent_channels, -1, -1}, "n, c, h, w");
  RefuseHires(ClassName(), options);
  return runner_.Run(inputs, options, [&](ForwardPass& pass) {
    const Tensor latent = pass.UploadImage(z);  // (n,h,w,latent)
    const Shape& s = latent.shape;
    const Tensor out = pass.ctx.arena.New(
        {s[0], s[1] * traits.factor, s[2] * traits.factor, traits.out_channels}, DType::kF32);
    pass.Run([&] { model_->Decode(pass.ctx, pass.attention, latent, out); });
    pass.DownloadImage("sample", out);
  });
}

ForwardResult VaeComponent::Encode(const ForwardInputs& given, const NamedTensors& inputs,
                                   const ForwardOptions& options) {
  const VaeTraits& traits = model_->Traits();
  const HostTensor x = given.Floats("x", {-1, traits.image_channels, -1, -1}, "n, c, h, w");
  RefuseHires(ClassName(), options);
  return runner_.Run(inputs, options, [&](ForwardPass& pass) {
    const Tensor picture = pass.UploadImage(x);  // (n,H,W,c)
    const Shape latent{picture.shape[0], model_->LatentSide(picture.shape[1]),
                       model_->LatentSide(picture.shape[2]), traits.latent_channels};
    const Tensor mean = pass.ctx.arena.New(latent, DType::kF32);
    const Tensor logvar = pass.ctx.arena.New(latent, DType::kF32);
    pass.Run([&] { model_->Encode(pass.ctx, pass.attention, picture, mean, logvar); });
    pass.DownloadImage("mean", mean);
    pass.DownloadImage("logvar", logvar);
  });
}

ForwardResult VaeComponent::Forward(const NamedTensors& inputs, const ForwardOptions& options) {
  const ForwardInputs given(class_name_, inputs);
  given.AllowOnly({"z", "x"});
  if (given.Has("z") == given.Has("x")) {
    throw Error(ErrorCode::kUsage, class_name_ +
                                       ": give either \"z\" [n, c, h, w], to decode, or \"x\" "
                                       "[n, c, height, width], to encode");
  }
  return given.Has("z") ? Decode(given, inputs, options) : Encode(given, inputs, options);
}

NamedTensors VaeComponent::ExampleInputs(int width, int height, int batch) const {
  const VaeTraits& traits = model_->Traits();
  const int64_t h = std::max(1, (height == 0 ? traits.sample_size : height) / traits.factor);
  const int64_t w = std::max(1, (width == 0 ? traits.sample_size : width) / traits.factor);
  NamedTensors inputs;
  inputs["z"] = ExampleFloats({batch, traits.latent_channels, h, w}, 1);
  return inputs;
}

}  // namespace

std::unique_ptr<Component> LoadVaeComponent(const Config& config,
                                            std::shared_ptr<const WeightStore> weights,
                                            const std::filesystem::path& /*folder*/,
                                            Backend& backend) {
  return std::make_unique<VaeComponent>(AutoencoderKL::Load(config, std::move(weights)), backend);
}

}  // namespace fovea
