// Plain loops over contiguous rows, which the compiler turns into vector code.
#include "tools/evaluate/layers.h"

#include <algorithm>
#include <cmath>
#include <istream>
#include <ostream>

#include "tools/scenes/rng.h"

namespace fovea::evaluate {
namespace {

using scenes::Rng;

void Softmax(float* row, int n) {
  const float top = *std::max_element(row, row + n);
  float sum = 0;
  for (int i = 0; i < n; ++i) sum += row[i] = std::exp(row[i] - top);
  for (int i = 0; i < n; ++i) row[i] /= sum;
}

void Put(const std::vector<float>& values, std::ostream* stream) {
  stream->write(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
}

bool Get(size_t count, std::istream* stream, std::vector<float>* values) {
  values->resize(count);
  stream->read(reinterpret_cast<char*>(values->data()), count * sizeof(float));
  return stream->good() &&
         std::all_of(values->begin(), values->end(), [](float x) { return std::isfinite(x); });
}

// to[0..n) += x * from[0..n), compiled for wide vectors as well; the choice is made at load time.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define FOVEA_WIDE __attribute__((target_clones("arch=haswell", "default")))
#else
#define FOVEA_WIDE
#endif

// One row through one layer, bias included.
FOVEA_WIDE void MultiplyRow(const float* in, int inputs, const float* weights, int outputs,
                            float* to) {
  for (int i = 0; i < inputs; ++i) {
    const float x = in[i];
    if (x == 0) continue;
    const float* from = weights + static_cast<size_t>(i) * outputs;
    for (int j = 0; j < outputs; ++j) to[j] += x * from[j];
  }
}

// The gradient of a layer's weights by one row: the outer product of its input and output sides.
FOVEA_WIDE void AddOuter(const float* in, int inputs, const float* delta, int outputs,
                         float* gradient) {
  for (int i = 0; i < inputs; ++i) {
    const float x = in[i];
    if (x == 0) continue;  // a silent ReLU passes nothing
    float* to = gradient + static_cast<size_t>(i) * outputs;
    for (int j = 0; j < outputs; ++j) to[j] += x * delta[j];
  }
}

// One weight array under AdamW.
struct Moments {
  std::vector<float> first, second;

  void Step(std::vector<float>* values, const std::vector<float>& gradient, float rate, float decay,
            float correct1, float correct2) {
    first.resize(values->size());
    second.resize(values->size());
    for (size_t i = 0; i < values->size(); ++i) {
      const float g = gradient[i];
      first[i] = 0.9f * first[i] + 0.1f * g;
      second[i] = 0.99f * second[i] + 0.01f * g * g;
      const float step = (first[i] / correct1) / (std::sqrt(second[i] / correct2) + 1e-8f);
      (*values)[i] -= rate * (step + decay * (*values)[i]);
    }
  }
};

}  // namespace

Perceptron::Perceptron(std::vector<int> sizes, uint64_t seed) : sizes_(std::move(sizes)) {
  Rng rng(seed, 77);
  for (size_t i = 0; i + 1 < sizes_.size(); ++i) {
    Layer layer{sizes_[i], sizes_[i + 1], {}, {}};
    const float limit = std::sqrt(6.0f / layer.inputs);
    layer.weights.resize(static_cast<size_t>(layer.inputs) * layer.outputs);
    for (float& w : layer.weights) w = rng.Uniform(-limit, limit);
    layer.bias.assign(layer.outputs, 0);
    layers_.push_back(std::move(layer));
  }
}

void Perceptron::Standardise(const float* row, float* out) const {
  for (int i = 0; i < Inputs(); ++i) out[i] = (row[i] - mean_[i]) * inverse_deviation_[i];
}

void Perceptron::Forward(const float* input, int rows,
                         std::vector<std::vector<float>>* outputs) const {
  outputs->resize(layers_.size());
  for (size_t l = 0; l < layers_.size(); ++l) {
    const Layer& layer = layers_[l];
    std::vector<float>& out = (*outputs)[l];
    out.resize(static_cast<size_t>(rows) * layer.outputs);
    for (int r = 0; r < rows; ++r) {
      const float* in =
          (l == 0 ? input : (*outputs)[l - 1].data()) + static_cast<size_t>(r) * layer.inputs;
      float* to = &out[static_cast<size_t>(r) * layer.outputs];
      std::copy(layer.bias.begin(), layer.bias.end(), to);
      MultiplyRow(in, layer.inputs, layer.weights.data(), layer.outputs, to);
      if (l + 1 < layers_.size()) {
        for (int j = 0; j < layer.outputs; ++j) to[j] = std::max(to[j], 0.0f);
      } else {
        Softmax(to, layer.outputs);
      }
    }
  }
}

void Perceptron::Train(const std::vector<float>& features, const std::vector<uint8_t>& labels,
                       const TrainOptions& options) {
  const int inputs = Inputs(), outputs = Outputs();
  const int rows = static_cast<int>(labels.size());
  mean_.assign(inputs, 0);
  inverse_deviation_.assign(inputs, 1);
  for (int i = 0; i < inputs; ++i) {
    double sum = 0, square = 0;
    for (int r = 0; r < rows; ++r) {
      const double x = features[static_cast<size_t>(r) * inputs + i];
      sum += x;
      square += x * x;
    }
    mean_[i] = static_cast<float>(sum / rows);
    const double variance = square / rows - (sum / rows) * (sum / rows);
    inverse_deviation_[i] = static_cast<float>(1.0 / std::sqrt(std::max(variance, 1e-8)));
  }

  Rng rng(options.seed, 78);
  std::vector<int> order(rows);
  for (int i = 0; i < rows; ++i) order[i] = i;
  std::vector<Moments> weight_moments(layers_.size()), bias_moments(layers_.size());
  std::vector<std::vector<float>> outputs_of, deltas(layers_.size());
  std::vector<std::vector<float>> weight_gradients(layers_.size()), bias_gradients(layers_.size());
  std::vector<float> batch;
  const int steps = std::max(1, rows / options.batch) * options.epochs;
  int step = 0;
  for (int epoch = 0; epoch < options.epochs; ++epoch) {
    for (int i = rows; i > 1; --i) std::swap(order[i - 1], order[rng.Below(i)]);
    for (int begin = 0; begin + options.batch <= rows; begin += options.batch, ++step) {
      const int n = options.batch;
      batch.resize(static_cast<size_t>(n) * inputs);
      for (int r = 0; r < n; ++r) {
        Standardise(&features[static_cast<size_t>(order[begin + r]) * inputs],
                    &batch[static_cast<size_t>(r) * inputs]);
      }
      Forward(batch.data(), n, &outputs_of);
      deltas.back() = outputs_of.back();
      for (int r = 0; r < n; ++r) {
        deltas.back()[static_cast<size_t>(r) * outputs + labels[order[begin + r]]] -= 1.0f;
      }
      for (float& d : deltas.back()) d /= n;
      for (int l = static_cast<int>(layers_.size()) - 1; l >= 0; --l) {
        const Layer& layer = layers_[l];
        const float* in = l == 0 ? batch.data() : outputs_of[l - 1].data();
        weight_gradients[l].assign(layer.weights.size(), 0);
        bias_gradients[l].assign(layer.outputs, 0);
        if (l > 0) deltas[l - 1].assign(static_cast<size_t>(n) * layer.inputs, 0);
        for (int r = 0; r < n; ++r) {
          const float* delta = &deltas[l][static_cast<size_t>(r) * layer.outputs];
          for (int j = 0; j < layer.outputs; ++j) bias_gradients[l][j] += delta[j];
          const float* row = in + static_cast<size_t>(r) * layer.inputs;
          AddOuter(row, layer.inputs, delta, layer.outputs, weight_gradients[l].data());
          for (int i = 0; l > 0 && i < layer.inputs; ++i) {
            if (row[i] == 0) continue;
            const float* weights = &layer.weights[static_cast<size_t>(i) * layer.outputs];
            float sum = 0;
            for (int j = 0; j < layer.outputs; ++j) sum += weights[j] * delta[j];
            deltas[l - 1][static_cast<size_t>(r) * layer.inputs + i] = sum;
          }
        }
      }
      const float progress = static_cast<float>(step) / steps;
      const float warm = std::min(1.0f, (step + 1) / 50.0f);
      const float rate =
          options.rate * warm * (0.02f + 0.98f * 0.5f * (1 + std::cos(3.14159f * progress)));
      const float correct1 = 1.0f - std::pow(0.9f, step + 1.0f);
      const float correct2 = 1.0f - std::pow(0.99f, step + 1.0f);
      for (size_t l = 0; l < layers_.size(); ++l) {
        weight_moments[l].Step(&layers_[l].weights, weight_gradients[l], rate, options.decay * 100,
                               correct1, correct2);
        bias_moments[l].Step(&layers_[l].bias, bias_gradients[l], rate, 0, correct1, correct2);
      }
    }
  }
}

void Perceptron::Predict(const float* features, int rows, float* probabilities) const {
  constexpr int kRows = 64;
  std::vector<float> batch(static_cast<size_t>(kRows) * Inputs());
  std::vector<std::vector<float>> outputs;
  for (int begin = 0; begin < rows; begin += kRows) {
    const int n = std::min(kRows, rows - begin);
    for (int r = 0; r < n; ++r) {
      Standardise(features + static_cast<size_t>(begin + r) * Inputs(),
                  &batch[static_cast<size_t>(r) * Inputs()]);
    }
    Forward(batch.data(), n, &outputs);
    std::copy(outputs.back().begin(), outputs.back().end(),
              probabilities + static_cast<size_t>(begin) * Outputs());
  }
}

void Perceptron::Save(std::ostream* stream) const {
  Put(mean_, stream);
  Put(inverse_deviation_, stream);
  for (const Layer& layer : layers_) {
    Put(layer.weights, stream);
    Put(layer.bias, stream);
  }
}

bool Perceptron::Load(std::istream* stream) {
  if (!Get(Inputs(), stream, &mean_) || !Get(Inputs(), stream, &inverse_deviation_)) return false;
  for (Layer& layer : layers_) {
    if (!Get(layer.weights.size(), stream, &layer.weights) ||
        !Get(layer.bias.size(), stream, &layer.bias)) {
      return false;
    }
  }
  return true;
}

}  // namespace fovea::evaluate
