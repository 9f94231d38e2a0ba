#include "app/studio/kept_source.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "attention/matrix/attention_matrix.h"
#include "attention/probe/matrix_passes.h"
#include "pipelines/maps/map_selection.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

constexpr int kSampled = 24;  // rows that a head's numbers are measured on

InspectLayer Describe(const KeptAttention& kept) {
  InspectLayer layer;
  layer.path = kept.Site().path;
  layer.kind = std::string(Name(kept.Site().kind));
  layer.heads = kept.Spec().heads;
  layer.queries = TokenCount(kept.Spec().q);
  layer.keys = TokenCount(kept.Spec().kv);
  if (const Segment* grid = GridOfLayout(kept.Spec().q); grid != nullptr) {
    layer.rows = grid->grid[1];
    layer.columns = grid->grid[2];
    layer.query_begin = grid->begin;
  }
  if (const Segment* grid = GridOfLayout(kept.Spec().kv); grid != nullptr) {
    layer.key_begin = grid->begin;
    layer.key_rows = grid->grid[1];
    layer.key_columns = grid->grid[2];
  }
  for (const Segment& segment : kept.Spec().kv) {
    if (segment.kind == SegmentKind::kText) layer.text.emplace_back(segment.begin, segment.length);
  }
  for (const Segment& segment : kept.Spec().q) {
    if (segment.kind == SegmentKind::kClass) layer.class_token = segment.begin;
  }
  return layer;
}

HeadNumbers Measure(const AttentionMatrix& matrix, const InspectLayer& layer, int sample, int head,
                    const std::vector<int32_t>& queries) {
  const auto keys = static_cast<size_t>(layer.keys);
  std::vector<float> rows(queries.size() * keys);
  matrix.Rows(sample, head, queries, rows.data());
  std::vector<double> received(keys);
  double entropy = 0, distance = 0;
  int apart = 0;
  for (size_t i = 0; i < queries.size(); ++i) {
    const std::span<const float> row(rows.data() + i * keys, keys);
    entropy += EntropyOf(row);
    for (size_t j = 0; j < keys; ++j) received[j] += static_cast<double>(row[j]);
    if (layer.key_begin < 0 || layer.columns < 1 || layer.key_columns != layer.columns) continue;
    const int at = queries[i] - layer.query_begin;
    if (at < 0 || at >= layer.rows * layer.columns) continue;
    double sum = 0, weight = 0;
    for (int j = 0; j < layer.key_rows * layer.key_columns; ++j) {
      const double w = static_cast<double>(row[static_cast<size_t>(layer.key_begin + j)]);
      sum += w * std::hypot(at / layer.columns - j / layer.key_columns,
                            at % layer.columns - j % layer.key_columns);
      weight += w;
    }
    if (weight > 0) {
      distance += sum / weight;
      ++apart;
    }
  }
  const auto count = static_cast<double>(queries.size());
  HeadNumbers numbers;
  numbers.entropy = static_cast<float>(entropy / count / std::log(std::max<double>(2, layer.keys)));
  numbers.distance =
      apart > 0 ? static_cast<float>(distance / apart) : std::numeric_limits<float>::quiet_NaN();
  numbers.sink = static_cast<float>(*std::max_element(received.begin(), received.end()) / count);
  return numbers;
}

}  // namespace

KeptSource::KeptSource(Context& ctx, std::vector<std::shared_ptr<const KeptAttention>> kept,
                       std::vector<int> samples)
    : kept_(std::move(kept)), samples_(std::move(samples)) {
  for (const auto& each : kept_) {
    const AttentionMatrix& matrix = each->Matrix(ctx);
    InspectLayer layer = Describe(*each);
    layer.numbers.resize(static_cast<size_t>(layer.heads));
    const std::vector<int32_t> queries = SpreadQueries(layer.queries, kSampled);
    ParallelFor(layer.heads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t head = begin; head < end; ++head) {
        layer.numbers[static_cast<size_t>(head)] =
            Measure(matrix, layer, samples_[0], static_cast<int>(head), queries);
      }
    });
    matrices_.push_back(&matrix);
    layers_.push_back(std::move(layer));
    bytes_ += each->Bytes();
  }
}

void KeptSource::Row(int layer, int half, int head, int query, std::span<float> row) const {
  const auto at = static_cast<size_t>(layer);
  ENSURE(static_cast<int64_t>(row.size()) == matrices_[at]->Keys());
  const auto token = static_cast<int32_t>(query);
  matrices_[at]->Rows(samples_[static_cast<size_t>(half)], head, {&token, 1}, row.data());
}

void KeptSource::Columns(int layer, int half, int head, std::span<const int32_t> keys,
                         std::span<float> map) const {
  const auto at = static_cast<size_t>(layer);
  const AttentionMatrix& matrix = *matrices_[at];
  const InspectLayer& about = layers_[at];
  ENSURE(static_cast<int>(map.size()) == about.rows * about.columns);
  std::vector<float> columns(static_cast<size_t>(matrix.Queries()) * keys.size());
  matrix.Columns(samples_[static_cast<size_t>(half)], head, keys, columns.data());
  for (size_t i = 0; i < map.size(); ++i) {
    const float* own = columns.data() + (i + static_cast<size_t>(about.query_begin)) * keys.size();
    map[i] = 0;
    for (size_t k = 0; k < keys.size(); ++k) map[i] += own[k];
  }
}

}  // namespace fovea
