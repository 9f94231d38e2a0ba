// Additions to the weights of one component, found by the path of a layer.
#pragma once

#include <memory>
#include <string_view>

#include "tensor/shape.h"
#include "tensor/weights/weight_delta.h"

namespace fovea {

class WeightDeltas {
 public:
  virtual ~WeightDeltas() = default;
  // For the weight of the layer at `path`, of this shape: null where there is none. Throws kBadFile
  // when it does not fit.
  virtual std::shared_ptr<const WeightDelta> Find(std::string_view path,
                                                  const Shape& shape) const = 0;
  // Throws kBadFile listing what no call of Find asked for.
  virtual void CheckAllUsed() const = 0;
};

}  // namespace fovea
