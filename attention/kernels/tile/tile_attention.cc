// Tile attention on any device: what all check and count, and whose kernel runs.
#include "attention/kernels/tile/tile_attention.h"

#include "attention/kernels/cpu_kernels.h"
#include "attention/kernels/tile/tile_attention_cuda.h"

namespace fovea {
namespace {

// Samples and heads that have their softmax evaluated.
int64_t Evaluated(const TileCall& call) {
  const int64_t all = call.q.shape[0] * call.q.shape[2];
  int64_t left_out = 0;
  for (const HeadMix& mix : call.mix) {
    left_out += mix.a == 0 && mix.rows.begin <= 0 && mix.rows.end >= call.q.shape[1];
  }
  return all - left_out;
}

void Run(Context& ctx, std::span<const TileMap* const> maps, double pairs, float scale,
         const TileCall& call) {
  const int64_t batch = call.q.shape[0], heads = call.q.shape[2], d = call.q.shape[3];
  const int64_t extra = call.extra_k.Empty() ? 0 : call.extra_k.shape[1];
  for (const TileMap* map : maps) {
    ENSURE(static_cast<int64_t>(map->q.tokens.size()) == call.q.shape[1]);
    ENSURE(static_cast<int64_t>(map->kv.tokens.size()) == call.k.shape[1] + extra);
  }
  ENSURE(call.extra_terms.empty() || static_cast<int64_t>(call.extra_terms.size()) == extra);
  ENSURE(call.mix.empty() || static_cast<int64_t>(call.mix.size()) == batch * heads);
  ENSURE(call.mix.empty() || call.v.shape == call.q.shape);
  ENSURE(scale > 0);
  // With a map for each head, `pairs` is their mean.
  ctx.backend.CountFlops(4.0 * static_cast<double>(Evaluated(call) * d) * pairs);
  switch (ctx.backend.Kind()) {
    case DeviceKind::kCpu:
      return TileAttentionCpu(ctx, maps, scale, call);
    case DeviceKind::kCuda:
      return TileAttentionCuda(ctx, maps, scale, call);
  }
}

}  // namespace

void TileAttention(Context& ctx, const TileMap& map, float scale, const TileCall& call) {
  const TileMap* one = &map;
  Run(ctx, {&one, 1}, static_cast<double>(map.visited_pairs), scale, call);
}

void TileAttention(Context& ctx, const TileMaps& maps, float scale, const TileCall& call) {
  const auto count = static_cast<size_t>(call.q.shape[0] * call.q.shape[2]);
  std::vector<const TileMap*> each;
  for (const auto& map : maps.each) each.push_back(map.get());
  ENSURE(each.size() == 1 || each.size() == count || (each.empty() && ctx.backend.IsPlanning()));
  Run(ctx, each, maps.MeanVisitedPairs(), scale, call);
}

}  // namespace fovea
