#include "pipelines/bench/attention_bench.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <span>

#include "attention/random_bits.h"
#include "attention/tiles/tile_map.h"
#include "tensor/machine/cpu_info.h"
#include "tensor/machine/threads.h"
#include "tensor/memory/host_tensor.h"
#include "tensor/planning_backend.h"

namespace fovea {
namespace {

using Clock = std::chrono::steady_clock;

double Since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

constexpr int64_t kCopied = 128 << 20;  // bytes, at each end

// Bytes a second that all threads together copy, read and written ones counted, from memory that
// no cache holds. The best of a few runs, about 0.1 s in all.
double MeasureBandwidth() {
  std::vector<char> from(kCopied, 1), to(kCopied);
  double best = 0;
  for (int i = 0; i < 4; ++i) {
    const auto begin = Clock::now();
    ParallelFor(kCopied, 1 << 20, [&](int64_t first, int64_t last) {
      std::memcpy(to.data() + first, from.data() + first, static_cast<size_t>(last - first));
    });
    best = std::max(best, 2.0 * kCopied / Since(begin));
  }
  return best;
}

// Sums of four uniform numbers: near enough to normal ones of variance 1 for the time it takes.
void FillRandom(uint64_t seed, const Tensor& x) {
  ParallelFor(x.NumElements(), 1 << 14, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const uint64_t bits = SplitMix(SplitMix(seed) + static_cast<uint64_t>(i));
      float sum = 0;
      for (int part = 0; part < 4; ++part) {
        sum += static_cast<float>((bits >> (16 * part)) & 0xffff) / 65536.0f - 0.5f;
      }
      const float value = sum * 1.7320508f;
      if (x.dtype == DType::kF32) {
        x.Data<float>()[i] = value;
      } else {
        x.Data<BFloat16>()[i] = ToBFloat16(value);
      }
    }
  });
}

int64_t CountVisits(const TileMap& map) {
  int64_t visits = 0;
  for (const TileMap::Row& row : map.rows) visits += row.Length();
  return visits;
}

}  // namespace

std::string GridText(const std::array<int, 3>& grid) {
  const std::string sides = std::to_string(grid[1]) + "x" + std::to_string(grid[2]);
  return grid[0] == 1 ? sides : std::to_string(grid[0]) + "x" + sides;
}

struct AttentionBench::Case {
  AttentionTiming timing;
  AttentionSpec spec;
  std::unique_ptr<PreparedAttention> prepared;
  double flops = 0, ideal_flops = 0, bytes = 0;

  OperatorIo Tensors(Context& ctx) const {
    const Shape shape{1, TokenCount(spec.q), spec.heads, spec.head_dim};
    OperatorIo io;
    for (Tensor* x : {&io.q, &io.k, &io.v, &io.out}) *x = ctx.arena.New(shape, spec.dtype);
    return io;
  }
  void Plan(Backend& backend, size_t* arena_bytes);
};

void AttentionBench::Case::Plan(Backend& backend, size_t* arena_bytes) {
  const auto planning = MakePlanningBackend(backend);
  Arena arena(*planning, kPlanningArenaBytes);
  Context ctx{*planning, arena};
  OperatorIo io = Tensors(ctx);
  io.maps = prepared->ChooseTiles(ctx, io, nullptr);
  prepared->Run(ctx, io);
  *arena_bytes = std::max(*arena_bytes, arena.PeakBytes());
  flops = planning->TotalCost().flops;
  bytes = 4.0 * static_cast<double>(io.q.Bytes());

  constexpr double kTilePairs = double{kTileTokens} * kTileTokens;
  const double pair_flops = 4.0 * spec.heads * spec.head_dim;
  const double all = static_cast<double>(io.q.shape[1]) * static_cast<double>(io.q.shape[1]);
  const TileMap* map = prepared->Map();
  ideal_flops = map == nullptr ? flops : pair_flops * static_cast<double>(map->pairs);
  timing.density = ideal_flops / (pair_flops * all);
  timing.ideal_tiles = std::llround(std::ceil(ideal_flops / pair_flops / kTilePairs));
  timing.visited_tiles = map == nullptr ? timing.ideal_tiles : CountVisits(*map);
}

AttentionBench::AttentionBench(AttentionBenchOptions options, Backend& backend)
    : options_(std::move(options)), backend_(backend) {
  for (const std::array<int, 3>& grid : options_.grids) {
    for (const int dim : options_.dims) {
      for (const OperatorSpec& text : options_.operators) {
        const auto op = BindOperator(text);
        auto made = std::make_unique<Case>();
        AttentionSpec& spec = made->spec;
        spec.heads = options_.heads;
        spec.head_dim = dim;
        spec.dtype = options_.dtype;
        spec.q = {{SegmentKind::kGrid, 0, grid[0] * grid[1] * grid[2], grid}};
        spec.kv = spec.q;
        const Support support = op->Supports(spec);
        if (!support.ok) {
          throw Error(ErrorCode::kUnsupported,
                      op->Text() + " on a grid of " + GridText(grid) + ": " + support.reason);
        }
        made->prepared = op->Prepare(spec);
        made->timing.op = op->Text();
        made->timing.grid = grid;
        made->timing.heads = spec.heads;
        made->timing.dim = dim;
        made->timing.dtype = spec.dtype;
        made->timing.threads = NumThreads();
        made->Plan(backend, &arena_bytes_);
        cases_.push_back(std::move(made));
      }
    }
  }
}

AttentionBench::~AttentionBench() = default;

size_t AttentionBench::PeakBytes() const {
  return std::max(arena_bytes_, size_t{2} * kCopied);
}

std::vector<AttentionTiming> AttentionBench::Run(
    std::stop_token stop, const std::function<void(const AttentionTiming&)>& done) {
  const double bandwidth = MeasureBandwidth();
  double peak = MeasurePeakGflops(options_.dtype) * 1e9;
  Arena arena(backend_, arena_bytes_);
  Context ctx{backend_, arena};
  std::vector<AttentionTiming> timings;
  for (const std::unique_ptr<Case>& each : cases_) {
    ArenaScope scope(arena);
    OperatorIo io = each->Tensors(ctx);
    FillRandom(1, io.q), FillRandom(2, io.k), FillRandom(3, io.v);
    std::vector<double> seconds;
    for (int i = 0; i <= options_.repeat && !stop.stop_requested(); ++i) {
      const auto begin = Clock::now();
      io.maps = each->prepared->ChooseTiles(ctx, io, nullptr);
      each->prepared->Run(ctx, io);
      if (i > 0) seconds.push_back(Since(begin));
    }
    if (stop.stop_requested()) break;
    timings.push_back(each->timing);
    timings.back().seconds = Median(std::move(seconds));
    timings.back().gflops = each->flops / timings.back().seconds / 1e9;
    if (done) done(timings.back());
  }
  // A second look: other work on the machine only ever lowers the peak.
  peak = std::max(peak, MeasurePeakGflops(options_.dtype) * 1e9);
  for (size_t i = 0; i < timings.size(); ++i) {
    AttentionTiming& timing = timings[i];
    timing.bound_seconds = std::max(cases_[i]->ideal_flops / peak, cases_[i]->bytes / bandwidth);
    timing.share_of_bound = timing.bound_seconds / timing.seconds;
  }
  return timings;
}

}  // namespace fovea
