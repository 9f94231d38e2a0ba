// Additions to the weights of one component, found by the path of a layer.
#pragma once

#include <memory>
#include <string_view>

#include "tensor/memory/host_tensor.h"
#include "tensor/tensor.h"
#include "tensor/weights/weight_delta.h"

namespace fovea {

class WeightDeltas {
 public:
  virtual ~WeightDeltas() = default;
  // For `weight`, of two axes or four, of the layer at `path`: null where there is none. May read
  // it as long as the result lives. Throws kBadFile when it does not fit.
  virtual std::shared_ptr<const WeightDelta> Find(std::string_view path,
                                                  const Tensor& weight) const = 0;
  // Adds to `values`, f32 and of one axis, what is there for the tensor `name`, a bias or a norm's
  // weight ("conv1.bias"). False: nothing is. Throws as Find.
  virtual bool AddToVector(std::string_view name, HostTensor& values) const = 0;
  virtual bool HasVector(std::string_view name) const = 0;
  // Throws kBadFile listing what no call of Find or AddToVector asked for.
  virtual void CheckAllUsed() const = 0;
};

}  // namespace fovea
