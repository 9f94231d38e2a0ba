// Given pictures as latents: encoded by the VAE, then drawn from what it says of them.
#pragma once

#include <functional>
#include <span>

#include "pipelines/generation/diffusion_model.h"
#include "pipelines/sampling/noise.h"
#include "tensor/context.h"
#include "tensor/memory/host_tensor.h"

namespace fovea {

// The normal distribution that a picture's latents are drawn from, before the scaling factor.
struct Posterior {
  HostTensor mean, deviation;  // (1,c,h,w) f32
};

// `picture` makes (1,H,W,3) f32 of the settings' size; it is not asked in a dry run, whose result
// is empty. Memory comes from ctx.arena and is given back. Asks ctx.Cancelled(); then the result is
// undefined.
Posterior EncodePicture(Context& ctx, const DiffusionModel& model, const GenerateSettings& settings,
                        const std::function<HostTensor()>& picture);

// (n,c,h,w) f32, as the network knows them: one draw of `noise` for the whole batch, each
// picture's part from its own source, as diffusers draws with a list of generators. One posterior
// serves all samples, or there is one for each.
HostTensor DrawLatents(const DiffusionModel& model, const GenerateSettings& settings,
                       std::span<const Posterior> posteriors, BatchNoise& noise);

}  // namespace fovea
