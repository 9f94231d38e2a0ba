#include "pipelines/vision/find_tower.h"

#include "models/vit/vision_transformer.h"
#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

bool IsTextClass(const std::string& name) {
  return name == "CLIPTextModel" || name == "CLIPTextModelWithProjection";
}

template <class IsKind>
const ComponentFolder& FindOnly(const ModelFolder& folder, const IsKind& is_kind,
                                const std::string& kind) {
  const ComponentFolder* found = nullptr;
  std::string classes;
  for (const ComponentFolder& each : folder.components) {
    classes += (classes.empty() ? "" : ", ") + each.class_name;
    if (!is_kind(each.class_name)) continue;
    if (found != nullptr) {
      throw Error(ErrorCode::kUsage, folder.folder.string() + ": both " + found->name + " and " +
                                         each.name + " are a " + kind +
                                         "; name one with --component");
    }
    found = &each;
  }
  if (found == nullptr) {
    throw Error(ErrorCode::kUnsupported,
                folder.folder.string() + ": has no " + kind + "; it has " + classes);
  }
  return *found;
}

}  // namespace

const ComponentFolder& FindPictureComponent(const ModelFolder& folder,
                                            const std::optional<std::string>& name) {
  if (name) {
    const ComponentFolder& named = folder.Get(*name);
    if (!IsVitClass(named.class_name)) {
      throw Error(ErrorCode::kUnsupported, folder.folder.string() + ": its " + *name + " is a " +
                                               named.class_name + ", not a Vision Transformer");
    }
    return named;
  }
  return FindOnly(folder, IsVitClass, "Vision Transformer");
}

const ComponentFolder& FindTextComponent(const ModelFolder& folder) {
  return FindOnly(folder, IsTextClass, "CLIP text model");
}

fs::path FindTextTokenizer(const ModelFolder& folder, const ComponentFolder& text) {
  if (const ComponentFolder* own = folder.Find("tokenizer")) return own->folder;
  for (const fs::path& path : {text.folder, text.folder / ".." / "tokenizer"}) {
    std::error_code error;
    if (fs::exists(path / "vocab.json", error) || fs::exists(path / "tokenizer.json", error)) {
      return path;
    }
  }
  throw Error(ErrorCode::kBadFile, text.folder.string() +
                                       ": has no tokenizer; texts need vocab.json and merges.txt, "
                                       "or tokenizer.json, there or in ../tokenizer");
}

}  // namespace fovea
