// From latents to tokens and back: patches with position embeddings, and patches as pixels.
//
// Positions are a table in the checkpoint whose middle is taken (SD3), or sines of the row and the
// column, stretched to the trained size (DiT).
#pragma once

#include "models/weight_store.h"
#include "tensor/context.h"
#include "tensor/memory/host_tensor.h"

namespace fovea {

struct PatchEmbed {
  Weight proj;
  int patch = 2;
  int base_size = 16;  // tokens a side of the trained size: what sines are stretched to
  int max_size = 0;    // tokens a side of the table; 0: sines
  Tensor table;        // (max_size, max_size, c) f32, or empty

  // `channels`: of a token.
  static PatchEmbed Load(const WeightScope& scope, int64_t in_channels, int64_t channels, int patch,
                         int sample_size, int max_size);
  // Tokens of a latent side; a rest that fills no patch is left out.
  int64_t Tokens(int64_t side) const { return side / patch; }
  // latent (n,h,w,in) activations -> out (n, h / patch * w / patch, c). Throws kUsage if there is
  // no patch, or more tokens a side than the table has.
  void Forward(Context& ctx, const Tensor& latent, const Tensor& out) const;
};

// Sines and cosines of the column, then of the row, of each token of the grid: (h*w,c) in double,
// rounded to f32. c is a multiple of 4.
HostTensor SinePositions(int64_t h, int64_t w, int64_t c, int base_size);

// tokens (n, h*w, patch*patch*c), the pixel's row first, then its column, then channels -> out
// (n, h*patch, w*patch, c) f32.
void Unpatchify(Context& ctx, const Tensor& tokens, int64_t h, int64_t w, int patch,
                const Tensor& out);

}  // namespace fovea
