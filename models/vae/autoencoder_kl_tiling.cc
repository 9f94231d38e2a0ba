// DecodeTiled and EncodeTiled: which tiles, how they overlap, how they are blended.
//
// A tile of t latent pixels begins every 3t/4; its result is faded into the last quarter of the
// (already blended) tile above, then of the one to the left, and gives its first 3/4 to the whole.
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

// How one side of a map is cut: into tiles of `tile` that begin every `step`; of each, `keep` of
// the output's pixels count, and `blend` of them fade into the next.
struct Cut {
  int64_t tile = 0, step = 0;   // of the input
  int64_t keep = 0, blend = 0;  // of the output
};

// In one row of tiles after the other, blended as they come: of the tiles above only their lower
// edges are kept, of the one to the left only its right edge. `run` makes the tile of the input's
// rows and columns from (y, x) on; `size` is how many pixels of the output so many inputs give.
template <class Size, class Run>
void RunTiles(Context& ctx, const Cut& cut, int64_t h, int64_t w, const Tensor& out, Size size,
              Run run) {
  const int64_t channels = out.shape[3], columns = (w + cut.step - 1) / cut.step;
  const int64_t whole = size(cut.tile);
  ArenaScope scope(ctx.arena);
  const auto map = [&](int64_t height, int64_t width) {
    return ctx.arena.New({1, height, width, channels}, DType::kF32);
  };
  const Tensor lower = map(cut.blend, columns * whole);
  const Tensor right = map(whole, cut.blend);
  for (int64_t y = 0, to_y = 0; y < h; y += cut.step, to_y += cut.keep) {
    for (int64_t x = 0, to_x = 0; x < w; x += cut.step, to_x += cut.keep) {
      if (ctx.Cancelled()) return;
      ArenaScope inner(ctx.arena);
      const int64_t rows = std::min(cut.tile, h - y), cols = std::min(cut.tile, w - x);
      const int64_t out_rows = size(rows), out_cols = size(cols);
      const Tensor tile = map(out_rows, out_cols);
      run(y, x, rows, cols, tile);
      const Tensor edge = lower.Slice(2, x / cut.step * whole, out_cols);
      const Tensor side = right.Slice(1, 0, out_rows);
      if (y > 0) BlendInto(ctx, Tail(edge, 1, std::min(cut.blend, out_rows)), 1, tile);
      if (x > 0) BlendInto(ctx, Tail(side, 2, std::min(cut.blend, out_cols)), 2, tile);
      if (y + cut.step < h) ops::Copy(ctx, Tail(tile, 1, cut.blend), edge);
      if (x + cut.step < w) ops::Copy(ctx, Tail(tile, 2, cut.blend), side);
      const int64_t kept_rows = std::min(cut.keep, out_rows);
      const int64_t kept_cols = std::min(cut.keep, out_cols);
      ops::Copy(ctx, tile.Slice(1, 0, kept_rows).Slice(2, 0, kept_cols),
                out.Slice(1, to_y, kept_rows).Slice(2, to_x, kept_cols));
    }
  }
}

void CheckTile(const VaeTiling& tiling) {
  if (tiling.tile >= 4 && tiling.tile % 4 == 0) return;
  throw Error(ErrorCode::kUsage, "a VAE tile must be a multiple of 4 latent pixels, not " +
                                     std::to_string(tiling.tile));
}

}  // namespace

VaeTiling DefaultTiling(const VaeTraits& traits) {
  return {std::max(4, traits.sample_size / traits.factor / 4 * 4)};
}

void DecodeTiled(Context& ctx, AttentionRuntime& attention, const AutoencoderKL& vae,
                 const VaeTiling& tiling, const Tensor& z, const Tensor& out) {
  TRACE_ZONE("vae.decode_tiled");
  CheckTile(tiling);
  if (z.shape[1] <= tiling.tile && z.shape[2] <= tiling.tile) {
    vae.Decode(ctx, attention, z, out);
    return;
  }
  const int64_t tile = tiling.tile, factor = vae.Traits().factor;
  const Cut cut = {tile, tile / 4 * 3, tile / 4 * 3 * factor, tile / 4 * factor};
  for (int64_t i = 0; i < z.shape[0]; ++i) {
    const Tensor latent = z.Slice(0, i, 1);
    RunTiles(
        ctx, cut, z.shape[1], z.shape[2], out.Slice(0, i, 1),
        [factor](int64_t side) { return side * factor; },
        [&](int64_t y, int64_t x, int64_t rows, int64_t cols, const Tensor& picture) {
          vae.Decode(ctx, attention, latent.Slice(1, y, rows).Slice(2, x, cols), picture);
        });
  }
}

void EncodeTiled(Context& ctx, AttentionRuntime& attention, const AutoencoderKL& vae,
                 const VaeTiling& tiling, const Tensor& x, const Tensor& mean,
                 const Tensor& logvar) {
  TRACE_ZONE("vae.encode_tiled");
  CheckTile(tiling);
  const int64_t latent = vae.Traits().latent_channels, factor = vae.Traits().factor;
  const int64_t tile = tiling.tile, h = x.shape[1], w = x.shape[2];
  if (h <= tile * factor && w <= tile * factor) {
    vae.Encode(ctx, attention, x, mean, logvar);
    return;
  }
  ENSURE(h % factor == 0 && w % factor == 0);
  const Cut cut = {tile * factor, tile / 4 * 3 * factor, tile / 4 * 3, tile / 4};
  for (int64_t i = 0; i < x.shape[0]; ++i) {
    if (ctx.Cancelled()) return;
    ArenaScope scope(ctx.arena);
    const Tensor picture = x.Slice(0, i, 1);
    // Mean and logarithms are blended alike, so they travel together.
    const Tensor moments = ctx.arena.New({1, h / factor, w / factor, 2 * latent}, DType::kF32);
    RunTiles(
        ctx, cut, h, w, moments, [factor](int64_t side) { return side / factor; },
        [&](int64_t y, int64_t from_x, int64_t rows, int64_t cols, const Tensor& out) {
          const Tensor part = ctx.arena.New({1, rows, cols, x.shape[3]}, DType::kF32);
          const Shape small = {1, rows / factor, cols / factor, latent};
          const Tensor part_mean = ctx.arena.New(small, DType::kF32);
          const Tensor part_logvar = ctx.arena.New(small, DType::kF32);
          ops::Copy(ctx, picture.Slice(1, y, rows).Slice(2, from_x, cols), part);
          vae.Encode(ctx, attention, part, part_mean, part_logvar);
          if (ctx.Cancelled()) return;
          ops::Copy(ctx, part_mean, out.Slice(3, 0, latent));
          ops::Copy(ctx, part_logvar, out.Slice(3, latent, latent));
        });
    if (ctx.Cancelled()) return;
    ops::Copy(ctx, moments.Slice(3, 0, latent), mean.Slice(0, i, 1));
    ops::Copy(ctx, moments.Slice(3, latent, latent), logvar.Slice(0, i, 1));
  }
}

}  // namespace fovea
