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

struct GroupNormKernelParams {
  const void* x;
  void* out;
  const float *gamma, *beta;
  const void *add, *scale, *shift;  // (n, c) or null, with their rows apart by:
  int64_t add_stride, scale_stride, shift_stride;
  int64_t pixels, c, groups;
  float eps;
  int act;
};

struct RowNormParams {
  RowShape shape;  // size[0] is t of (n,t,c)
  RowView x, out;
  const float *gamma, *beta;  // or null
  const void *scale, *shift;  // (n, c) or null
  int64_t scale_stride, shift_stride;
  float eps;
  int centred;  // 0: divides by the root of the mean square
};

// Images (n,h,w,c), their strides in elements; the last axis is dense.
struct ImageView {
  void* data;
  int64_t h, w, stride_n, stride_h, stride_w;
};

struct ResampleParams {
  ImageView x, out;
  int64_t n, c;
};

// out[m][j] = act(sum over k of a[m][k] w[j][k] + bias[j]) + residual[m][j]
struct ProductParams {
  RowShape shape;  // m rows of n columns; for a convolution size is w, h, n of the output
  RowView a;       // rows of k, dense
  RowView out, residual;
  const void* w;      // (n, k), dense
  const float* bias;  // or null
  int64_t n, k;
  int act;
  // Convolutions: a row is the patch of an output pixel, k runs over (kh, kw, in).
  ImageView image;
  int64_t in;
  int kernel_w, stride, pad_top, pad_left, dilation;
};

}  // namespace fovea::cuda
