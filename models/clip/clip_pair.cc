#include "models/clip/clip_pair.h"

#include <array>

#include <nlohmann/json.hpp>

#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

struct Tower {
  const char* component;
  const char* class_name;
  const char* config;   // its object in config.json
  const char* tensors;  // what their names begin with
  const char* projection;
};

constexpr std::array<Tower, 2> kTowers = {{
    {"text_model", "CLIPTextModelWithProjection", "text_config", "text_model.", "text_projection."},
    {"vision_model", "CLIPVisionModelWithProjection", "vision_config", "vision_model.",
     "visual_projection."},
}};

// The tower's tensors under their own names.
class TowerNames final : public TensorNames {
 public:
  explicit TowerNames(const Tower& tower) : tower_(tower) {}
  std::vector<StoredTensor> Find(std::string_view tensor) const override {
    return {{.name = std::string(tensor)}};
  }
  bool Owns(std::string_view file_tensor) const override {
    return file_tensor.starts_with(tower_.tensors) || file_tensor.starts_with(tower_.projection);
  }
  bool Excuses(std::string_view /*file_tensor*/) const override { return false; }

 private:
  const Tower& tower_;
};

}  // namespace

bool IsClipPair(const Config& config) {
  return (config.Has("architectures") || config.Has("_class_name")) &&
         config.ClassName() == "CLIPModel";
}

std::vector<ComponentFolder> ClipPairComponents(const fs::path& folder) {
  std::vector<ComponentFolder> components;
  for (const Tower& tower : kTowers) {
    components.push_back(
        {.name = tower.component, .class_name = tower.class_name, .folder = folder});
  }
  std::error_code error;
  if (fs::exists(folder / "tokenizer.json", error) || fs::exists(folder / "vocab.json", error)) {
    components.push_back({.name = "tokenizer", .class_name = "CLIPTokenizer", .folder = folder});
  }
  return components;
}

Config ClipPairConfig(const Config& pair, const std::string& class_name) {
  for (const Tower& tower : kTowers) {
    if (class_name != tower.class_name) continue;
    nlohmann::json config = pair.Object(tower.config).Json();
    config["architectures"] = {class_name};
    // The towers meet in a space whose size the pair says.
    config["projection_dim"] = pair.Int("projection_dim", 1, 1 << 16, 512);
    return Config::Parse(config.dump(), pair.Where() + ": " + tower.config);
  }
  throw Error(ErrorCode::kBadFile, pair.Where() + ": a CLIPModel has no " + class_name);
}

std::shared_ptr<const TensorNames> ClipPairNames(const std::string& component) {
  for (const Tower& tower : kTowers) {
    if (component == tower.component) return std::make_shared<TowerNames>(tower);
  }
  return nullptr;
}

}  // namespace fovea
