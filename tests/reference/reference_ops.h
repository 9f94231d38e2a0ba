// Every primitive operation, written for reading and in double precision: what the backends are
// compared with.
#pragma once

#include <vector>

#include "tensor/backend.h"

namespace fovea {

// A dense row-major array of doubles.
struct Reference {
  Shape shape;
  std::vector<double> v;

  explicit Reference(const Shape& s) : shape(s), v(static_cast<size_t>(s.NumElements())) {}
  // The values of a tensor of any strides and float dtype.
  static Reference Of(const Tensor& t);
};

double ReferenceAct(Act act, double x);
Reference ReferenceLinear(const Tensor& x, const Weight& weight, const Epilogue& epilogue);
Reference ReferenceConv2d(const Tensor& x, const Weight& weight, const Conv2dParams& params,
                          const Epilogue& epilogue);
Reference ReferenceGroupNorm(const Tensor& x, const GroupNormParams& params);
Reference ReferenceLayerNorm(const Tensor& x, const Tensor& gamma, const Tensor& beta, float eps);
Reference ReferenceModulatedLayerNorm(const Tensor& x, const LayerNormParams& params);
Reference ReferenceRmsNorm(const Tensor& x, const Tensor& gamma, float eps);
Reference ReferenceRotate(const Tensor& x, const Tensor& tables);
Reference ReferenceActivate(const Tensor& x, Act act);
Reference ReferenceGatedAct(const Tensor& x, Act act);
Reference ReferenceAdd(const Tensor& a, const Tensor& b);
Reference ReferenceGatedAdd(const Tensor& x, const Tensor& gate, const Tensor& to);
Reference ReferenceUpsampleNearest(const Tensor& x, int64_t height, int64_t width);
Reference ReferenceResizeBicubic(const Tensor& x, int64_t height, int64_t width);
Reference ReferenceAveragePool2x2(const Tensor& x);

}  // namespace fovea
