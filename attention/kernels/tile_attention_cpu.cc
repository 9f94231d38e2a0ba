// Tile attention over all heads of a batch: scratch, shares of the threads, the kernel's choice.
#include "attention/kernels/tile_attention.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "attention/kernels/element.h"
#include "attention/kernels/tile_job.h"
#include "tensor/threads.h"

namespace fovea {
namespace {

// Mean of v over all keys for each batch and head whose mix asks for it: (b,heads,d).
void MeanValues(const AttentionIo& io, const Tensor& mean) {
  const int64_t heads = io.v.shape[2], kv = io.v.shape[1], d = io.v.shape[3];
  const bool bf16 = io.v.dtype == DType::kBF16;
  ParallelFor(io.v.shape[0] * heads, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> sum(static_cast<size_t>(d));
    for (int64_t i = begin; i < end; ++i) {
      if (io.mix[static_cast<size_t>(i)].e == 0) continue;
      std::fill(sum.begin(), sum.end(), 0.0);
      const int64_t offset = i / heads * io.v.stride[0] + i % heads * io.v.stride[2];
      for (int64_t j = 0; j < kv; ++j) {
        for (int64_t c = 0; c < d; ++c) {
          const int64_t at = offset + j * io.v.stride[1] + c;
          sum[static_cast<size_t>(c)] += LoadElement(io.v.data, at, bf16);
        }
      }
      for (int64_t c = 0; c < d; ++c) {
        mean.Data<float>()[i * d + c] =
            static_cast<float>(sum[static_cast<size_t>(c)] / static_cast<double>(kv));
      }
    }
  });
}

HeadView View(const AttentionIo& io, int64_t b, int64_t h, float scale, const Tensor& mean) {
  const int64_t element = static_cast<int64_t>(SizeOf(io.q.dtype));
  const auto at = [&](const Tensor& x) {
    return x.Empty()
               ? nullptr
               : static_cast<std::byte*>(x.data) + (b * x.stride[0] + h * x.stride[2]) * element;
  };
  HeadView head{};
  head.q = at(io.q), head.k = at(io.k), head.v = at(io.v), head.out = at(io.out);
  head.extra_k = at(io.extra_k), head.extra_v = at(io.extra_v);
  head.q_stride = io.q.stride[1], head.k_stride = io.k.stride[1], head.v_stride = io.v.stride[1];
  head.out_stride = io.out.stride[1];
  head.extra_k_stride = io.extra_k.stride[1], head.extra_v_stride = io.extra_v.stride[1];
  head.kv = io.k.shape[1];
  head.d = io.q.shape[3];
  head.bf16 = io.q.dtype == DType::kBF16;
  head.scale_log2 = scale * 1.44269504088896341f;
  const int64_t heads = io.q.shape[2];
  if (!io.lse.Empty())
    head.lse = io.lse.Data<float>() + b * io.lse.stride[0] + h * io.lse.stride[1];
  if (!io.mix.empty()) {
    head.mix = io.mix[static_cast<size_t>(b * heads + h)];
    head.mean_v = mean.Data<float>() + (b * heads + h) * head.d;
  }
  return head;
}

constexpr int64_t kChunksPerThread = 8;  // of work, so that threads finish together

// At most this many query tiles share a packed key tile: their Qᵀ and Oᵀ must stay in the second
// cache, and past four the packing costs too little to matter.
int GroupLimit(int64_t d) {
  return d <= 128 ? 4 : d <= 256 ? 2 : 1;
}

// Runs of query tiles with the same visits, shorter where threads would otherwise run dry.
std::vector<TileGroup> Groups(const TileMap& map, int64_t heads, int64_t d) {
  const int64_t tiles = static_cast<int64_t>(map.rows.size());
  const int64_t limit =
      std::clamp<int64_t>(tiles * heads / (kChunksPerThread * NumThreads()), 1, GroupLimit(d));
  std::vector<TileGroup> groups;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const TileMap::Row& row = map.rows[static_cast<size_t>(tile)];
    if (!groups.empty() && groups.back().count < limit) {
      const TileMap::Row& first = map.rows[static_cast<size_t>(groups.back().first)];
      if (row.begin == first.begin && row.end == first.end) {
        ++groups.back().count;
        continue;
      }
    }
    groups.push_back({static_cast<int32_t>(tile), 1});
  }
  return groups;
}

}  // namespace

void TileAttentionCpu(Context& ctx, const TileMap& map, float scale, const AttentionIo& io) {
  const int64_t batch = io.q.shape[0], heads = io.q.shape[2], d = io.q.shape[3];
  const int64_t extra = io.extra_k.Empty() ? 0 : io.extra_k.shape[1];
  ENSURE(static_cast<int64_t>(map.q.tokens.size()) == io.q.shape[1]);
  ENSURE(static_cast<int64_t>(map.kv.tokens.size()) == io.k.shape[1] + extra);
  ENSURE(io.mix.empty() || static_cast<int64_t>(io.mix.size()) == batch * heads);
  ENSURE(scale > 0);
  ctx.backend.CountFlops(4.0 * static_cast<double>(batch * heads * d) *
                         static_cast<double>(map.visited_pairs));
  ArenaScope scope(ctx.arena);
  const int64_t threads = NumThreads();
  const int limit = GroupLimit(d);
  const Tensor scratch = ctx.arena.New({threads, TileScratch::Floats(d, limit)}, DType::kF32);
  const Tensor mean = io.mix.empty() ? Tensor{} : ctx.arena.New({batch, heads, d}, DType::kF32);
  if (ctx.backend.IsPlanning()) return;

  if (!io.mix.empty()) MeanValues(io, mean);
  TileKernel kernel = io.q.dtype == DType::kBF16 ? Bf16TileKernel() : nullptr;
  if (kernel == nullptr) kernel = F32TileKernel();
  const std::vector<TileGroup> groups = Groups(map, batch * heads, d);
  const int64_t per_head = static_cast<int64_t>(groups.size()), jobs = batch * heads * per_head;
  const auto view = [&](int64_t job) {
    return View(io, job / per_head / heads, job / per_head % heads, scale, mean);
  };
  const auto group = [&](int64_t job) { return groups[static_cast<size_t>(job % per_head)]; };
  // Each query's result is the same whoever computes it, so threads take jobs as they come: a few
  // at once, since the next one's queries can then be fetched early, fewer towards the end.
  std::vector<int64_t> chunks;
  for (int64_t job = 0; job < jobs;) {
    chunks.push_back(job);
    job += std::clamp<int64_t>((jobs - job) / (kChunksPerThread * threads), 1, 16);
  }
  const size_t count = chunks.size();
  chunks.push_back(jobs);
  std::atomic<size_t> next{0};
  ParallelFor(std::min(threads, jobs), 1, [&](int64_t first, int64_t last) {
    for (int64_t thread = first; thread < last; ++thread) {
      const TileScratch s(scratch.Data<float>() + thread * scratch.stride[0], d, limit);
      for (size_t chunk = next.fetch_add(1); chunk < count; chunk = next.fetch_add(1)) {
        const int64_t end = chunks[chunk + 1];
        HeadView head = view(chunks[chunk]);
        for (int64_t job = chunks[chunk]; job < end; ++job) {
          if (job + 1 == end) {
            kernel(head, map, group(job), {}, s);
            break;
          }
          const HeadView next_head = view(job + 1);
          kernel(head, map, group(job), {&next_head, group(job + 1)}, s);
          head = next_head;
        }
      }
    }
  });
}

}  // namespace fovea
