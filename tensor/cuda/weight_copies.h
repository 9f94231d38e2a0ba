// The device's copies of weights: made at first use, in the type of the activations.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <vector>

#include "tensor/cuda/device.h"
#include "tensor/weights/weight.h"

namespace fovea::cuda {

// Rows of (out, kh, kw, in): what a product of patches reads.
struct WeightCopy final : PackedWeight {
  std::shared_ptr<Device> device;
  Address weight = 0, bias = 0;  // bias: f32, or 0
  DType dtype = DType::kF32;
  size_t bytes = 0;
  std::shared_ptr<std::atomic<size_t>> total;
  ~WeightCopy() override;
};

size_t CopyBytes(const Weight& weight, DType dtype);

class WeightCopies {
 public:
  explicit WeightCopies(std::shared_ptr<Device> device) : device_(std::move(device)) {}
  const WeightCopy& Provide(const Weight& weight, DType dtype);
  // A vector of parameters in f32 that lies on the host: a copy by its address, renewed when its
  // values changed. Null stays null.
  const float* Parameter(const Tensor& t);
  size_t Bytes() const { return *total_; }
  ~WeightCopies();

 private:
  struct Kept {
    std::vector<float> values;
    Address address = 0;
  };
  std::shared_ptr<Device> device_;
  std::map<const void*, Kept> parameters_;
  std::shared_ptr<std::atomic<size_t>> total_ = std::make_shared<std::atomic<size_t>>(0);
};

}  // namespace fovea::cuda
