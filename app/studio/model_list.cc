#include "app/studio/model_list.h"

#include <algorithm>

#include "app/built_in_models.h"
#include "models/search/model_search.h"
#include "models/vit/vit_config.h"
#include "pipelines/generation/diffusion_model.h"
#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

// Components and LoRA files alone make no pictures.
bool MakesPictures(const ListedModel& model) {
  if (model.kind == "checkpoint") return true;
  if (model.kind != "pipeline") return false;
  try {
    FindPipelineClass(OpenModelFolder(model.path));
    return true;
  } catch (const Error&) {
    return false;  // named in full when someone asks for it
  }
}

// A Vision Transformer, alone or in a pipeline that makes no pictures, as CLIP's.
bool Looks(const ListedModel& model) {
  if (model.kind != "component" && model.kind != "pipeline") return false;
  try {
    const std::vector<ComponentFolder> parts = OpenModelFolder(model.path).components;
    return std::any_of(parts.begin(), parts.end(),
                       [](const ComponentFolder& part) { return IsVitClass(part.class_name); });
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::vector<ModelChoice> ListModelChoices(const ModelAccess& access,
                                          const std::vector<std::string>& recent,
                                          std::vector<std::string>* loras) {
  std::vector<ModelChoice> choices{{"", "still-life-unet", "built in", false}};
  const fs::path built_in = BuiltInModelsFolder();
  for (const ListedModel& model : ListModels(ModelSearchPath(access.folders, built_in)).models) {
    if (model.path == built_in / "still-life-unet") continue;
    if (model.kind == "lora") loras->push_back(model.name);
    const bool makes = MakesPictures(model);
    if (!makes && !Looks(model)) continue;
    const fs::path parent = model.path.parent_path();
    choices.push_back({model.path.string(), model.name,
                       parent == built_in ? "built in" : parent.string(), !makes});
  }
  for (const std::string& name : recent) {
    const bool known = std::any_of(choices.begin(), choices.end(), [&](const ModelChoice& each) {
      return each.name == name || each.shown == name;
    });
    if (!known) choices.push_back({name, fs::path(name).filename().string(), "recent", false});
  }
  return choices;
}

}  // namespace fovea
