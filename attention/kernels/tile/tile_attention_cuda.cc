#include "attention/kernels/tile/tile_attention_cuda.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <numbers>

#include "attention/kernels/heads_cuda.h"
#include "attention/kernels/no_kernel.h"
#include "attention/kernels/tile/tile_params.h"
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/rows.h"

namespace fovea {
namespace {

using cuda::CeilDiv;
using cuda::Typed;

static_assert(cuda::kTile == kTileTokens);

// Arrays one behind the other, each at a multiple of 16 bytes.
class TableBytes {
 public:
  template <class T>
  size_t Add(const std::vector<T>& values) {
    bytes_.resize((bytes_.size() + 15) / 16 * 16);
    const size_t at = bytes_.size();
    bytes_.resize(at + values.size() * sizeof(T));
    if (!values.empty()) std::memcpy(bytes_.data() + at, values.data(), values.size() * sizeof(T));
    return at;
  }
  cuda::Address Upload(cuda::TableCache& tables) { return tables.Upload(std::move(bytes_)); }

 private:
  std::vector<std::byte> bytes_;
};

int32_t Small(int64_t n) {
  ENSURE(n >= 0 && n <= INT32_MAX);
  return static_cast<int32_t>(n);
}

std::vector<cuda::TilePair> Pairs(const TokenTiles& tiles) {
  std::vector<cuda::TilePair> pairs;
  for (const TokenTile& tile : tiles.tiles) pairs.push_back({tile.begin, tile.count});
  return pairs;
}

// A word of keys for each query: the map has a word of queries for each key.
std::vector<uint64_t> TurnedMasks(const TileMap& map) {
  std::vector<uint64_t> turned(map.masks.size() * kTileTokens, 0);
  for (size_t m = 0; m < map.masks.size(); ++m) {
    for (size_t key = 0; key < kTileTokens; ++key) {
      for (uint64_t left = map.masks[m][key]; left; left &= left - 1) {
        turned[m * kTileTokens + static_cast<size_t>(__builtin_ctzll(left))] |= uint64_t{1} << key;
      }
    }
  }
  return turned;
}

cuda::MapTable Upload(const TileMap& map, cuda::TableCache& tables) {
  std::vector<cuda::TilePair> rows, visits;
  for (const TileMap::Row& row : map.rows) rows.push_back({Small(row.begin), Small(row.end)});
  for (const TileMap::Visit& visit : map.visits) visits.push_back({visit.tile, visit.mask});
  TableBytes bytes;
  const size_t places[] = {bytes.Add(rows),
                           bytes.Add(visits),
                           bytes.Add(Pairs(map.q)),
                           bytes.Add(Pairs(map.kv)),
                           bytes.Add(map.q.tokens),
                           bytes.Add(map.kv.tokens),
                           bytes.Add(TurnedMasks(map))};
  const cuda::Address base = bytes.Upload(tables);
  const auto at = [&](size_t which) {
    return reinterpret_cast<const void*>(base + static_cast<cuda::Address>(places[which]));
  };
  return {static_cast<const cuda::TilePair*>(at(0)), static_cast<const cuda::TilePair*>(at(1)),
          static_cast<const cuda::TilePair*>(at(2)), static_cast<const cuda::TilePair*>(at(3)),
          static_cast<const int32_t*>(at(4)),        static_cast<const int32_t*>(at(5)),
          static_cast<const uint64_t*>(at(6)),       Small(static_cast<int64_t>(map.rows.size()))};
}

template <class T>
const T* OnDevice(const std::vector<T>& values, cuda::TableCache& tables) {
  TableBytes bytes;
  bytes.Add(values);
  return reinterpret_cast<const T*>(bytes.Upload(tables));
}

struct Choice {
  const char* image;
  std::string kernel;
  int threads;
  size_t shared;
};

// Rows that cp.async can take: 16 bytes at a time.
bool InChunks(const Tensor& t) {
  if (t.Empty()) return true;
  return reinterpret_cast<uintptr_t>(t.data) % 16 == 0 && t.stride[0] % 8 == 0 &&
         t.stride[1] % 8 == 0 && t.stride[2] % 8 == 0;
}

Choice Choose(const TileCall& call) {
  const DType dtype = call.q.dtype;
  const int64_t d = call.q.shape[3];
  bool core = dtype != DType::kF32 && d <= 128 && d % 8 == 0;
  for (const Tensor* t : {&call.q, &call.k, &call.v, &call.extra_k, &call.extra_v}) {
    core = core && InChunks(*t);
  }
  if (core) {
    const int64_t head = d <= 32 ? 32 : CeilDiv(d, 32) * 32;
    return {"tile_core", "tile_core_" + std::to_string(head), 128,
            static_cast<size_t>(5 * kTileTokens * head) * SizeOf(dtype)};
  }
  const int columns = dtype != DType::kF32 || d > 128 ? 32 : d > 64 ? 8 : 4;
  return {"tile_plain", "tile_plain_" + std::to_string(columns), 256, 0};
}

}  // namespace

void TileAttentionCuda(Context& ctx, std::span<const TileMap* const> maps, float scale,
                       const TileCall& call) {
  const int64_t batch = call.q.shape[0], heads = call.q.shape[2], d = call.q.shape[3];
  if (d > 512) NoKernel(ctx, "tile attention with heads of " + std::to_string(d));
  ArenaScope scope(ctx.arena);
  const Tensor mean = call.mix.empty() ? Tensor{} : ctx.arena.New({batch, heads, d}, DType::kF32);
  if (ctx.backend.IsPlanning() || call.out.NumElements() == 0) return;
  const auto [device, tables] = AccessOf(ctx.backend);
  const DType dtype = call.q.dtype;

  cuda::TileAttentionParams p{};
  p.q = call.q.data, p.k = call.k.data, p.v = call.v.data, p.out = call.out.data;
  p.q_at = HeadStridesOf(call.q), p.k_at = HeadStridesOf(call.k);
  p.v_at = HeadStridesOf(call.v), p.out_at = HeadStridesOf(call.out);
  p.kv = call.k.shape[1];
  if (!call.extra_k.Empty()) {
    p.extra_k = call.extra_k.data, p.extra_v = call.extra_v.data;
    p.extra_k_at = HeadStridesOf(call.extra_k), p.extra_v_at = HeadStridesOf(call.extra_v);
  }
  if (!call.lse.Empty()) {
    ENSURE(call.lse.stride[2] == 1 || call.lse.shape[2] == 1);
    p.lse = static_cast<float*>(call.lse.data);
    p.lse_at = {call.lse.stride[0], 1, call.lse.stride[1]};
  }
  p.d = static_cast<int>(d);
  p.heads = static_cast<int>(heads);
  p.scale_log2 = scale * std::numbers::log2e_v<float>;

  std::vector<cuda::MapTable> uploaded;
  int64_t rows = 0;
  for (const TileMap* map : maps) {
    uploaded.push_back(Upload(*map, tables));
    rows = std::max(rows, static_cast<int64_t>(map->rows.size()));
  }
  p.maps = OnDevice(uploaded, tables);
  p.one_map = maps.size() == 1;
  if (!call.extra_terms.empty()) {
    p.extra_terms =
        OnDevice(std::vector<float>(call.extra_terms.begin(), call.extra_terms.end()), tables);
  }
  if (!call.mix.empty()) {
    p.mix = UploadMix(ctx, call.mix, call.q.shape[1]);
    p.mean_v = static_cast<const float*>(mean.data);
    const cuda::MeanValuesParams means{p.v, p.v_at,  call.v.shape[1],
                                       p.d, p.heads, static_cast<float*>(mean.data)};
    device.Launch("tile_plain", Typed("mean_values", dtype), {CeilDiv(d, 32), heads, batch}, 256,
                  means);
  }
  const Choice choice = Choose(call);
  device.Launch(choice.image, Typed(choice.kernel, dtype), {rows, heads, batch}, choice.threads, p,
                choice.shared);
}

}  // namespace fovea
