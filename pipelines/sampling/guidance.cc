#include "pipelines/sampling/guidance.h"

#include <cmath>

#include "tensor/error.h"

namespace fovea {
namespace {

// Of one sample, unbiased, as torch.std.
double Deviation(std::span<const float> x) {
  double mean = 0, squares = 0;
  for (const double value : x) mean += value;
  mean /= static_cast<double>(x.size());
  for (const double value : x) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / (static_cast<double>(x.size()) - 1));
}

}  // namespace

std::vector<int> Guidance::StepsOfChange(int steps) const {
  std::vector<int> changes{0};
  for (int step = 1; step < steps; ++step) {
    if (ActiveAt(step, steps) != ActiveAt(step - 1, steps)) changes.push_back(step);
  }
  return changes;
}

std::span<float> Guidance::Combine(std::span<float> outputs, size_t samples) const {
  if (!Active()) return outputs;
  ENSURE(samples > 0 && outputs.size() % (2 * samples) == 0);
  const std::span<float> guided = outputs.first(outputs.size() / 2);
  const std::span<const float> positive = outputs.last(outputs.size() / 2);
  for (size_t k = 0; k < guided.size(); ++k) {
    const double negative = guided[k];
    guided[k] = static_cast<float>(negative + scale * (positive[k] - negative));
  }
  if (rescale > 0) {
    const size_t size = guided.size() / samples;
    for (size_t i = 0; i < samples; ++i) {
      const std::span<float> sample = guided.subspan(i * size, size);
      const double ratio = Deviation(positive.subspan(i * size, size)) / Deviation(sample);
      for (float& x : sample) x = static_cast<float>(x * (rescale * ratio + 1 - rescale));
    }
  }
  return guided;
}

}  // namespace fovea
