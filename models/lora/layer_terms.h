// From a layer of an adapter file to what a weight gains.
#pragma once

#include <span>
#include <string_view>

#include "models/lora/lora_file.h"
#include "models/tensor_names.h"
#include "tensor/tensor.h"
#include "tensor/weights/weight_delta.h"

namespace fovea {

// `weight` (out, in) or (out, in, kh, kw), in any float type, outlives the term; `place`: which
// rows of the file's layer are this weight's. Throws kBadFile naming file and layer where they do
// not fit, kUnsupported for what cannot be cut into rows.
PlacedTerm MakeTerm(const LoraFile& file, const LoraLayer& layer, const StoredTensor& place,
                    const Tensor& weight, double scale);

// values (n) += scale * the part of this name, of which `place` tells the rows. Throws as MakeTerm.
void AddVector(const LoraFile& file, const LoraLayer& layer, std::string_view part,
               const StoredTensor& place, double scale, std::span<float> values);

}  // namespace fovea
