#include "attention/probe/attention_probe.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "attention/glob.h"
#include "attention/probe/matrix_passes.h"
#include "tensor/threads.h"

namespace fovea {
namespace {

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

struct Place {
  int y = 0, x = 0;
  SegmentKind kind = SegmentKind::kText;
};

std::vector<Place> PlacesOf(const TokenLayout& layout) {
  std::vector<Place> places;
  for (const Segment& segment : layout) {
    for (int i = 0; i < segment.length; ++i) {
      const int w = segment.grid[2], h = segment.grid[1];
      places.push_back({i / w % h, i % w, segment.kind});
    }
  }
  return places;
}

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

HeadScalars Measure(const std::vector<int32_t>& queries, const std::vector<float>& rows,
                    const std::vector<Place>& from, const std::vector<Place>& to) {
  HeadScalars out;
  double entropy = 0, distance = 0, text = 0, single = 0;
  int on_grid = 0;
  for (size_t i = 0; i < queries.size(); ++i) {
    const std::span<const float> row = std::span(rows).subspan(i * to.size(), to.size());
    entropy += EntropyOf(row);
    const Place& query = from[static_cast<size_t>(queries[i])];
    double grid = 0, moved = 0;
    for (size_t j = 0; j < to.size(); ++j) {
      const auto weight = static_cast<double>(row[j]);
      if (to[j].kind == SegmentKind::kGrid) {
        grid += weight;
        moved += weight * std::hypot(query.y - to[j].y, query.x - to[j].x);
      } else if (to[j].kind == SegmentKind::kText) {
        text += weight;
      } else {
        single += weight;
      }
    }
    if (query.kind == SegmentKind::kGrid && grid > 0) {
      distance += moved / grid;
      ++on_grid;
    }
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
  const std::vector<Place> from = PlacesOf(call.spec.q), to = PlacesOf(call.spec.kv);
  for (const AttentionPart& part : call.parts) {
    const auto matrix = part.io.lse.Empty() ? nullptr : part.prepared->Matrix(ctx, part.io);
    const int64_t heads = part.spec.heads;
    ParallelFor(part.spec.batch * heads, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> rows(queries.size() * to.size());
      for (int64_t i = begin; i < end; ++i) {
        HeadScalars& value = out.values[static_cast<size_t>(
            (part.first_sample + i / heads) * out.heads + part.first_head + i % heads)];
        if (matrix == nullptr) {
          value = {kNone, kNone, kNone, kNone, kNone};
          continue;
        }
        matrix->Rows(i / heads, i % heads, queries, rows.data());
        value = Measure(queries, rows, from, to);
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
