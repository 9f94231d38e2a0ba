#include "attention/probe/attention_probe.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "attention/glob.h"
#include "attention/probe/matrix_passes.h"
#include "tensor/threads.h"

namespace fovea {
namespace {

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

bool Matches(const std::string& layers, const std::string& path) {
  const std::vector<std::string> globs = ExpandBraces(layers);
  return std::any_of(globs.begin(), globs.end(),
                     [&](const std::string& glob) { return MatchGlob(glob, path); });
}

float MeanLse(const AttentionIo& io, int64_t sample, int64_t head) {
  if (io.lse.Empty()) return kNone;
  const float* lse = io.lse.Data<float>() + sample * io.lse.stride[0] + head * io.lse.stride[1];
  double sum = 0;
  for (int64_t i = 0; i < io.lse.shape[2]; ++i) sum += static_cast<double>(lse[i]);
  return static_cast<float>(sum / static_cast<double>(io.lse.shape[2]));
}

const Segment* GridIn(const TokenLayout& layout) {
  for (const Segment& segment : layout) {
    if (segment.kind == SegmentKind::kGrid) return &segment;
  }
  return nullptr;
}

// Distances of rows and columns that are as far apart as a grid allows: (h,w).
std::vector<float> Distances(const Segment& grid) {
  std::vector<float> distances;
  for (int y = 0; y < grid.grid[1]; ++y) {
    for (int x = 0; x < grid.grid[2]; ++x) distances.push_back(std::hypot(y, x));
  }
  return distances;
}

// The weight on a grid's tokens, and its mean distance from the token `at` of `from`.
struct Reach {
  double weight = 0, moved = 0;
};

Reach ReachOf(std::span<const float> row, const Segment& grid, const Segment* from, int at,
              const std::vector<float>& distances) {
  const int h = grid.grid[1], w = grid.grid[2];
  const bool has_place = from != nullptr && at >= from->begin && at < from->begin + from->length;
  const int place = has_place ? at - from->begin : 0, y = place / w % h, x = place % w;
  Reach reach;
  for (int line = 0; line < grid.length / w; ++line) {
    const float* weights = row.data() + grid.begin + static_cast<std::ptrdiff_t>(line) * w;
    const float* apart = distances.data() + static_cast<std::ptrdiff_t>(std::abs(line % h - y)) * w;
    float sum = 0, moved = 0;
    for (int i = 0; i < w; ++i) {
      sum += weights[i];
      moved += weights[i] * apart[std::abs(i - x)];
    }
    reach.weight += static_cast<double>(sum);
    reach.moved += static_cast<double>(moved);
  }
  return reach;
}

HeadScalars Measure(const std::vector<int32_t>& queries, const std::vector<float>& rows,
                    const TokenLayout& from, const TokenLayout& to,
                    const std::vector<float>& distances) {
  const auto keys = static_cast<size_t>(TokenCount(to));
  const Segment *own = GridIn(from), *other = GridIn(to);
  const bool one_grid = own != nullptr && other != nullptr && own->grid == other->grid;
  HeadScalars out;
  double entropy = 0, distance = 0, text = 0, single = 0;
  int on_grid = 0;
  for (size_t i = 0; i < queries.size(); ++i) {
    const std::span<const float> row = std::span(rows).subspan(i * keys, keys);
    entropy += EntropyOf(row);
    for (const Segment& segment : to) {
      if (segment.kind == SegmentKind::kGrid) continue;
      double sum = 0;
      for (int j = 0; j < segment.length; ++j) {
        sum += static_cast<double>(row[static_cast<size_t>(segment.begin + j)]);
      }
      (segment.kind == SegmentKind::kText ? text : single) += sum;
    }
    if (!one_grid || queries[i] < own->begin || queries[i] >= own->begin + own->length) continue;
    const Reach reach = ReachOf(row, *other, own, queries[i], distances);
    if (!(reach.weight > 0)) continue;
    distance += reach.moved / reach.weight;
    ++on_grid;
  }
  const auto count = static_cast<double>(queries.size());
  out.entropy = static_cast<float>(entropy / count);
  out.distance = on_grid > 0 ? static_cast<float>(distance / on_grid) : kNone;
  out.text = static_cast<float>(text / count);
  out.single = static_cast<float>(single / count);
  return out;
}

}  // namespace

CallScalars MeasureScalars(Context& ctx, const AttentionCall& call, int rows_every,
                           int rows_at_least) {
  CallScalars out;
  out.path = call.site.path;
  out.kind = call.site.kind;
  out.site = call.site.index;
  out.step = call.step;
  out.samples = call.spec.batch, out.heads = call.spec.heads;
  out.queries = TokenCount(call.spec.q), out.keys = TokenCount(call.spec.kv);
  out.values.resize(static_cast<size_t>(out.samples * out.heads));
  const std::vector<int32_t> queries =
      SpreadQueries(out.queries, std::max(rows_at_least, out.queries / rows_every));
  const Segment* grid = GridIn(call.spec.kv);
  const std::vector<float> distances = grid == nullptr ? std::vector<float>{} : Distances(*grid);
  // Waking threads costs more than the few rows of a small layer.
  const int64_t work = static_cast<int64_t>(queries.size()) * out.keys * call.spec.head_dim;
  const int64_t grain = std::max<int64_t>(1, (int64_t{1} << 21) / std::max<int64_t>(1, work));
  for (const AttentionPart& part : call.parts) {
    const auto matrix = part.io.lse.Empty() ? nullptr : part.prepared->Matrix(ctx, part.io);
    const int64_t heads = part.spec.heads;
    ParallelFor(part.spec.batch * heads, grain, [&](int64_t begin, int64_t end) {
      std::vector<float> rows(queries.size() * static_cast<size_t>(out.keys));
      for (int64_t i = begin; i < end; ++i) {
        HeadScalars& value = out.values[static_cast<size_t>(
            (part.first_sample + i / heads) * out.heads + part.first_head + i % heads)];
        if (matrix == nullptr) {
          value = {kNone, kNone, kNone, kNone, kNone};
          continue;
        }
        matrix->Rows(i / heads, i % heads, queries, rows.data());
        value = Measure(queries, rows, call.spec.q, call.spec.kv, distances);
        value.lse = MeanLse(part.io, i / heads, i % heads);
      }
    });
  }
  return out;
}

AttentionProbe::AttentionProbe(ProbeSettings settings) : settings_(std::move(settings)) {}

void AttentionProbe::Attended(Context& ctx, const AttentionCall& call) {
  if (settings_.rows_every > 0) {
    calls_.push_back(std::make_shared<const CallScalars>(
        MeasureScalars(ctx, call, settings_.rows_every, settings_.rows_at_least)));
  }
  for (const ProbePin& pin : settings_.pins) {
    if (call.step < pin.first_step || call.step > pin.last_step ||
        !Matches(pin.layers, call.site.path)) {
      continue;
    }
    const size_t bytes = KeptAttention::BytesOf(call, pin.keep);
    if (bytes > settings_.byte_budget) {
      ++dropped_;
      return;
    }
    while (kept_bytes_ + bytes > settings_.byte_budget && !kept_.empty()) {
      kept_bytes_ -= kept_.front()->Bytes();
      kept_.pop_front();
      ++dropped_;
    }
    kept_.push_back(std::make_shared<const KeptAttention>(ctx, call, pin.keep));
    kept_bytes_ += kept_.back()->Bytes();
    return;
  }
}

void AttentionProbe::Clear() {
  calls_.clear();
  kept_.clear();
  kept_bytes_ = 0;
  dropped_ = 0;
}

std::shared_ptr<const ProbeSnapshot> AttentionProbe::Snapshot() const {
  auto snapshot = std::make_shared<ProbeSnapshot>();
  snapshot->calls = calls_;
  snapshot->kept_bytes = kept_bytes_;
  snapshot->dropped = dropped_;
  return snapshot;
}

std::shared_ptr<const KeptAttention> AttentionProbe::Find(const std::string& path, int step) const {
  for (const auto& kept : kept_) {
    if (kept->Site().path == path && kept->Step() == step) return kept;
  }
  return nullptr;
}

}  // namespace fovea
