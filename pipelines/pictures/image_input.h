// Given pictures and masks as the networks see them, with the numbers of diffusers'
// VaeImageProcessor; and the untouched part of a picture put back after inpainting.
#pragma once

#include <cstdint>
#include <vector>

#include "pipelines/pictures/image.h"
#include "tensor/memory/host_tensor.h"

namespace fovea {

// Which pixels are repainted: 1 where the mask picture is at least half white, else 0.
struct PixelMask {
  int width = 0, height = 0;
  std::vector<uint8_t> repaint;  // row-major
};

// The mask picture resized to width x height as any picture, then grey (ITU-R 601), then cut at
// one half.
PixelMask MakePixelMask(const Image& mask, int width, int height);

// 8 bits to [-1, 1]: (1,h,w,3) f32, what AutoencoderKL::Encode takes.
HostTensor ToModelInput(const Image& image);
// The same with everything that is repainted at 0, mid grey: what 9-channel models are shown.
HostTensor ToMaskedInput(const Image& image, const PixelMask& mask);
// (1,1,h,w) f32 of 0 and 1: of each cell of factor x factor pixels the upper left one.
HostTensor ToLatentMask(const PixelMask& mask, int factor);

// Puts `original` back into `picture` outside of the mask. Within `feather` pixels of the repainted
// part both fade into each other; `picture` alone counts inside of it. Sizes are equal.
void RestoreUnmasked(const Image& original, const PixelMask& mask, int feather, Image* picture);

}  // namespace fovea
