// A sampler: from model outputs to the next latents, with diffusers' semantics.
//
// Latents are small, so they live on the host between steps, f32, NCHW; schedulers are plain
// arithmetic on spans and are tested without a device. A scheduler owns its sigmas and its history
// and serves one run.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/config.h"

namespace fovea {

// Fills the span (a whole batch, NCHW) with unit noise; called in diffusers' order of draws.
using DrawNoise = std::function<void(std::span<float>)>;

class Scheduler {
 public:
  virtual ~Scheduler() = default;
  virtual std::string_view Name() const = 0;  // as --sampler: "ddim", "euler_a", ...
  // The schedule of noise levels as A1111 names it: "Karras", "Exponential"; "" for the plain one.
  virtual std::string_view ScheduleType() const { return ""; }
  virtual std::span<const double> Timesteps() const = 0;  // one a call of the model, in order
  // Calls that a step of diffusers' counting takes: where image to image begins in the list.
  virtual int CallsPerStep() const { return 1; }
  // Of flow matching: image to image then keeps a step that its strength leaves in part.
  virtual bool IsFlow() const { return false; }
  // What unit noise is multiplied by to become the first latents.
  virtual double InitNoiseSigma() const = 0;
  // Scales the latents for the model's input at call i (in place on a copy).
  virtual void ScaleModelInput(int i, std::span<float> latents) const = 0;
  // Latents after call i, in place. The first call of a run may be any (image to image begins
  // late); the others follow in order. `draw` is called only by samplers that add noise.
  virtual void Step(int i, std::span<const float> model_output, std::span<float> latents,
                    const DrawNoise& draw) = 0;
  // The predicted clean latents of the last step: previews.
  virtual std::span<const float> PredictedClean() const = 0;
  // Clean latents plus noise as they stand before call i: image to image starts here.
  virtual void AddNoise(int i, std::span<const float> noise, std::span<float> latents) const = 0;
};

struct SamplerChoice {
  std::string sampler = {};  // "" : the class named in the config; else a name of SamplerNames()
  int steps = 25;
  double eta = 0;  // DDIM's
  // Noise levels of a kind of ScheduleNames(), whatever the config says; "" or "model": as it says.
  std::string schedule = {};
  int64_t image_tokens = 0;    // of a picture: what a flow's dynamic shift depends on
  double shift = 0;            // of flow matching, instead of what the config says; 0: as it says
  bool flow_from_one = false;  // sigmas from 1 to 1 / steps before the shift, as FLUX's pipelines
};

// Reads scheduler_config.json exactly as diffusers' class does, or, for a named sampler, as that
// class's from_config does. Throws kUnsupported for classes and values that we lack, named.
std::unique_ptr<Scheduler> MakeScheduler(const Config& config, const SamplerChoice& choice);
std::span<const std::string_view> SamplerNames();
std::span<const std::string_view> ScheduleNames();

}  // namespace fovea
