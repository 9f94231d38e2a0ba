// Numbers that are none (NaN, infinity) end a run and are named, instead of becoming a black
// picture.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/model_folder.h"
#include "models/weight_store.h"
#include "tensor/memory/host_tensor.h"
#include "tensor/tensor.h"

namespace fovea {

using WeightStores = std::vector<std::shared_ptr<const WeightStore>>;

// Throws when `values`, f32 and contiguous on the host, hold NaN or infinity: kBadFile naming the
// tensor where the stage's weights hold such numbers themselves, else kUnsupported. `what` begins
// the message: "unet: the output of step 3 of 25".
void RequireFinite(const Tensor& values, const std::string& what, const WeightStores& weights);
void RequireFinite(std::span<const float> values, const std::string& what,
                   const WeightStores& weights);

// The same for all outputs of a component of a pass that was not cancelled.
void RequireFiniteOutputs(const NamedTensors& outputs, const ComponentFolder& component);

}  // namespace fovea
