// Which grid keys a grid query sees: the definition of a local operator.
//
// Everything else (tiles, masks, densities, pictures) is derived from it by BuildTileMap.
#pragma once

#include <array>
#include <cstddef>

namespace fovea {

using GridPoint = std::array<int, 3>;  // frame, row, column

// A half-open range of coordinates on one axis; up to two, for cyclic patterns.
struct AxisReach {
  int begin[2] = {0, 0}, end[2] = {0, 0};
};

class GridPattern {
 public:
  virtual ~GridPattern() = default;

  // Necessary for q to see k, one axis at a time; sufficient where Separable() is true.
  virtual bool SeesAxis(int axis, int q, int k) const = 0;
  // A superset of the keys that SeesAxis admits for queries in [q_begin, q_end).
  virtual AxisReach Reach(int axis, int q_begin, int q_end) const = 0;
  virtual bool Separable() const { return true; }
  // Whether q sees k, given that every axis admits it. Asked only where not separable.
  virtual bool SeesPoint(const GridPoint& /*q*/, const GridPoint& /*k*/) const { return true; }
  // Whether the answer depends on k - q alone: tiles at the same offset then share one mask.
  virtual bool OffsetOnly() const { return false; }
  // The answer is the same for all points of a granule, aligned to the origin.
  virtual std::array<int, 3> Granule() const { return {1, 1, 1}; }

  bool Sees(const GridPoint& q, const GridPoint& k) const {
    for (int axis = 0; axis < 3; ++axis) {
      if (!SeesAxis(axis, q[static_cast<size_t>(axis)], k[static_cast<size_t>(axis)])) return false;
    }
    return Separable() || SeesPoint(q, k);
  }
};

}  // namespace fovea
