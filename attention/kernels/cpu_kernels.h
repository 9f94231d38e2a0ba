// The CPU's side of the kernels: what kernels/<name>.cc choose where ctx.backend is the CPU's.
// Contracts stand at the names without "Cpu". What has a Context also takes its scratch under the
// PlanningBackend; the others are called on real memory alone. Operators' matrices, which are on
// the host, call some of these, too.
#pragma once

#include <array>
#include <span>

#include "attention/kernels/head_mix.h"
#include "attention/tiles/token_layout.h"
#include "tensor/context.h"

namespace fovea {

struct TileCall;
struct TileMap;
struct TokenGroups;

// `maps`: one for all, or one for each sample and head; none under the PlanningBackend.
void TileAttentionCpu(Context& ctx, std::span<const TileMap* const> maps, float scale,
                      const TileCall& call);
void ApplyHeadMixCpu(std::span<const HeadMix> mix, const Tensor& v, const Tensor& out);
void BlendHeadsCpu(const Tensor& x, float share, const RowRange& rows, const Tensor& out);
void BlurQueriesCpu(const Tensor& q, const Segment& grid, double sigma, const Tensor& out);
void MeanQueryCpu(const Tensor& q, const Tensor& out);
void PoolCellsCpu(const Tensor& x, const Segment& grid, int cell, const float* weights,
                  const Tensor& out);
void AdaptivePoolCpu(const Tensor& x, const Segment& grid, const std::array<int, 3>& cells,
                     const Tensor& out);
void MergeTokensCpu(const Tensor& x, const TokenGroups& groups, const Tensor& out);
void UnmergeTokensCpu(const Tensor& x, const TokenGroups& groups, const Tensor& out);
void AddShareCpu(const Tensor& x, float share, const Tensor& out);
void BiasedAttentionCpu(const Tensor& q, const Tensor& k, const Tensor& v, float scale,
                        const Tensor& bias, const Tensor& out);
void AddDepthwiseCpu(const Tensor& v, const Segment& grid, const Tensor& weight, const Tensor& bias,
                     const Tensor& out);
void ResizeGridCpu(const Tensor& x, int height, int width, const Tensor& out, int out_height,
                   int out_width);

}  // namespace fovea
