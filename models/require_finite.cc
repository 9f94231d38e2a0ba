#include "models/require_finite.h"

#include "models/component_weights.h"
#include "tensor/error.h"
#include "tensor/finite.h"

namespace fovea {
namespace {

[[noreturn]] void ThrowNotFinite(const std::string& what, const WeightStores& weights) {
  const std::string message = what + " is not finite (NaN or infinity)";
  for (const auto& store : weights) {
    const std::string name = store->FindNotFinite();
    if (name.empty()) continue;
    throw Error(ErrorCode::kBadFile,
                message + ", because of " + name + "; the file is damaged, take another");
  }
  throw Error(ErrorCode::kUnsupported,
              message +
                  ", though the weights are: numbers grew beyond what they can hold; lower --cfg, "
                  "or the scales of LoRA files, or take --dtype f32");
}

}  // namespace

void RequireFinite(const Tensor& values, const std::string& what, const WeightStores& weights) {
  if (!AllFinite(values)) ThrowNotFinite(what, weights);
}

void RequireFinite(std::span<const float> values, const std::string& what,
                   const WeightStores& weights) {
  if (!AllFinite(values)) ThrowNotFinite(what, weights);
}

void RequireFiniteOutputs(const NamedTensors& outputs, const ComponentFolder& component) {
  for (const auto& [name, tensor] : outputs) {
    if (AllFinite(tensor.View())) continue;
    RequireFinite(tensor.View(), component.folder.string() + ": its output " + name,
                  {OpenWeights(component)});
  }
}

}  // namespace fovea
