#include "models/dit/patch_embed.h"

#include <cmath>
#include <string>

#include "tensor/ops/conv/conv2d.h"
#include "tensor/ops/elementwise.h"

namespace fovea {
namespace {

// Sines, then cosines, of `position` at half / 2 frequencies.
void FillSines(double position, int64_t half, float* out) {
  const int64_t count = half / 2;
  for (int64_t k = 0; k < count; ++k) {
    const double exponent = static_cast<double>(k) / (static_cast<double>(half) / 2.0);
    const double angle = position * (1.0 / std::pow(10000.0, exponent));
    out[k] = static_cast<float>(std::sin(angle));
    out[count + k] = static_cast<float>(std::cos(angle));
  }
}

}  // namespace

HostTensor SinePositions(int64_t h, int64_t w, int64_t c, int base_size) {
  ENSURE(c % 4 == 0);
  const int64_t half = c / 2;
  const auto axis = [&](int64_t count) {
    HostTensor rows({count, half}, DType::kF32);
    // Positions are rounded to f32, as the reference has them.
    const float step = static_cast<float>(static_cast<double>(count) / base_size);
    for (int64_t i = 0; i < count; ++i) {
      const float position = static_cast<float>(i) / step;
      FillSines(static_cast<double>(position), half, rows.Data<float>() + i * half);
    }
    return rows;
  };
  const HostTensor rows = axis(h), columns = axis(w);
  HostTensor out({h * w, c}, DType::kF32);
  float* to = out.Data<float>();
  for (int64_t y = 0; y < h; ++y) {
    for (int64_t x = 0; x < w; ++x, to += c) {
      std::copy_n(columns.Data<float>() + x * half, half, to);
      std::copy_n(rows.Data<float>() + y * half, half, to + half);
    }
  }
  return out;
}

PatchEmbed PatchEmbed::Load(const WeightScope& scope, int64_t in_channels, int64_t channels,
                            int patch, int sample_size, int max_size) {
  PatchEmbed embed;
  embed.proj = scope.Conv2d("proj", in_channels, channels, patch);
  embed.patch = patch;
  embed.base_size = sample_size / patch;
  embed.max_size = max_size;
  if (max_size > 0) {
    const int64_t side = max_size;
    embed.table =
        scope.F32("pos_embed", {1, side * side, channels}).Reshape({side, side, channels});
  }
  return embed;
}

void PatchEmbed::Forward(Context& ctx, const Tensor& latent, const Tensor& out) const {
  ArenaScope scope(ctx.arena);
  const int64_t n = latent.shape[0], c = out.shape[2];
  const int64_t h = Tokens(latent.shape[1]), w = Tokens(latent.shape[2]);
  const std::string size = std::to_string(latent.shape[1]) + "x" + std::to_string(latent.shape[2]);
  if (h == 0 || w == 0) {
    throw Error(ErrorCode::kUsage, "a latent of " + size +
                                       " is smaller than this model's patches of " +
                                       std::to_string(patch));
  }
  if (max_size > 0 && (h > max_size || w > max_size)) {
    throw Error(ErrorCode::kUsage, "a latent of " + size +
                                       " is larger than this model's positions, " +
                                       std::to_string(max_size * patch) + " a side");
  }
  Conv2dParams params;
  params.stride = patch;
  ops::Conv2d(ctx, latent, proj, params, out.Reshape({n, h, w, c}));
  const Tensor positions = ctx.New({h, w, c});
  if (max_size > 0) {
    const int64_t top = (max_size - h) / 2, left = (max_size - w) / 2;
    ops::Copy(ctx, table.Slice(0, top, h).Slice(1, left, w), positions);
  } else {
    ops::Copy(ctx, SinePositions(h, w, c, base_size).View().Reshape({h, w, c}), positions);
  }
  const Tensor row = positions.Reshape({1, h * w, c});
  for (int64_t i = 0; i < n; ++i) {
    const Tensor sample = out.Slice(0, i, 1);
    ops::Add(ctx, sample, row, sample);
  }
}

void Unpatchify(Context& ctx, const Tensor& tokens, int64_t h, int64_t w, int patch,
                const Tensor& out) {
  const int64_t n = tokens.shape[0], c = out.shape[3];
  ENSURE(out.shape == (Shape{n, h * patch, w * patch, c}), out.shape.ToString());
  const Tensor pixels = tokens.Reshape({n * h, w, patch, patch, c}).Permute({0, 2, 1, 3, 4});
  ops::Copy(ctx, pixels, out.Reshape({n * h, patch, w, patch, c}));
}

}  // namespace fovea
