// WeightScope: a store seen through a prefix.
#include "models/weight_store.h"

namespace fovea {
namespace {

// Reads an (out, in) matrix or an (out, in, 1, 1) filter bank as whichever is asked for.
Tensor GetOneByOne(const WeightStore& store, const std::string& name, const Shape& matrix,
                   const Shape& filters, const Shape& wanted) {
  const Shape other = wanted == matrix ? filters : matrix;
  if (store.Has(name) && store.ShapeOf(name) == other)
    return store.Get(name, other).Reshape(wanted);
  return store.Get(name, wanted);
}

}  // namespace

WeightScope WeightScope::Sub(std::string_view name) const {
  return WeightScope(*store_, prefix_ + std::string(name) + ".");
}

WeightScope WeightScope::Sub(std::string_view name, int index) const {
  return WeightScope(*store_, prefix_ + std::string(name) + "." + std::to_string(index) + ".");
}

bool WeightScope::Has(std::string_view name) const {
  return store_->Has(prefix_ + std::string(name));
}

std::string WeightScope::Path() const {
  return prefix_.empty() ? prefix_ : prefix_.substr(0, prefix_.size() - 1);
}

Tensor WeightScope::Get(std::string_view name, const Shape& expected) const {
  return store_->Get(prefix_ + std::string(name), expected);
}

Tensor WeightScope::F32(std::string_view name, const Shape& expected) const {
  return store_->GetF32(prefix_ + std::string(name), expected);
}

std::optional<Tensor> WeightScope::FindF32(std::string_view name) const {
  return store_->FindF32(prefix_ + std::string(name));
}

Weight WeightScope::Linear(std::string_view name, int64_t in, int64_t out, bool bias) const {
  const std::string path = prefix_ + std::string(name);
  Weight weight;
  weight.w = GetOneByOne(*store_, path + ".weight", {out, in}, {out, in, 1, 1}, {out, in});
  weight.mapped = store_->IsMapped(weight.w);
  weight.delta = store_->Delta(path, weight.w);
  if (bias) weight.bias = store_->GetF32(path + ".bias", {out});
  return weight;
}

Weight WeightScope::Conv2d(std::string_view name, int64_t in, int64_t out, int kernel,
                           bool bias) const {
  const std::string path = prefix_ + std::string(name);
  const Shape filters = {out, in, kernel, kernel};
  Weight weight;
  weight.w = kernel == 1 ? GetOneByOne(*store_, path + ".weight", {out, in}, filters, filters)
                         : store_->Get(path + ".weight", filters);
  weight.mapped = store_->IsMapped(weight.w);
  weight.delta = store_->Delta(path, weight.w);
  if (bias) weight.bias = store_->GetF32(path + ".bias", {out});
  return weight;
}

}  // namespace fovea
