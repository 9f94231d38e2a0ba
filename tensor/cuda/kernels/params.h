// What the host hands to the elementwise kernels: plain data, the same on both sides.
#pragma once

#include <cstdint>

namespace fovea::cuda {

// As fovea::Act, which the host checks.
enum : int { kActNone, kActSilu, kActGeluErf, kActGeluTanh, kActQuickGelu, kActRelu };

inline constexpr int kRowAxes = 4;

// All axes but the last, fastest first; the last has `c` elements.
struct RowShape {
  int64_t rows, c;
  int64_t size[kRowAxes];
};

struct RowView {
  void* data;
  int64_t stride[kRowAxes];  // in elements, of the axes of RowShape
  int64_t step;              // from one element of a row to the next
};

struct UnaryParams {
  const void* x;
  void* out;
  int64_t count;
  int act;
};

struct GatedActParams {
  const void* x;  // (rows, 2c)
  void* out;      // (rows, c)
  int64_t rows, c;
  int act;
};

struct AddParams {
  RowShape shape;
  RowView a, b, out;
};

struct GatedAddParams {
  RowShape shape;  // size[0] is t, size[1] is n
  RowView x, out;
  const void* gate;
  int64_t gate_stride;
};

struct RotateParams {
  RowShape shape;  // size[0] heads, size[1] t, size[2] n
  RowView x, out;
  const float* tables;  // (t,2,d)
};

struct CopyParams {
  RowShape shape;
  RowView from, to;
};

}  // namespace fovea::cuda
