#include "tensor/shape.h"

#include <algorithm>

#include "tensor/error.h"

namespace fovea {

Shape::Shape(std::span<const int64_t> dims) {
  ENSURE(dims.size() <= kMaxRank, "rank " + std::to_string(dims.size()));
  std::copy(dims.begin(), dims.end(), dim.begin());
  rank = static_cast<int>(dims.size());
}

int64_t Shape::NumElements() const {
  int64_t count = 1;
  for (int i = 0; i < rank; ++i) count *= dim[i];
  return count;
}

bool Shape::operator==(const Shape& other) const {
  return rank == other.rank && std::equal(dim.begin(), dim.begin() + rank, other.dim.begin());
}

std::string Shape::ToString() const {
  std::string text = "[";
  for (int i = 0; i < rank; ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(dim[i]);
  }
  return text + "]";
}

}  // namespace fovea
