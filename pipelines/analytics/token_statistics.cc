#include "pipelines/analytics/token_statistics.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor/error.h"
#include "tensor/memory/host_tensor.h"

namespace fovea {
namespace {

constexpr double kMassive = 100, kTimesMedian = 1000;
constexpr double kSink = 20, kRmsEps = 1e-6;
constexpr double kDinoCut = 150, kClipCut = 30;

double Median(std::vector<float> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  const double upper = *middle;
  if (values.size() % 2 == 1) return upper;
  return (upper + static_cast<double>(*std::max_element(values.begin(), middle))) / 2;
}

int64_t* CountOf(SegmentKind kind, TokenCounts* counts) {
  switch (kind) {
    case SegmentKind::kText:
      return &counts->text;
    case SegmentKind::kClass:
      return &counts->cls;
    case SegmentKind::kRegister:
      return &counts->registers;
    case SegmentKind::kGrid:
      break;
  }
  return &counts->grid;
}

double ShareAbove(const std::vector<float>& values, double cut) {
  if (values.empty()) return 0;
  const auto above = std::count_if(values.begin(), values.end(),
                                   [&](float each) { return static_cast<double>(each) > cut; });
  return static_cast<double>(above) / static_cast<double>(values.size());
}

}  // namespace

std::vector<float> HiddenStates(const Tensor& hidden) {
  ENSURE(hidden.IsContiguous());
  HostTensor copy(hidden.shape, hidden.dtype);
  if (copy.Bytes() > 0) std::memcpy(copy.data(), hidden.data, copy.Bytes());
  const HostTensor values = copy.ToF32();
  return {values.Data<float>(), values.Data<float>() + values.NumElements()};
}

OtsuCut FindOtsuCut(std::span<const float> values) {
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  OtsuCut best;
  if (sorted.empty()) return best;
  best.cut = sorted.back();
  const auto n = static_cast<double>(sorted.size());
  double mean = 0, variance = 0;
  for (const double each : sorted) mean += each / n;
  for (const double each : sorted) variance += (each - mean) * (each - mean) / n;
  if (variance <= 0) return best;
  double below = 0;  // sum of (value - mean) before the cut
  for (size_t i = 1; i < sorted.size(); ++i) {
    below += sorted[i - 1] - mean;
    if (sorted[i] == sorted[i - 1]) continue;
    const double w = static_cast<double>(i) / n;
    const double separation = below / n * (below / n) / (w * (1 - w)) / variance;
    if (separation > best.separation) best = {(sorted[i] + sorted[i - 1]) / 2, separation};
  }
  return best;
}

void TokenStatistics::Attended(Context&, const AttentionCall& call) {
  if (call.site.kind == SiteKind::kCross || call.io.hidden.Empty()) return;
  const std::vector<float> x = HiddenStates(call.io.hidden);
  const int64_t batch = call.io.hidden.shape[0], tokens = call.io.hidden.shape[1];
  const int64_t width = call.io.hidden.shape[2];
  std::vector<float> sizes;
  for (const float each : x) sizes.push_back(std::fabs(each));
  const double median = Median(sizes);
  Layer& layer = layers_[call.site.index];
  TokenPattern& pattern = layer.pattern;
  pattern.layer = call.site.path;
  pattern.site = call.site.index;
  pattern.width = width;
  pattern.passes += batch;
  layer.medians += median * static_cast<double>(batch);
  for (int64_t n = 0; n < batch; ++n) {
    for (const Segment& segment : call.spec.q) {
      for (int64_t t = segment.begin; t < segment.begin + segment.length; ++t) {
        const float* row = sizes.data() + (n * tokens + t) * width;
        double squares = 0;
        for (int64_t d = 0; d < width; ++d) {
          squares += static_cast<double>(row[d]) * static_cast<double>(row[d]);
        }
        const double rms = std::sqrt(squares / static_cast<double>(width) + kRmsEps);
        bool is_sink = false;
        for (int64_t d = 0; d < width; ++d) {
          const double value = row[d], phi = value / rms;
          pattern.max_value = std::max(pattern.max_value, value);
          pattern.max_phi = std::max(pattern.max_phi, phi);
          if (value > kMassive && value >= kTimesMedian * median) {
            ++*CountOf(segment.kind, &pattern.massive);
            pattern.massive_dims.insert(d);
          }
          if (phi > kSink) {
            is_sink = true;
            pattern.sink_dims.insert(d);
          }
        }
        if (is_sink) ++*CountOf(segment.kind, &pattern.sinks);
        const auto norm = static_cast<float>(std::sqrt(squares));
        if (segment.kind == SegmentKind::kGrid) layer.grid_norms.push_back(norm);
        if (segment.kind == SegmentKind::kClass || segment.kind == SegmentKind::kRegister) {
          layer.single_norms.push_back(norm);
        }
      }
    }
  }
}

std::vector<TokenPattern> TokenStatistics::Finish() const {
  std::vector<TokenPattern> patterns;
  for (const auto& [site, layer] : layers_) {
    TokenPattern pattern = layer.pattern;
    const std::vector<float>& norms = layer.grid_norms;
    pattern.grid_tokens = static_cast<int64_t>(norms.size());
    pattern.median_norm = Median(norms);
    pattern.single_norm = Median(layer.single_norms);
    pattern.median_value = layer.medians / static_cast<double>(pattern.passes);
    if (!norms.empty()) {
      pattern.max_norm = static_cast<double>(*std::max_element(norms.begin(), norms.end()));
      std::vector<float> logs;
      for (const float each : norms) logs.push_back(std::log(std::max(each, 1e-30f)));
      const OtsuCut cut = FindOtsuCut(logs);
      pattern.otsu_cut = std::exp(cut.cut);
      pattern.otsu_separation = cut.separation;
    }
    pattern.above_otsu = ShareAbove(norms, pattern.otsu_cut);
    pattern.above_150 = ShareAbove(norms, kDinoCut);
    pattern.above_30 = ShareAbove(norms, kClipCut);
    patterns.push_back(std::move(pattern));
  }
  return patterns;
}

}  // namespace fovea
