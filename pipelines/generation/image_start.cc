#include "pipelines/generation/image_start.h"

#include <algorithm>
#include <memory>

#include "pipelines/generation/picture_latents.h"
#include "pipelines/pictures/image_input.h"
#include "pipelines/pictures/resample.h"
#include "pipelines/settings/image_settings.h"

namespace fovea {
namespace {

std::span<float> Values(HostTensor& tensor) {
  return {tensor.Data<float>(), static_cast<size_t>(tensor.NumElements())};
}

std::span<const float> Values(const HostTensor& tensor) {
  return {tensor.Data<float>(), static_cast<size_t>(tensor.NumElements())};
}

Image Fitted(const Image& image, const GenerateSettings& settings) {
  return ResizeLanczos(image, settings.width, settings.height);
}

// The part that both have: how many steps are left out.
class LateStart : public Start {
 public:
  LateStart(const GenerateSettings& settings, const HostTensor* noise)
      : noise_(noise), steps_(settings.steps), strength_(settings.strength) {}

  int FirstCall(const Scheduler& scheduler) const override {
    const int left = StepsOfStrength(steps_, strength_, scheduler.IsFlow());
    return (steps_ - left) * scheduler.CallsPerStep();
  }

 protected:
  const HostTensor* noise_;  // given, or null

 private:
  int steps_;
  double strength_;
};

class FromPictures final : public LateStart {
 public:
  FromPictures(const GenerateSettings& settings, std::span<const Image> images,
               const HostTensor* noise)
      : LateStart(settings, noise), images_(images) {}

  StartLatents Make(Context& ctx, const StartRequest& request) const override {
    std::vector<Posterior> posteriors;
    for (const Image& image : images_) {
      posteriors.push_back(EncodePicture(ctx, request.model, request.settings, [&] {
        return ToModelInput(Fitted(image, request.settings));
      }));
      if (ctx.Cancelled()) return {};
    }
    if (ctx.backend.IsPlanning()) return {};
    StartLatents start;
    start.latents = DrawLatents(request.model, request.settings, posteriors, request.noise);
    const HostTensor noise = UnitNoise(request, noise_);
    request.scheduler.AddNoise(FirstCall(request.scheduler), Values(noise), Values(start.latents));
    return start;
  }

 private:
  std::span<const Image> images_;
};

// What models without extra channels need to keep of a picture.
struct Kept {
  HostTensor latents, noise;  // (n,c,h,w)
  HostTensor mask;            // (1,1,h,w), 1: made anew
  const Scheduler& scheduler;

  void Restore(int next, std::span<float> latents_now) const {
    HostTensor proper = latents;
    if (next < static_cast<int>(scheduler.Timesteps().size())) {
      scheduler.AddNoise(next, Values(noise), Values(proper));
    }
    const std::span<const float> from = Values(proper), anew = Values(mask);
    for (size_t k = 0; k < latents_now.size(); ++k) {
      if (anew[k % anew.size()] == 0) latents_now[k] = from[k];
    }
  }
};

// (n,1+c,h,w): the mask, then the latents of the masked picture.
HostTensor ExtraChannels(const HostTensor& mask, const HostTensor& latents) {
  const Shape& s = latents.shape();
  HostTensor extra({s[0], s[1] + 1, s[2], s[3]}, DType::kF32);
  const std::span<const float> first = Values(mask), rest = Values(latents);
  const size_t one = rest.size() / static_cast<size_t>(s[0]);
  float* to = extra.Data<float>();
  for (size_t i = 0; i < static_cast<size_t>(s[0]); ++i) {
    to = std::copy(first.begin(), first.end(), to);
    to = std::copy_n(rest.data() + i * one, one, to);
  }
  return extra;
}

class Inpainting final : public LateStart {
 public:
  Inpainting(const GenerateSettings& settings, const Image& image, const Image& mask,
             const HostTensor* noise)
      : LateStart(settings, noise),
        image_(image),
        mask_(mask),
        from_noise_(settings.strength == 1) {}

  StartLatents Make(Context& ctx, const StartRequest& request) const override {
    const GenerateSettings& settings = request.settings;
    const bool plain = request.model.ExtraChannels() == 0;
    Posterior picture, masked;
    if (plain || !from_noise_) {
      picture = EncodePicture(ctx, request.model, settings,
                              [&] { return ToModelInput(Fitted(image_, settings)); });
    }
    if (!plain && !ctx.Cancelled()) {
      masked = EncodePicture(ctx, request.model, settings, [&] {
        return ToMaskedInput(Fitted(image_, settings), Mask(settings));
      });
    }
    if (ctx.backend.IsPlanning() || ctx.Cancelled()) return {};
    return Draw(request, picture, masked);
  }

 private:
  PixelMask Mask(const GenerateSettings& settings) const {
    return MakePixelMask(mask_, settings.width, settings.height);
  }

  StartLatents Draw(const StartRequest& request, const Posterior& picture,
                    const Posterior& masked) const {
    const DiffusionModel& model = request.model;
    const GenerateSettings& settings = request.settings;
    const Scheduler& scheduler = request.scheduler;
    const bool plain = model.ExtraChannels() == 0;
    HostTensor latents;
    if (plain || !from_noise_) {
      latents = DrawLatents(model, settings, std::span(&picture, 1), request.noise);
    }
    const HostTensor noise = UnitNoise(request, noise_);
    StartLatents start;
    start.latents = from_noise_ ? noise : latents;
    if (from_noise_) {
      const double sigma = scheduler.InitNoiseSigma();
      for (float& x : Values(start.latents)) x = static_cast<float>(x * sigma);
    } else {
      scheduler.AddNoise(FirstCall(scheduler), Values(noise), Values(start.latents));
    }
    const HostTensor mask = ToLatentMask(Mask(settings), model.VaeFactor());
    if (!plain) {
      start.extra =
          ExtraChannels(mask, DrawLatents(model, settings, std::span(&masked, 1), request.noise));
      return start;
    }
    // diffusers draws the masked picture's latents here, too, and then has no use for them.
    HostTensor unused(noise.shape(), DType::kF32);
    request.noise.Normal(Values(unused));
    const auto kept =
        std::make_shared<const Kept>(Kept{std::move(latents), noise, mask, scheduler});
    start.keep = [kept](int next, std::span<float> now) { kept->Restore(next, now); };
    return start;
  }

  const Image &image_, &mask_;
  bool from_noise_;
};

}  // namespace

std::unique_ptr<Start> StartFromPictures(const GenerateSettings& settings,
                                         std::span<const Image> images, const HostTensor* noise) {
  return std::make_unique<FromPictures>(settings, images, noise);
}

std::unique_ptr<Start> StartInpainting(const GenerateSettings& settings, const Image& image,
                                       const Image& mask, const HostTensor* noise) {
  return std::make_unique<Inpainting>(settings, image, mask, noise);
}

}  // namespace fovea
