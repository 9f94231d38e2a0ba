#include "models/search/model_search.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <set>
#include <tuple>

#include "models/files/json_text.h"
#include "models/files/safetensors.h"
#include "models/search/data_home.h"
#include "models/search/model_tree.h"
#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBuiltInModel = "still-life-unet";
constexpr std::string_view kWeights = ".safetensors";
constexpr const char* kAdapterWeights = "adapter_model.safetensors";

bool IsFile(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

// PEFT's, with the adapter of one model.
bool IsAdapterFolder(const fs::path& path) {
  return IsFile(path / "adapter_config.json");
}

bool IsWanted(const fs::path& path, ModelKind kind) {
  if (IsFile(path)) return true;
  if (kind == ModelKind::kLora) return IsAdapterFolder(path);
  return kind == ModelKind::kModel && IsModelFolder(path);
}

// What was found in one root. The same file may be found by several ways.
class Finds {
 public:
  explicit Finds(ModelKind kind) : kind_(kind) {}

  void Add(const fs::path& path) {
    if (!IsWanted(path, kind_)) return;
    std::error_code error;
    if (seen_.insert(fs::canonical(path, error)).second) paths_.push_back(path);
  }
  const std::vector<fs::path>& Paths() const { return paths_; }

 private:
  ModelKind kind_;
  std::set<fs::path> seen_;
  std::vector<fs::path> paths_;
};

// Where the name itself says.
void LookAt(const fs::path& folder, const fs::path& name, Finds& finds) {
  finds.Add(folder / name);
  fs::path file = folder / name;
  file += kWeights;
  finds.Add(file);
}

// The folder that Hugging Face's cache has for ORG/NAME.
fs::path Repository(const fs::path& name) {
  std::string folder = "models--" + name.generic_string();
  const size_t slash = folder.find('/');
  if (slash != std::string::npos) folder.replace(slash, 1, "--");
  return folder;
}

class Search {
 public:
  Search(ModelKind kind, const fs::path& name) : kind_(kind), name_(name) {
    end_ = "/" + name.lexically_normal().generic_string();
    if (end_.ends_with(kWeights)) end_.resize(end_.size() - kWeights.size());
  }

  // What the name says itself.
  std::optional<fs::path> Direct(const fs::path& root) const {
    Finds finds(kind_);
    LookAt(root, name_, finds);
    LookAt(root / "models", name_, finds);
    for (const fs::path& place : PlacesOf(root, kind_)) LookAt(place, name_, finds);
    if (kind_ == ModelKind::kModel) {
      for (const char* below : {"", "hub"}) {
        for (const fs::path& snapshot : Snapshots(root / below / Repository(name_))) {
          finds.Add(snapshot);
        }
      }
    }
    return Only(finds);
  }

  // What the last parts of a path say.
  std::optional<fs::path> Deep(const fs::path& root) {
    std::vector<fs::path> places = PlacesOf(root, kind_);
    if (IsPlain(root)) places.push_back(root);
    Finds finds(kind_);
    const auto visit = [&](const TreeEntry& entry) {
      if (("/" + entry.name).ends_with(end_)) finds.Add(entry.path);
      if (("/" + entry.name).ends_with(end_ + ".ckpt")) pickles_.push_back(entry.path);
    };
    for (const fs::path& place : places) {
      if (!WalkModels(place, kDeepest, visit)) cut_.push_back(place);
    }
    return Only(finds);
  }

  const std::vector<fs::path>& Pickles() const { return pickles_; }
  const std::vector<fs::path>& Cut() const { return cut_; }

 private:
  std::optional<fs::path> Only(const Finds& finds) const {
    if (finds.Paths().empty()) return std::nullopt;
    if (finds.Paths().size() == 1) return finds.Paths().front();
    std::string list;
    for (const fs::path& path : finds.Paths()) list += (list.empty() ? "" : ", ") + path.string();
    throw Error(ErrorCode::kUsage, Printable(name_.string()) + " is the name of several: " + list +
                                       "; give more of its path");
  }

  ModelKind kind_;
  fs::path name_;
  std::string end_;
  std::vector<fs::path> pickles_, cut_;
};

std::string Joined(const std::vector<fs::path>& paths) {
  std::string text;
  for (const fs::path& path : paths) text += (text.empty() ? "" : ", ") + path.string();
  return text;
}

[[noreturn]] void RefusePickle(const fs::path& file) {
  throw Error(
      ErrorCode::kUnsupported,
      file.string() + ": a pickled checkpoint, which is not read; convert it to safetensors");
}

fs::path NoPickle(const fs::path& path) {
  const fs::path extension = path.extension();
  const bool pickled =
      extension == ".ckpt" || extension == ".pt" || extension == ".pth" || extension == ".bin";
  if (pickled && IsFile(path)) RefusePickle(path);
  return path;
}

fs::path Find(ModelKind kind, const char* what, const fs::path& name,
              const std::vector<fs::path>& search) {
  const std::string called = what + (" " + Printable(name.string()));
  const fs::path plain = name.lexically_normal();
  if (name.is_absolute() || plain.empty() || *plain.begin() == ".." || *plain.begin() == "." ||
      search.empty()) {
    throw Error(ErrorCode::kBadFile, called + ": does not exist");
  }
  Search finder(kind, name);
  for (const fs::path& root : search) {
    if (const auto found = finder.Direct(root)) return *found;
  }
  for (const fs::path& root : search) {
    if (const auto found = finder.Deep(root)) return *found;
  }
  if (!finder.Pickles().empty()) RefusePickle(finder.Pickles().front());
  throw Error(ErrorCode::kBadFile,
              called + ": is neither a path nor in " + Joined(search) +
                  (finder.Cut().empty()
                       ? ""
                       : ", of which " + Joined(finder.Cut()) + " was too large to look through"));
}

// By the names of its tensors; the file may be anything.
std::string KindOfFile(const fs::path& file) {
  try {
    const auto opened = SafetensorsFile::Open(file);
    for (const TensorEntry& entry : opened->Header().tensors) {
      const auto has = [&](std::string_view part) {
        return entry.name.find(part) != std::string::npos;
      };
      if (entry.name.starts_with("lora_") || has(".lora_") || has("_lora.")) return "lora";
      if (entry.name.starts_with("model.diffusion_model.")) return "checkpoint";
    }
    return "weights";
  } catch (const Error&) {
    return "unreadable";
  }
}

std::string KindOf(const TreeEntry& entry, ModelKind place, bool plain) {
  if (!IsFile(entry.path)) {
    if (IsFile(entry.path / "model_index.json")) return "pipeline";
    return IsModelFolder(entry.path) ? "component" : "tokenizer";
  }
  if (entry.path.extension() == ".ckpt") return "pickle";
  if (plain) return KindOfFile(entry.path);
  if (place == ModelKind::kLora) return "lora";
  if (place == ModelKind::kVae) return "vae";
  return place == ModelKind::kModel ? "checkpoint" : "weights";
}

// Of a folder the files in it and in the folders directly below.
uint64_t Bytes(const fs::path& path) {
  std::error_code error;
  if (IsFile(path)) return fs::file_size(path, error);
  uint64_t sum = 0;
  for (fs::recursive_directory_iterator it(path, error), end; !error && it != end;
       it.increment(error)) {
    if (it.depth() >= 1) it.disable_recursion_pending();
    std::error_code skip;
    const uint64_t size = it->is_regular_file(skip) ? it->file_size(skip) : 0;
    if (!skip) sum += size;
  }
  return sum;
}

}  // namespace

std::vector<fs::path> ModelSearchPath(const std::vector<std::string>& from_flags,
                                      const fs::path& built_in) {
  std::vector<fs::path> out(from_flags.begin(), from_flags.end());
  if (const char* variable = std::getenv("FOVEA_MODELS")) {
    const std::string_view list = variable;
    for (size_t begin = 0; begin <= list.size();) {
      const size_t end = std::min(list.find(':', begin), list.size());
      if (end > begin) out.emplace_back(list.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  for (const fs::path& home : DataHomes()) out.push_back(home / "fovea/models");
  if (!built_in.empty()) out.push_back(built_in);
  return out;
}

fs::path FindModel(const std::string& model, const std::vector<fs::path>& search) {
  std::error_code error;
  if (!model.empty() && fs::exists(model, error)) return NoPickle(model);
  return NoPickle(Find(ModelKind::kModel, "model", model.empty() ? kBuiltInModel : model, search));
}

fs::path FindLora(const std::string& name, const std::vector<fs::path>& search) {
  std::error_code error;
  const bool there = !name.empty() && fs::exists(name, error);
  const fs::path found =
      NoPickle(there ? fs::path(name) : Find(ModelKind::kLora, "LoRA", name, search));
  if (IsFile(found)) return found;
  const fs::path weights = found / kAdapterWeights;
  if (IsFile(weights)) return weights;
  if (IsFile(found / "adapter_model.bin")) RefusePickle(found / "adapter_model.bin");
  throw Error(ErrorCode::kBadFile, found.string() + ": is a folder without " + kAdapterWeights +
                                       ", which PEFT's adapters have; give a file");
}

ModelListing ListModels(const std::vector<fs::path>& search) {
  ModelListing listing;
  std::set<fs::path> seen;
  for (const fs::path& root : search) {
    const size_t first = listing.models.size();
    const auto walk = [&](const fs::path& place, ModelKind kind, bool plain, int depth) {
      const auto visit = [&](const TreeEntry& entry) {
        std::error_code error;
        if (!seen.insert(fs::canonical(entry.path, error)).second) return;
        listing.models.push_back(
            {entry.name, KindOf(entry, kind, plain), Bytes(entry.path), entry.path});
      };
      if (!WalkModels(place, depth, visit)) {
        listing.warnings.push_back(place.string() + ": too large, not all of it is listed");
      }
    };
    for (const ModelKind kind :
         {ModelKind::kModel, ModelKind::kLora, ModelKind::kVae, ModelKind::kTokenizer}) {
      for (const fs::path& place : PlacesOf(root, kind)) walk(place, kind, false, kDeepest);
    }
    // Of a tree only what lies in the root itself: all else there is the program's.
    walk(root, ModelKind::kModel, true, IsPlain(root) ? kDeepest : 0);
    std::sort(listing.models.begin() + static_cast<std::ptrdiff_t>(first), listing.models.end(),
              [](const ListedModel& a, const ListedModel& b) {
                return std::tie(a.kind, a.name) < std::tie(b.kind, b.name);
              });
  }
  return listing;
}

}  // namespace fovea
