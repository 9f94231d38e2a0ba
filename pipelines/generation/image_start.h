// Runs that start from pictures: image to image, and inpainting with models of 4 and of 9 channels,
// with diffusers' numbers and its order of draws. docs/image_to_image.md tells how they are used.
#pragma once

#include <memory>
#include <span>

#include "pipelines/generation/start_latents.h"
#include "pipelines/pictures/image.h"
#include "pipelines/settings/settings.h"

namespace fovea {

// A picture's latents with noise of the first remaining step. `images` are one for all samples or
// one for each, of any size, and outlive the start; in a dry run only their number counts. `noise`:
// instead of drawn unit noise, or null.
std::unique_ptr<Start> StartFromPictures(const GenerateSettings& settings,
                                         std::span<const Image> images, const HostTensor* noise);

// The white part of `mask` is made anew. Models with extra channels are shown the mask and the rest
// of the picture; for others, after every call, the latents outside of the mask are set to those of
// the picture with as much noise as the next call expects. At strength 1 the first latents are
// noise alone.
std::unique_ptr<Start> StartInpainting(const GenerateSettings& settings, const Image& image,
                                       const Image& mask, const HostTensor* noise);

}  // namespace fovea
