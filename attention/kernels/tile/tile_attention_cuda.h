// Tile attention on a GPU: the host's side.
#pragma once

#include <span>

#include "attention/kernels/tile/tile_attention.h"

namespace fovea {

// As TileAttentionCpu. Tables of the maps are on the device once a content, whoever asks for them.
// f32 is computed in f32; 16-bit types by the tensor cores up to d = 128, beyond in f32 arithmetic;
// d up to 512.
void TileAttentionCuda(Context& ctx, std::span<const TileMap* const> maps, float scale,
                       const TileCall& call);

}  // namespace fovea
