// In which type are a run's weights held, and in which does it compute?
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "models/weight_store.h"
#include "tensor/dtype.h"

namespace fovea {

// Matrices and filters; norms and biases are always f32.
struct Numbers {
  std::string weights;     // "f16", "bf16, f32": as the files have them, or narrowed
  std::string narrowed;    // what the files have of these in its place, "f32"; empty: nothing
  std::string arithmetic;  // of products, "f32"; they are summed in f32

  bool operator==(const Numbers&) const = default;
};

// Of a run on this processor with `--dtype` `asked`. Any thread.
Numbers NumbersOf(const std::vector<std::shared_ptr<const WeightStore>>& components, DType asked,
                  DeviceKind device = DeviceKind::kCpu);

// {"weights","arithmetic"}, and "narrowed" where there is something.
nlohmann::ordered_json ToJson(const Numbers& numbers);
// The reverse; `where` names the file in messages. Throws kBadFile.
Numbers NumbersFromJson(const nlohmann::json& json, const std::string& where);
// "weights f16 as stored, arithmetic f32", "weights bf16 (f32 in the file), arithmetic f32"
std::string Line(const Numbers& numbers);

}  // namespace fovea
