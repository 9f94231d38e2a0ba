#include "models/search/model_tree.h"

#include <algorithm>
#include <fstream>
#include <set>

#include "models/single_file/find_tokenizer.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRepository = "models--";  // of Hugging Face's cache

constexpr std::string_view kModelFolders[] = {"diffusers", "Stable-diffusion", "checkpoints"};
constexpr std::string_view kLoraFolders[] = {"Lora", "loras", "lora", "LyCORIS"};
constexpr std::string_view kVaeFolders[] = {"VAE", "vae"};
constexpr std::string_view kTokenizerFolders[] = {"tokenizers", "clip", "text_encoders"};
constexpr ModelKind kKinds[] = {ModelKind::kModel, ModelKind::kLora, ModelKind::kVae,
                                ModelKind::kTokenizer};

bool IsFile(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

bool IsFolder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

// Tells folders apart that links lead to.
std::string Identity(const fs::path& path) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  return error ? path.string() : real.string();
}

bool IsKindFolder(std::string_view name) {
  for (const ModelKind kind : kKinds) {
    const auto folders = KindFolders(kind);
    if (std::find(folders.begin(), folders.end(), name) != folders.end()) return true;
  }
  return false;
}

// models--ORG--NAME as ORG/NAME; names may hold single dashes.
std::string RepositoryName(std::string_view folder) {
  std::string name(folder.substr(kRepository.size()));
  if (const size_t dashes = name.find("--"); dashes != std::string::npos) {
    name.replace(dashes, 2, "/");
  }
  return name;
}

class Walk {
 public:
  Walk(int depth, const std::function<void(const TreeEntry&)>& visit)
      : deepest_(depth), visit_(visit) {}

  // `name` is what stands for the folder in names; empty at the top.
  void Folder(const fs::path& folder, const std::string& name, int depth) {
    if (depth > deepest_) {
      complete_ = complete_ && deepest_ < kDeepest;
      return;
    }
    if (!seen_.insert(Identity(folder)).second) return;
    for (const fs::path& path : Sorted(folder)) {
      const std::string own = path.filename().string();
      const std::string full = name.empty() ? own : name + "/" + own;
      if (own.starts_with(kRepository)) {
        Repository(path, RepositoryName(own), depth);
      } else if (IsFolder(path)) {
        Inside(path, full, depth);
      } else if (path.extension() == ".safetensors" || path.extension() == ".ckpt") {
        visit_({path, path.extension() == ".ckpt" ? full : full.substr(0, full.size() - 12)});
      }
    }
  }

  bool Complete() const { return complete_; }

 private:
  void Inside(const fs::path& path, const std::string& name, int depth) {
    if (IsModelFolder(path) || HoldsTokenizer(path)) {
      if (seen_.insert(Identity(path)).second) visit_({path, name});
    } else if (!IsKindFolder(path.filename().string())) {
      Folder(path, name, depth + 1);
    }
  }

  void Repository(const fs::path& path, const std::string& name, int depth) {
    for (const fs::path& snapshot : Snapshots(path)) Inside(snapshot, name, depth + 1);
  }

  std::vector<fs::path> Sorted(const fs::path& folder) {
    std::vector<fs::path> out;
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      if (++entries_ > kMostEntries) {
        complete_ = false;
        break;
      }
      if (!it->path().filename().string().starts_with('.')) out.push_back(it->path());
    }
    std::sort(out.begin(), out.end());
    return out;
  }

  int deepest_;
  const std::function<void(const TreeEntry&)>& visit_;
  std::set<std::string> seen_;
  int entries_ = 0;
  bool complete_ = true;
};

}  // namespace

std::span<const std::string_view> KindFolders(ModelKind kind) {
  switch (kind) {
    case ModelKind::kModel:
      return kModelFolders;
    case ModelKind::kLora:
      return kLoraFolders;
    case ModelKind::kVae:
      return kVaeFolders;
    case ModelKind::kTokenizer:
      return kTokenizerFolders;
  }
  return {};
}

bool IsModelFolder(const fs::path& folder) {
  return IsFile(folder / "model_index.json") || IsFile(folder / "config.json");
}

std::vector<fs::path> PlacesOf(const fs::path& root, ModelKind kind) {
  std::vector<fs::path> places;
  std::set<std::string> seen;
  for (const char* above : {"", "models"}) {
    for (const std::string_view folder : KindFolders(kind)) {
      const fs::path place = root / above / folder;
      if (IsFolder(place) && seen.insert(Identity(place)).second) places.push_back(place);
    }
  }
  return places;
}

bool IsPlain(const fs::path& root) {
  return PlacesOf(root, ModelKind::kModel).empty() && PlacesOf(root, ModelKind::kLora).empty();
}

bool WalkModels(const fs::path& place, int depth,
                const std::function<void(const TreeEntry&)>& visit) {
  Walk walk(depth, visit);
  walk.Folder(place, "", 0);
  return walk.Complete();
}

std::vector<fs::path> Snapshots(const fs::path& repository) {
  const fs::path folder = repository / "snapshots";
  std::string main;
  std::ifstream(repository / "refs" / "main") >> main;
  const bool plain = !main.empty() && main.size() <= 64 && main.find_first_of("/.") == main.npos;
  if (plain && IsFolder(folder / main)) return {folder / main};
  std::vector<fs::path> out;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (IsFolder(it->path()) && out.size() < 64) out.push_back(it->path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace fovea
