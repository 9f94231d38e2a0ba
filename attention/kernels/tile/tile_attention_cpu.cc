// Tile attention over all heads of a batch: scratch, shares of the threads, the kernel's choice.
#include <algorithm>
#include <atomic>
#include <vector>

#include "attention/kernels/cpu_kernels.h"
#include "attention/kernels/element.h"
#include "attention/kernels/tile/tile_attention.h"
#include "attention/kernels/tile/tile_job.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

// Mean of the values over all their rows for each sample and head whose mix asks for it:
// (b,heads,d).
void MeanValues(const TileCall& call, const Tensor& mean) {
  const Tensor& v = call.v;
  const int64_t heads = v.shape[2], rows = v.shape[1], d = v.shape[3];
  const bool bf16 = v.dtype == DType::kBF16;
  ParallelFor(v.shape[0] * heads, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> sum(static_cast<size_t>(d));
    for (int64_t i = begin; i < end; ++i) {
      if (call.mix[static_cast<size_t>(i)].e == 0) continue;
      std::fill(sum.begin(), sum.end(), 0.0);
      const int64_t offset = i / heads * v.stride[0] + i % heads * v.stride[2];
      for (int64_t j = 0; j < rows; ++j) {
        for (int64_t c = 0; c < d; ++c) {
          sum[static_cast<size_t>(c)] += LoadElement(v.data, offset + j * v.stride[1] + c, bf16);
        }
      }
      for (int64_t c = 0; c < d; ++c) {
        mean.Data<float>()[i * d + c] =
            static_cast<float>(sum[static_cast<size_t>(c)] / static_cast<double>(rows));
      }
    }
  });
}

HeadView View(const TileCall& call, int64_t index, float scale, const Tensor& mean) {
  const int64_t element = static_cast<int64_t>(SizeOf(call.q.dtype));
  const int64_t heads = call.q.shape[2], b = index / heads, h = index % heads;
  const auto at = [&](const Tensor& x) {
    return x.Empty()
               ? nullptr
               : static_cast<std::byte*>(x.data) + (b * x.stride[0] + h * x.stride[2]) * element;
  };
  HeadView head{};
  head.q = at(call.q), head.k = at(call.k), head.v = at(call.v), head.out = at(call.out);
  head.extra_k = at(call.extra_k), head.extra_v = at(call.extra_v);
  head.q_stride = call.q.stride[1], head.k_stride = call.k.stride[1];
  head.v_stride = call.v.stride[1], head.out_stride = call.out.stride[1];
  head.extra_k_stride = call.extra_k.stride[1], head.extra_v_stride = call.extra_v.stride[1];
  head.extra_terms = call.extra_terms.empty() ? nullptr : call.extra_terms.data();
  head.kv = call.k.shape[1];
  head.d = call.q.shape[3];
  head.bf16 = call.q.dtype == DType::kBF16;
  head.scale_log2 = scale * 1.44269504088896341f;
  if (!call.lse.Empty())
    head.lse = call.lse.Data<float>() + b * call.lse.stride[0] + h * call.lse.stride[1];
  if (!call.mix.empty()) {
    head.mix = call.mix[static_cast<size_t>(index)];
    head.mean_v = mean.Data<float>() + index * head.d;
  }
  return head;
}

constexpr int64_t kChunksPerThread = 8;  // of work, so that threads finish together

// At most this many query tiles share a packed key tile: their Qᵀ and Oᵀ must stay in the second
// cache, and past four the packing costs too little to matter.
int GroupLimit(int64_t d) {
  return d <= 128 ? 4 : d <= 256 ? 2 : 1;
}

// Runs of query tiles with the same visits, at most `limit` long.
std::vector<TileGroup> Groups(const TileMap& map, int64_t limit) {
  std::vector<TileGroup> groups;
  for (size_t tile = 0; tile < map.rows.size(); ++tile) {
    const TileMap::Row& row = map.rows[tile];
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

// The groups of all samples and heads, one after the other: a job is one group of one of them.
class Jobs {
 public:
  // `maps`: one for all of `heads`, or one for each.
  Jobs(std::span<const TileMap* const> maps, int64_t heads, int64_t d) : maps_(maps) {
    int64_t tiles = 0;
    for (int64_t i = 0; i < heads; ++i) tiles += static_cast<int64_t>(MapOf(i).rows.size());
    // Shorter runs where threads would otherwise run dry.
    const int64_t limit =
        std::clamp<int64_t>(tiles / (kChunksPerThread * NumThreads()), 1, GroupLimit(d));
    for (const TileMap* map : maps) groups_.push_back(Groups(*map, limit));
    for (int64_t i = 0; i < heads; ++i) {
      begin_.push_back(begin_.back() + static_cast<int64_t>(GroupsOf(i).size()));
    }
  }

  struct Job {
    int64_t head = 0;  // sample * heads + head
    int64_t group = 0;
  };
  int64_t Count() const { return begin_.back(); }
  Job At(int64_t job) const {
    const auto after = std::upper_bound(begin_.begin(), begin_.end(), job);
    const int64_t head = after - begin_.begin() - 1;
    return {head, job - begin_[static_cast<size_t>(head)]};
  }
  const TileMap& MapOf(int64_t head) const {
    return *maps_[maps_.size() == 1 ? 0 : static_cast<size_t>(head)];
  }
  TileGroup GroupOf(const Job& job) const {
    return GroupsOf(job.head)[static_cast<size_t>(job.group)];
  }

 private:
  const std::vector<TileGroup>& GroupsOf(int64_t head) const {
    return groups_[groups_.size() == 1 ? 0 : static_cast<size_t>(head)];
  }

  std::span<const TileMap* const> maps_;
  std::vector<std::vector<TileGroup>> groups_;  // of each map
  std::vector<int64_t> begin_{0};               // the first job of each head
};

}  // namespace

void TileAttentionCpu(Context& ctx, std::span<const TileMap* const> maps, float scale,
                      const TileCall& call) {
  const int64_t batch = call.q.shape[0], heads = call.q.shape[2], d = call.q.shape[3];
  ArenaScope scope(ctx.arena);
  const int64_t threads = NumThreads();
  const int limit = GroupLimit(d);
  const Tensor scratch = ctx.arena.New({threads, TileScratch::Floats(d, limit)}, DType::kF32);
  const Tensor mean = call.mix.empty() ? Tensor{} : ctx.arena.New({batch, heads, d}, DType::kF32);
  if (ctx.backend.IsPlanning()) return;

  if (!call.mix.empty()) MeanValues(call, mean);
  TileKernel kernel = call.q.dtype == DType::kBF16 ? Bf16TileKernel() : nullptr;
  if (kernel == nullptr) kernel = F32TileKernel();
  const Jobs work(maps, batch * heads, d);
  const int64_t jobs = work.Count();
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
        Jobs::Job own = work.At(chunks[chunk]);
        HeadView head = View(call, own.head, scale, mean);
        for (int64_t job = chunks[chunk]; job < end; ++job) {
          const TileMap& map = work.MapOf(own.head);
          if (job + 1 == end) {
            kernel(head, map, work.GroupOf(own), {}, s);
            break;
          }
          const Jobs::Job after = work.At(job + 1);
          const HeadView next_head = View(call, after.head, scale, mean);
          kernel(head, map, work.GroupOf(own),
                 {&next_head, &work.MapOf(after.head), work.GroupOf(after)}, s);
          head = next_head;
          own = after;
        }
      }
    }
  });
}

}  // namespace fovea
