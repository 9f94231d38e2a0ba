// DecodeTiled: which tiles, how they overlap, how they are blended.
//
// A tile of t latent pixels begins every 3t/4; its picture is faded into the last quarter of the
// (already blended) tile above, then of the one to the left, and gives its first 3/4 to the result.
#include <algorithm>

#include "models/vae/autoencoder_kl.h"
#include "models/vae/pixelwise.h"
#include "tensor/ops/elementwise.h"
#include "tensor/trace.h"

namespace fovea {
namespace {

// The last `extent` rows (axis 1) or columns (axis 2).
Tensor Tail(const Tensor& x, int axis, int64_t extent) {
  return x.Slice(axis, x.shape[axis] - extent, extent);
}

void DecodeSample(Context& ctx, AttentionRuntime& attention, const AutoencoderKL& vae, int64_t tile,
                  const Tensor& z, const Tensor& out) {
  const int64_t factor = vae.Traits().factor, channels = out.shape[3];
  const int64_t step = tile / 4 * 3, blend = tile / 4 * factor, keep = step * factor;
  const int64_t h = z.shape[1], w = z.shape[2];
  const int64_t columns = (w + step - 1) / step;
  ArenaScope scope(ctx.arena);
  const auto image = [&](int64_t height, int64_t width) {
    return ctx.arena.New({1, height, width, channels}, DType::kF32);
  };
  // The lower edges of the row of tiles above, side by side, and the right edge of the last tile.
  const Tensor lower = image(blend, columns * tile * factor);
  const Tensor right = image(tile * factor, blend);
  for (int64_t y = 0; y < h; y += step) {
    for (int64_t x = 0; x < w; x += step) {
      if (ctx.Cancelled()) return;
      ArenaScope inner(ctx.arena);
      const int64_t rows = std::min(tile, h - y), cols = std::min(tile, w - x);
      const Tensor picture = image(rows * factor, cols * factor);
      vae.Decode(ctx, attention, z.Slice(1, y, rows).Slice(2, x, cols), picture);
      const Tensor edge = lower.Slice(2, x / step * tile * factor, cols * factor);
      if (y > 0) BlendInto(ctx, Tail(edge, 1, std::min(blend, rows * factor)), 1, picture);
      if (x > 0) {
        const Tensor side = right.Slice(1, 0, rows * factor);
        BlendInto(ctx, Tail(side, 2, std::min(blend, cols * factor)), 2, picture);
      }
      if (y + step < h) ops::Copy(ctx, Tail(picture, 1, blend), edge);
      if (x + step < w) ops::Copy(ctx, Tail(picture, 2, blend), right.Slice(1, 0, rows * factor));
      const int64_t kept_rows = std::min(keep, rows * factor);
      const int64_t kept_cols = std::min(keep, cols * factor);
      ops::Copy(ctx, picture.Slice(1, 0, kept_rows).Slice(2, 0, kept_cols),
                out.Slice(1, y * factor, kept_rows).Slice(2, x * factor, kept_cols));
    }
  }
}

}  // namespace

VaeTiling DefaultTiling(const VaeTraits& traits) {
  return {std::max(4, traits.sample_size / traits.factor / 4 * 4)};
}

void DecodeTiled(Context& ctx, AttentionRuntime& attention, const AutoencoderKL& vae,
                 const VaeTiling& tiling, const Tensor& z, const Tensor& out) {
  TRACE_ZONE("vae.decode_tiled");
  if (tiling.tile < 4 || tiling.tile % 4 != 0) {
    throw Error(ErrorCode::kUsage, "a VAE tile must be a multiple of 4 latent pixels, not " +
                                       std::to_string(tiling.tile));
  }
  if (z.shape[1] <= tiling.tile && z.shape[2] <= tiling.tile) {
    vae.Decode(ctx, attention, z, out);
    return;
  }
  for (int64_t i = 0; i < z.shape[0]; ++i) {
    DecodeSample(ctx, attention, vae, tiling.tile, z.Slice(0, i, 1), out.Slice(0, i, 1));
  }
}

}  // namespace fovea
