#include "tests/support/formula_weights.h"

#include <cmath>
#include <stdexcept>

namespace fovea {
namespace {

uint64_t Fnv1a(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return hash;
}

uint64_t SplitMix(uint64_t state) {
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

double Scale(std::string_view name, const Shape& shape) {
  if (shape.rank == 1) return 0.25;
  if (name.ends_with("embedding.weight") || name == "pos_embed.pos_embed") return 0.5;
  const int64_t fan_in = shape.NumElements() / shape[0];
  return std::sqrt(3.0 / static_cast<double>(fan_in));
}

void Store(HostTensor& tensor, int64_t i, float value) {
  switch (tensor.dtype()) {
    case DType::kF32:
      static_cast<float*>(tensor.data())[i] = value;
      return;
    case DType::kF16:
      static_cast<Float16*>(tensor.data())[i] = ToFloat16(value);
      return;
    case DType::kBF16:
      static_cast<BFloat16*>(tensor.data())[i] = ToBFloat16(value);
      return;
    default:
      throw std::invalid_argument("formula weights are f32, f16 or bf16");
  }
}

}  // namespace

HostTensor FormulaWeight(std::string_view name, const Shape& shape, DType dtype) {
  HostTensor tensor(shape, dtype);
  const uint64_t hash = Fnv1a(name);
  const double scale = Scale(name, shape);
  const double centre = shape.rank == 1 && name.ends_with("weight") ? 1.0 : 0.0;
  for (int64_t i = 0; i < tensor.NumElements(); ++i) {
    const uint64_t z = SplitMix(hash + static_cast<uint64_t>(i + 1) * 0x9E3779B97F4A7C15);
    const double u = static_cast<double>(z >> 40) / (1 << 23) - 1.0;
    Store(tensor, i, static_cast<float>(centre + scale * u));
  }
  return tensor;
}

}  // namespace fovea
