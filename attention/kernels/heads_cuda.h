// The GPU's side of the smaller kernels: what kernels/<name>.cc choose where ctx.backend is CUDA's.
// Contracts stand at the names without "Cuda".
#pragma once

#include <span>

#include "attention/kernels/head_mix.h"
#include "attention/kernels/tile/tile_params.h"
#include "tensor/context.h"

namespace fovea {

void BiasedAttentionCuda(Context& ctx, const Tensor& q, const Tensor& k, const Tensor& v,
                         float scale, const Tensor& bias, const Tensor& out);
void ApplyHeadMixCuda(Context& ctx, std::span<const HeadMix> mix, const Tensor& v,
                      const Tensor& out);
void BlendHeadsCuda(Context& ctx, const Tensor& x, float share, const RowRange& rows,
                    const Tensor& out);

// Mixes as the kernels take them, in device memory.
const cuda::MixRow* UploadMix(Context& ctx, std::span<const HeadMix> mix, int64_t tokens);
cuda::HeadStrides HeadStridesOf(const Tensor& t);

}  // namespace fovea
