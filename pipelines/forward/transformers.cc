// `fovea forward` for the transformer denoisers: DiT, SD3, FLUX.
#include <cmath>

#include "models/dit/flux_positions.h"
#include "models/load_denoiser.h"
#include "pipelines/forward/component_pass.h"
#include "pipelines/forward/components.h"

namespace fovea {
namespace {

// What DenoiserInput takes from the host.
struct HostInputs {
  HostTensor latent;  // (n,c,h,w), or FLUX's (n,t,c)
  std::vector<float> timesteps, guidance, img_ids, txt_ids;
  std::vector<int64_t> labels;
  double ntk = 1;
  HostTensor context, pooled;
  int64_t height = 0, width = 0;  // of the latent as the model sees it
};

class TransformerComponent final : public Component {
 public:
  TransformerComponent(std::unique_ptr<Denoiser> model, std::filesystem::path folder,
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
  HostInputs Read(const NamedTensors& inputs) const;

  std::unique_ptr<Denoiser> model_;
  std::filesystem::path folder_;
  ForwardRunner runner_;
};

std::vector<float> Values(const HostTensor& tensor) {
  return {tensor.Data<float>(), tensor.Data<float>() + tensor.NumElements()};
}

HostInputs TransformerComponent::Read(const NamedTensors& inputs) const {
  const DenoiserTraits& traits = model_->Traits();
  const ForwardInputs given(ClassName(), inputs);
  const bool text = traits.context_dim > 0;
  std::vector<std::string> names{"hidden_states", "timestep"};
  if (text) names.insert(names.end(), {"encoder_hidden_states", "pooled_projections"});
  if (traits.num_classes > 0) names.emplace_back("class_labels");
  if (traits.packed) names.insert(names.end(), {"img_ids", "txt_ids"});
  if (traits.has_guidance) names.emplace_back("guidance");
  if (traits.rotary) names.emplace_back("ntk_factor");
  given.AllowOnly(names);

  HostInputs host;
  host.latent = traits.packed
                    ? given.Floats("hidden_states", {-1, -1, traits.in_channels}, "n, tokens, c")
                    : given.Floats("hidden_states", {-1, traits.in_channels, -1, -1}, "n, c, h, w");
  const Shape& shape = host.latent.shape();
  const int64_t n = shape[0];
  if (given.Has("ntk_factor")) {
    host.ntk = given.Timesteps("ntk_factor", 1)[0];
    if (!(host.ntk > 0 && std::isfinite(host.ntk))) {
      throw Error(ErrorCode::kUsage, ClassName() + ": input \"ntk_factor\" must be above 0");
    }
  }
  host.timesteps = given.Timesteps("timestep", n);
  if (traits.has_guidance) host.guidance = given.Timesteps("guidance", n);
  if (text) {
    host.context =
        given.Floats("encoder_hidden_states", {n, -1, traits.context_dim}, "n, tokens, channels");
    host.pooled = given.Floats("pooled_projections", {n, traits.pooled_dim}, "n, channels");
  }
  if (traits.num_classes > 0) {
    const HostTensor labels =
        given.Indices("class_labels", {n}, "n", int64_t{traits.num_classes} + 1);
    host.labels.assign(labels.Data<int32_t>(), labels.Data<int32_t>() + n);
  }
  if (!traits.packed) {
    host.height = shape[2];
    host.width = shape[3];
    return host;
  }
  host.img_ids = Values(given.Numbers("img_ids", {shape[1], 3}, "tokens, 3"));
  host.txt_ids = Values(given.Numbers("txt_ids", {host.context.shape()[1], 3}, "text tokens, 3"));
  // Ids of no grid are one line, of which the model tells operators that it is no grid.
  const auto grid = FluxGridOf(host.img_ids).value_or(std::pair{int64_t{1}, shape[1]});
  host.height = grid.first;
  host.width = grid.second;
  return host;
}

ForwardResult TransformerComponent::Forward(const NamedTensors& inputs,
                                            const ForwardOptions& options) {
  RefuseHires(ClassName(), options);
  const DenoiserTraits& traits = model_->Traits();
  const HostInputs host = Read(inputs);
  const int64_t n = host.latent.shape()[0];
  const int64_t patch = traits.packed ? 1 : traits.patch;
  // A rest that fills no patch is left out of the result, as the references do.
  const int64_t height = host.height / patch * patch, width = host.width / patch * patch;
  return runner_.Run(inputs, options, [&](ForwardPass& pass) {
    DenoiserInput input;
    input.latent = traits.packed
                       ? pass.Upload(host.latent).Reshape({n, height, width, traits.in_channels})
                       : pass.UploadImage(host.latent);
    input.timestep = host.timesteps;
    if (traits.context_dim > 0) {
      input.context = pass.Upload(host.context);
      input.text_embeds = pass.Upload(host.pooled);
    }
    input.class_labels = host.labels;
    input.guidance = host.guidance;
    input.img_ids = host.img_ids;
    input.txt_ids = host.txt_ids;
    input.ntk = host.ntk;
    const Tensor out = pass.ctx.arena.New({n, height, width, traits.out_channels}, DType::kF32);
    pass.Run([&] { model_->Forward(pass.ctx, pass.attention, input, out); });
    if (traits.packed) {
      pass.Download("sample", out.Reshape({n, height * width, traits.out_channels}));
    } else {
      pass.DownloadImage("sample", out);
    }
  });
}

NamedTensors TransformerComponent::ExampleInputs(int width, int height, int batch) const {
  const DenoiserTraits& traits = model_->Traits();
  const int factor = VaeFactor(folder_);
  const auto side = [&](int pixels, int trained) {
    const int latent = pixels == 0 ? trained : pixels / factor;
    return std::max<int64_t>(1, latent / traits.patch) * traits.patch;
  };
  const int64_t h = side(height, traits.sample_height), w = side(width, traits.sample_width);
  NamedTensors inputs;
  if (traits.packed) {
    const int64_t rows = h / traits.patch, columns = w / traits.patch;
    inputs["hidden_states"] = ExampleFloats({batch, rows * columns, traits.in_channels}, 1);
    inputs["timestep"] = HostTensor({1}, std::vector<float>{0.5f});
    inputs["img_ids"] = HostTensor({rows * columns, 3}, FluxGridIds(rows, columns));
    inputs["txt_ids"] = HostTensor({traits.text_tokens, 3}, DType::kF32);
  } else {
    inputs["hidden_states"] = ExampleFloats({batch, traits.in_channels, h, w}, 1);
    inputs["timestep"] = HostTensor({1}, std::vector<int64_t>{500});
  }
  if (traits.context_dim > 0) {
    inputs["encoder_hidden_states"] =
        ExampleFloats({batch, traits.text_tokens, traits.context_dim}, 2);
    inputs["pooled_projections"] = ExampleFloats({batch, traits.pooled_dim}, 3);
  }
  if (traits.has_guidance) inputs["guidance"] = HostTensor({1}, std::vector<float>{3.5f});
  if (traits.num_classes > 0) {
    inputs["class_labels"] = HostTensor({batch}, std::vector<int64_t>(static_cast<size_t>(batch)));
  }
  return inputs;
}

}  // namespace

std::unique_ptr<Component> LoadTransformerComponent(const Config& config,
                                                    std::shared_ptr<const WeightStore> weights,
                                                    const std::filesystem::path& folder,
                                                    Backend& backend) {
  return std::make_unique<TransformerComponent>(
      LoadDenoiser(config.ClassName(), config, std::move(weights)), folder, backend);
}

}  // namespace fovea
