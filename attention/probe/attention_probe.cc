#include "attention/probe/attention_probe.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "attention/kernels/tile/score_block.h"
#include "attention/probe/call_matrix.h"
#include "attention/probe/matrix_passes.h"
#include "tensor/glob.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

bool Matches(const std::string& layers, const std::string& path) {
  const std::vector<std::string> globs = ExpandBraces(layers);
  return std::any_of(globs.begin(), globs.end(),
                     [&](const std::string& glob) { return MatchGlob(glob, path); });
}

float MeanLse(const AttentionIo& io, int64_t sample, int64_t head) {
  const float* lse = io.lse.Data<float>() + sample * io.lse.stride[0] + head * io.lse.stride[1];
  const int64_t count = io.lse.shape[2];
  std::array<double, 8> sums{};  // one would wait for each addition
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int64_t k = 0; k < 8; ++k) sums[static_cast<size_t>(k)] += static_cast<double>(lse[i + k]);
  }
  for (; i < count; ++i) sums[0] += static_cast<double>(lse[i]);
  return static_cast<float>(std::accumulate(sums.begin(), sums.end(), 0.0) /
                            static_cast<double>(count));
}

const Segment* GridIn(const TokenLayout& layout) {
  for (const Segment& segment : layout) {
    if (segment.kind == SegmentKind::kGrid) return &segment;
  }
  return nullptr;
}

// How far each key on the grid is from each sampled query on the same grid: (queries, grid tokens),
// from 0 for queries that are not on it. Empty if the grids are not the same.
std::vector<float> DistancesOf(const std::vector<int32_t>& queries, const TokenLayout& from,
                               const TokenLayout& to) {
  const Segment *own = GridIn(from), *other = GridIn(to);
  if (own == nullptr || other == nullptr || own->grid != other->grid) return {};
  const int h = own->grid[1], w = own->grid[2];
  std::vector<float> distances(queries.size() * static_cast<size_t>(other->length));
  for (size_t i = 0; i < queries.size(); ++i) {
    const int place = queries[i] - own->begin;
    if (place < 0 || place >= own->length) continue;
    float* row = distances.data() + i * static_cast<size_t>(other->length);
    for (int line = 0; line < other->length / w; ++line) {
      const int y = line % h - place / w % h;
      for (int x = -(place % w); x < w - place % w; ++x) {
        *row++ = std::sqrt(static_cast<float>(y * y + x * x));
      }
    }
  }
  return distances;
}

// From sampled rows (queries, keys) of one head.
HeadScalars Measure(const std::vector<int32_t>& queries, const std::vector<float>& rows,
                    const TokenLayout& from, const TokenLayout& to,
                    const std::vector<float>& distances) {
  const Segment* own = distances.empty() ? nullptr : GridIn(from);
  const float *row = rows.data(), *apart = distances.data();
  const int keys = TokenCount(to);
  double entropy = 0, distance = 0, text = 0, single = 0;
  int on_grid = 0;
  for (const int32_t query : queries) {
    WeightSums all;
    bool has_grid = false;
    for (const Segment& segment : to) {
      const bool measured = own != nullptr && segment.kind == SegmentKind::kGrid && !has_grid;
      const WeightSums sums =
          SumWeightsCpu(row + segment.begin, segment.length, measured ? apart : nullptr);
      all.weights += sums.weights;
      all.with_log += sums.with_log;
      if (segment.kind == SegmentKind::kText) text += sums.weights;
      if (segment.kind == SegmentKind::kClass || segment.kind == SegmentKind::kRegister) {
        single += sums.weights;
      }
      if (!measured) continue;
      has_grid = true;
      apart += segment.length;
      if (query < own->begin || query >= own->begin + own->length || sums.weights <= 0) continue;
      distance += sums.with_value / sums.weights;
      ++on_grid;
    }
    entropy += EntropyOf(all);
    row += keys;
  }
  const auto count = static_cast<double>(queries.size());
  HeadScalars out;
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
  const std::vector<float> distances = DistancesOf(queries, call.spec.q, call.spec.kv);
  // Waking threads costs more than the few rows of a small layer.
  const int64_t work = static_cast<int64_t>(queries.size()) * out.keys * call.spec.head_dim;
  const int64_t grain = std::max<int64_t>(1, (int64_t{1} << 21) / std::max<int64_t>(1, work));
  for (const AttentionPart& part : call.parts) {
    const auto matrix = part.io.lse.Empty() ? nullptr : MatrixOf(ctx, part);
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
