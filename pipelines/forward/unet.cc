// `fovea forward` for UNet2DConditionModel.
#include "models/unet/unet.h"

#include "pipelines/forward/component_pass.h"
#include "pipelines/forward/components.h"

namespace fovea {
namespace {

// SDXL's size conditioning: how many time_ids of a sample go with text_embeds of this width.
int64_t TimeIdCount(const DenoiserTraits& traits, int64_t text_channels) {
  const int64_t rest = traits.addition_dim - text_channels;
  if (rest <= 0 || rest % traits.addition_time_dim != 0) {
    throw Error(ErrorCode::kUsage,
                traits.class_name + ": input \"text_embeds\" has " + std::to_string(text_channels) +
                    " channels, but with time_ids of " + std::to_string(traits.addition_time_dim) +
                    " channels each it must make up " + std::to_string(traits.addition_dim));
  }
  return rest / traits.addition_time_dim;
}

class UNetComponent final : public Component {
 public:
  UNetComponent(std::unique_ptr<UNet2DConditionModel> model, std::filesystem::path folder,
                Backend& backend)
      : model_(std::move(model)),
        folder_(std::move(folder)),
        runner_(backend, model_->AttentionSites()) {}

  const std::string& ClassName() const override { return model_->Traits().class_name; }
  std::vector<AttentionSite> AttentionSites() const override {
    return {model_->AttentionSites().begin(), model_->AttentionSites().end()};
  }
  ForwardResult Forward(const NamedTensors& inputs, const ForwardOptions& options) override;
  NamedTensors ExampleInputs(int width, int height, int batch) const override;

 private:
  std::unique_ptr<UNet2DConditionModel> model_;
  std::filesystem::path folder_;
  ForwardRunner runner_;
};

ForwardResult UNetComponent::Forward(const NamedTensors& inputs, const ForwardOptions& options) {
  const DenoiserTraits& traits = model_->Traits();
  const ForwardInputs given(ClassName(), inputs);
  std::vector<std::string> names{"sample", "timestep", "encoder_hidden_states"};
  if (traits.timestep_cond_dim > 0) names.push_back("timestep_cond");
  const bool added = traits.addition_dim > 0;
  if (added) names.insert(names.end(), {"text_embeds", "time_ids"});
  given.AllowOnly(names);
  const HostTensor sample = given.Floats("sample", {-1, traits.in_channels, -1, -1}, "n, c, h, w");
  const int64_t n = sample.shape()[0];
  const std::vector<float> timesteps = given.Timesteps("timestep", n);
  const HostTensor context =
      given.Floats("encoder_hidden_states", {n, -1, traits.context_dim}, "n, tokens, channels");
  HostTensor condition;
  if (given.Has("timestep_cond")) {
    condition = given.Floats("timestep_cond", {n, traits.timestep_cond_dim}, "n, channels");
  }
  HostTensor text, times;
  if (added) {
    text = given.Floats("text_embeds", {n, -1}, "n, channels");
    times = given.Numbers("time_ids", {n, TimeIdCount(traits, text.shape()[1])}, "n, numbers");
  }
  const Hires hires(options.hires, traits, sample.shape()[2], sample.shape()[3], options.steps);
  ForwardOptions planned = options;
  planned.attention = hires.With(options.attention);
  ForwardResult result = runner_.Run(inputs, planned, [&](ForwardPass& pass) {
    DenoiserInput input;
    input.latent = pass.UploadImage(sample);
    input.timestep = timesteps;
    input.context = pass.Upload(context);
    if (given.Has("timestep_cond")) input.timestep_cond = pass.Upload(condition);
    if (added) {
      input.text_embeds = pass.Upload(text);
      input.time_ids = {times.Data<float>(), static_cast<size_t>(times.NumElements())};
    }
    input.raunet = hires.StageAt(options.step);
    const Shape& s = input.latent.shape;
    const Tensor out =
        pass.ctx.arena.New({s[0], s[1], s[2], traits.out_channels}, DType::kF32);  // (n,h,w,c)
    pass.Run([&] { model_->Forward(pass.ctx, pass.attention, input, out); });
    pass.DownloadImage("sample", out);
  });
  result.hires = ReportOf(hires);
  result.stage = hires.StageAt(options.step);
  return result;
}

NamedTensors UNetComponent::ExampleInputs(int width, int height, int batch) const {
  const DenoiserTraits& traits = model_->Traits();
  const int factor = VaeFactor(folder_);
  const int64_t h = height == 0 ? traits.sample_height : std::max(1, height / factor);
  const int64_t w = width == 0 ? traits.sample_width : std::max(1, width / factor);
  NamedTensors inputs;
  inputs["sample"] = ExampleFloats({batch, traits.in_channels, h, w}, 1);
  inputs["timestep"] = HostTensor({1}, std::vector<int64_t>{500});
  inputs["encoder_hidden_states"] = ExampleFloats({batch, 77, traits.context_dim}, 2);
  if (traits.timestep_cond_dim > 0) {
    inputs["timestep_cond"] = ExampleFloats({batch, traits.timestep_cond_dim}, 3);
  }
  if (traits.addition_dim > 0) {
    // SDXL's six numbers, where there is room for them.
    const int64_t times = std::min((traits.addition_dim - 1) / traits.addition_time_dim, 6);
    const int64_t text = traits.addition_dim - times * traits.addition_time_dim;
    inputs["text_embeds"] = ExampleFloats({batch, text}, 4);
    inputs["time_ids"] = ExampleFloats({batch, times}, 5);
  }
  return inputs;
}

}  // namespace

std::unique_ptr<Component> LoadUNetComponent(const Config& config,
                                             std::shared_ptr<const WeightStore> weights,
                                             const std::filesystem::path& folder,
                                             Backend& backend) {
  return std::make_unique<UNetComponent>(UNet2DConditionModel::Load(config, std::move(weights)),
                                         folder, backend);
}

}  // namespace fovea
