// A small multi-layer perceptron: the classifier behind pixel labels and object shapes.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <vector>

namespace fovea::evaluate {

struct TrainOptions {
  int epochs = 8;
  int batch = 32;
  float rate = 2e-3f;
  float decay = 1e-4f;
  uint64_t seed = 1;
};

// Fully connected layers with ReLU between and softmax at the end. Training is deterministic.
class Perceptron {
 public:
  Perceptron() = default;
  // Sizes from input to output, e.g. {90, 64, 10}.
  explicit Perceptron(std::vector<int> sizes, uint64_t seed = 1);

  int Inputs() const { return sizes_.front(); }
  int Outputs() const { return sizes_.back(); }

  // `features` holds rows of Inputs() values; one label a row. Standardises the features first.
  void Train(const std::vector<float>& features, const std::vector<uint8_t>& labels,
             const TrainOptions& options);

  // Probabilities, Outputs() a row.
  void Predict(const float* features, int rows, float* probabilities) const;

  // Weights as they lie in memory, for reading back on the same kind of machine. Load() keeps the
  // sizes given to the constructor and returns false if the stream holds anything else.
  void Save(std::ostream* stream) const;
  bool Load(std::istream* stream);

 private:
  struct Layer {
    int inputs = 0, outputs = 0;
    std::vector<float> weights, bias;  // weights: inputs x outputs
  };
  void Standardise(const float* row, float* out) const;
  void Forward(const float* input, int rows, std::vector<std::vector<float>>* outputs) const;

  std::vector<int> sizes_;
  std::vector<Layer> layers_;
  std::vector<float> mean_, inverse_deviation_;
};

}  // namespace fovea::evaluate
