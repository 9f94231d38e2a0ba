// Where a run starts: noise, a picture, a picture with a mask. The one thing in which text to
// image, image to image and inpainting differ.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "pipelines/generation/diffusion_model.h"
#include "pipelines/sampling/noise.h"
#include "pipelines/sampling/scheduler.h"
#include "pipelines/settings/generate_inputs.h"
#include "tensor/context.h"
#include "tensor/memory/host_tensor.h"

namespace fovea {

struct StartLatents {
  HostTensor latents;     // (n,c,h,w) f32, as they stand before the run's first call of the model
  HostTensor extra = {};  // (n,k,h,w) f32: channels behind the latents' in every input; or empty
  // May be empty. After each call, sets what is kept of a picture: `next` is the scheduler's call
  // that follows, or their number at the end; latents (n,c,h,w) in place.
  std::function<void(int next, std::span<float> latents)> keep = {};
};

struct StartRequest {
  const DiffusionModel& model;
  const GenerateSettings& settings;  // resolved
  const Scheduler& scheduler;
  BatchNoise& noise;  // unit noise of the batch, in diffusers' order of draws
};

class Start {
 public:
  virtual ~Start() = default;
  // The first of the scheduler's calls that the run makes; 0: all of them.
  virtual int FirstCall(const Scheduler& scheduler) const = 0;
  // On the real backend and in dry runs (ctx.backend.IsPlanning()) alike; what it computes takes
  // its memory from ctx.arena. In a dry run the result is not looked at, and host memory must not
  // be claimed by the size of the latents. Asks ctx.Cancelled(); then the result is undefined.
  virtual StartLatents Make(Context& ctx, const StartRequest& request) const = 0;
};

// Unit noise (n,c,h,w): `given`, or drawn where that is null.
HostTensor UnitNoise(const StartRequest& request, const HostTensor* given);

// By what `inputs` holds. Throws kUsage, kBadFile and kUnsupported where settings, inputs and model
// do not fit. `inputs` must outlive the start.
std::unique_ptr<Start> ChooseStart(const DiffusionModel& model, const GenerateSettings& settings,
                                   const GenerateInputs& inputs);

}  // namespace fovea
