#include "pipelines/metadata/numbers.h"

#include <set>

#include <nlohmann/json.hpp>

#include "tensor/error.h"
#include "tensor/precision.h"

namespace fovea {

Numbers NumbersOf(const std::vector<std::shared_ptr<const WeightStore>>& components, DType asked,
                  DeviceKind device) {
  const Precision precision = PrecisionOf(asked, device);
  Numbers numbers;
  std::set<std::string> held;
  for (const auto& store : components) {
    for (const TensorEntry& entry : store->Entries()) {
      if (!IsFloat(entry.dtype) || entry.shape.rank < 2) continue;
      // A GPU holds all in what it computes in.
      if (device == DeviceKind::kCuda) {
        held.emplace(Name(asked));
        if (entry.dtype != asked) numbers.narrowed = Name(entry.dtype);
        continue;
      }
      const bool narrowed = precision.narrow_weights && SizeOf(entry.dtype) > 2;
      held.emplace(Name(narrowed ? DType::kBF16 : entry.dtype));
      if (narrowed) numbers.narrowed = Name(entry.dtype);
    }
  }
  for (const std::string& type : held) {
    numbers.weights += (numbers.weights.empty() ? "" : ", ") + type;
  }
  numbers.arithmetic = Name(precision.arithmetic);
  return numbers;
}

nlohmann::ordered_json ToJson(const Numbers& numbers) {
  nlohmann::ordered_json json = {{"weights", numbers.weights}, {"arithmetic", numbers.arithmetic}};
  if (!numbers.narrowed.empty()) json["narrowed"] = numbers.narrowed;
  return json;
}

Numbers NumbersFromJson(const nlohmann::json& json, const std::string& where) {
  const auto text = [&](const char* name, bool needed) {
    const auto found = json.find(name);
    if (found == json.end() && !needed) return std::string();
    if (found == json.end() || !found->is_string()) {
      throw Error(ErrorCode::kBadFile, where + ": numbers: " + name + " is not a text");
    }
    return found->get<std::string>();
  };
  return {text("weights", true), text("narrowed", false), text("arithmetic", true)};
}

std::string Line(const Numbers& numbers) {
  const std::string of =
      numbers.narrowed.empty() ? " as stored" : " (" + numbers.narrowed + " in the file)";
  return "weights " + numbers.weights + of + ", arithmetic " + numbers.arithmetic;
}

}  // namespace fovea
