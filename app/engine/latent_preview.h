// What latents look like, without the VAE: a linear map from their channels to colours.
//
// A latent pixel's colour is close to an affine function of its channels. The function is fitted by
// least squares to what this model's own VAE made of latents: at first of smooth random ones, later
// of every finished picture. Costs nothing beside a step; its limit is the latent's resolution.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "pipelines/pictures/image.h"
#include "tensor/shape.h"

namespace fovea {

class LatentPreview {
 public:
  explicit LatentPreview(int channels);

  int Channels() const { return channels_; }
  bool Fitted() const { return !map_.empty(); }
  // latents (1,c,h,w), NCHW, of which `picture` was decoded. Later pairs count as much as all
  // earlier ones of `memory` pixels.
  void Learn(const Shape& shape, std::span<const float> latents, const Image& picture);
  // The picture i of latents (n,c,h,w): one pixel a latent pixel. Empty before it was fitted.
  Image Draw(const Shape& shape, std::span<const float> latents, int i = 0) const;

  // Only the map, for the store; an unreadable text leaves it unfitted.
  std::string Text() const;
  void Read(const std::string& text);

 private:
  void Solve();
  int channels_ = 4;
  std::vector<double> map_;     // (c+1, 3): the last row is the constant
  std::vector<double> normal_;  // (c+1, c+1): sums of products of channels
  std::vector<double> right_;   // (c+1, 3): of channels and colours
  double weight_ = 0;           // pixels that the sums stand for
};

}  // namespace fovea
