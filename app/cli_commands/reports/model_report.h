// What `fovea info` says about a model: one JSON object, which the plain report prints.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "models/model_folder.h"

namespace fovea {

struct ModelReportOptions {
  bool layers = false, tensors = false;
};

// {"model", "class", "components": [{"name", "class", "parameters", "bytes", "dtypes"}],
//  "parameters", "bytes"}; with layers "layers": [{"component", "path", "kind", "heads",
// "head_size", "tokens"}] in order of execution; with tensors "tensors": [{"component", "name",
// "dtype", "shape"}]. Components without weights (tokenizers, schedulers) have none of the numbers.
nlohmann::ordered_json DescribeModel(const ModelFolder& folder, const ModelReportOptions& options);

void PrintModel(const nlohmann::ordered_json& report);

}  // namespace fovea
