// `fovea forward` for T5EncoderModel.
#include "models/t5/t5_encoder.h"
#include "pipelines/forward/component_pass.h"
#include "pipelines/forward/components.h"

namespace fovea {
namespace {

class T5Component final : public Component {
 public:
  T5Component(std::unique_ptr<T5EncoderModel> model, Backend& backend)
      : model_(std::move(model)), runner_(backend, {}) {}

  const std::string& ClassName() const override { return class_name_; }
  std::vector<AttentionSite> AttentionSites() const override { return {}; }

  ForwardResult Forward(const NamedTensors& inputs, const ForwardOptions& options) override {
    const T5Traits& traits = model_->Traits();
    const ForwardInputs given(class_name_, inputs);
    given.AllowOnly({"input_ids"});
    const HostTensor ids = given.Indices("input_ids", {-1, -1}, "n, tokens", traits.vocabulary);
    RefuseHires(class_name_, options);
    return runner_.Run(inputs, options, [&](ForwardPass& pass) {
      const Shape shape{ids.shape()[0], ids.shape()[1], traits.hidden};
      const Tensor states = pass.ctx.arena.New(shape, DType::kF32);
      pass.Run([&] { model_->Forward(pass.ctx, ids.View(), states); });
      pass.Download("last_hidden_state", states);
    });
  }

  NamedTensors ExampleInputs(int /*width*/, int /*height*/, int batch) const override {
    HostTensor ids({batch, 512}, DType::kI64);
    for (int64_t i = 0; i < ids.NumElements(); ++i) {
      ids.Data<int64_t>()[i] = (i * 7919 + 1) % model_->Traits().vocabulary;
    }
    NamedTensors inputs;
    inputs.emplace("input_ids", std::move(ids));
    return inputs;
  }

 private:
  const std::string class_name_ = "T5EncoderModel";
  std::unique_ptr<T5EncoderModel> model_;
  ForwardRunner runner_;
};

}  // namespace

std::unique_ptr<Component> LoadT5Component(const Config& config,
                                           std::shared_ptr<const WeightStore> weights,
                                           const std::filesystem::path& /*folder*/,
                                           Backend& backend) {
  return std::make_unique<T5Component>(T5EncoderModel::Load(config, std::move(weights)), backend);
}

}  // namespace fovea
