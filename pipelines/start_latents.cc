#include "pipelines/start_latents.h"

#include <cstring>

namespace fovea {
namespace {

// Text to image: unit noise, drawn or given, as strong as the scheduler wants it.
class FromNoise final : public Start {
 public:
  explicit FromNoise(const HostTensor* given) : given_(given) {}

  int FirstCall(const Scheduler& /*scheduler*/) const override { return 0; }

  StartLatents Make(Context& ctx, const StartRequest& request) const override {
    StartLatents start;
    if (ctx.backend.IsPlanning()) return start;
    const Shape shape = request.model.LatentShape(request.settings);
    start.latents = HostTensor(shape, DType::kF32);
    const std::span<float> values(start.latents.Data<float>(),
                                  static_cast<size_t>(shape.NumElements()));
    if (given_ != nullptr) {
      const HostTensor given = given_->ToF32();
      std::memcpy(values.data(), given.data(), start.latents.Bytes());
    } else {
      request.noise.Normal(values);
    }
    const double sigma = request.scheduler.InitNoiseSigma();
    for (float& value : values) value = static_cast<float>(value * sigma);
    return start;
  }

 private:
  const HostTensor* given_;
};

}  // namespace

std::unique_ptr<Start> ChooseStart(const DiffusionModel& model, const GenerateSettings& settings,
                                   const GenerateInputs& inputs) {
  if (model.ExtraChannels() != 0) {
    throw Error(ErrorCode::kUnsupported,
                "the unet has " + std::to_string(model.UNet().Traits().in_channels) +
                    " input channels, for inpainting; text to image needs one with " +
                    std::to_string(model.Vae().Traits().latent_channels));
  }
  if (inputs.init_latents != nullptr) {
    const Shape shape = model.LatentShape(settings);
    if (!(inputs.init_latents->shape() == shape)) {
      throw Error(ErrorCode::kBadFile, "init-latents: shape " +
                                           inputs.init_latents->shape().ToString() +
                                           " where these settings need " + shape.ToString());
    }
  }
  return std::make_unique<FromNoise>(inputs.init_latents);
}

}  // namespace fovea
