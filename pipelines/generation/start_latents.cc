#include "pipelines/generation/start_latents.h"

#include "pipelines/generation/image_start.h"

namespace fovea {
namespace {

// Text to image: unit noise, drawn or given, as strong as the scheduler wants it.
class FromNoise final : public Start {
 public:
  explicit FromNoise(const HostTensor* given) : given_(given) {}

  int FirstCall(const Scheduler& /*scheduler*/) const override { return 0; }

  StartLatents Make(Context& ctx, const StartRequest& request) const override {
    if (ctx.backend.IsPlanning()) return {};
    StartLatents start{UnitNoise(request, given_)};
    const double sigma = request.scheduler.InitNoiseSigma();
    float* values = start.latents.Data<float>();
    for (int64_t k = 0; k < start.latents.NumElements(); ++k) {
      values[k] = static_cast<float>(values[k] * sigma);
    }
    return start;
  }

 private:
  const HostTensor* given_;
};

}  // namespace

HostTensor UnitNoise(const StartRequest& request, const HostTensor* given) {
  if (given != nullptr) return given->ToF32();
  HostTensor noise(request.model.LatentShape(request.settings), DType::kF32);
  request.noise.Normal({noise.Data<float>(), static_cast<size_t>(noise.NumElements())});
  return noise;
}

std::unique_ptr<Start> ChooseStart(const DiffusionModel& model, const GenerateSettings& settings,
                                   const GenerateInputs& inputs) {
  const auto bad = [](const std::string& what) { throw Error(ErrorCode::kUsage, what); };
  if (settings.image.empty() != (inputs.image == nullptr)) {
    bad("image: the settings say " + (settings.image.empty() ? "none" : settings.image) +
        "; give that picture and no other");
  }
  if (settings.mask.empty() != (inputs.mask == nullptr)) {
    bad("mask: the settings say " + (settings.mask.empty() ? "none" : settings.mask) +
        "; give that picture and no other");
  }
  if (model.ExtraChannels() != 0 && inputs.mask == nullptr) {
    bad("this model repaints parts of pictures (its network has " +
        std::to_string(model.Network().Traits().in_channels) +
        " input channels): give --image and --mask");
  }
  if (inputs.init_latents != nullptr) {
    const Shape shape = model.LatentShape(settings);
    if (!(inputs.init_latents->shape() == shape)) {
      throw Error(ErrorCode::kBadFile, "init-latents: shape " +
                                           inputs.init_latents->shape().ToString() +
                                           " where these settings need " + shape.ToString());
    }
  }
  if (inputs.mask != nullptr) {
    return StartInpainting(settings, *inputs.image, *inputs.mask, inputs.init_latents);
  }
  if (inputs.image != nullptr) {
    return StartFromPictures(settings, std::span(inputs.image, 1), inputs.init_latents);
  }
  return std::make_unique<FromNoise>(inputs.init_latents);
}

}  // namespace fovea
