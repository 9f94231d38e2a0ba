// What surrounds a primitive of oneDNN: which layout of the weights, what of the epilogue is fused.
#pragma once

#include <functional>
#include <memory>

#include "tensor/cpu/execution.h"

namespace fovea {

struct Product {
  // The primitive for these post operations and this layout of the weights (null: oneDNN's choice).
  std::function<std::shared_ptr<onednn::Primitive>(const onednn::PostOps&, const onednn::Layout*)>
      make;
  WeightAxes axes;
};

// x and out are in the strides that `make` was told of.
void RunProduct(const CpuExecution& execution, Context& ctx, const Product& product,
                const Tensor& x, const Weight& weight, const Epilogue& epilogue, const Tensor& out);

}  // namespace fovea
