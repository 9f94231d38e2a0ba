// The extents of a tensor: up to five axes, in elements.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace fovea {

inline constexpr int kMaxRank = 5;

struct Shape {
  std::array<int64_t, kMaxRank> dim{};
  int rank = 0;

  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const int64_t> dims);  // throws kInternal over kMaxRank

  int64_t operator[](int axis) const { return dim[axis < 0 ? rank + axis : axis]; }
  int64_t& operator[](int axis) { return dim[axis < 0 ? rank + axis : axis]; }
  int64_t NumElements() const;
  bool operator==(const Shape& other) const;
  std::string ToString() const;  // "[2, 77, 768]"
};

}  // namespace fovea
