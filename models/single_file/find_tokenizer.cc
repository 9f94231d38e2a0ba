#include "models/single_file/find_tokenizer.h"

#include <algorithm>
#include <functional>
#include <string>

#include "models/clip/clip_tokenizer.h"
#include "models/search/model_tree.h"
#include "models/t5/t5_tokenizer.h"
#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

bool IsFile(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

std::vector<fs::path> FoldersIn(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->is_directory(ignored)) out.push_back(it->path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

bool Fits(const fs::path& folder, int vocabulary) {
  if (!HoldsTokenizer(folder)) return false;
  try {
    return ClipTokenizer::Open(folder)->Vocabulary() == vocabulary;
  } catch (const Error&) {
    return false;  // another kind of tokenizer, or a broken one
  }
}

// The first of the places where people keep models, and their folders `names`, that `fits`.
std::optional<fs::path> FindFolder(const std::vector<fs::path>& search,
                                   const std::vector<std::string>& names,
                                   const std::function<bool(const fs::path&)>& fits) {
  for (const fs::path& root : search) {
    std::vector<fs::path> places{root, root / "hub"};
    for (const ModelKind kind : {ModelKind::kModel, ModelKind::kTokenizer}) {
      for (fs::path& place : PlacesOf(root, kind)) places.push_back(std::move(place));
    }
    std::vector<fs::path> folders{root};
    for (const fs::path& place : places) {
      for (fs::path& folder : FoldersIn(place)) {
        const std::vector<fs::path> snapshots = Snapshots(folder);
        folders.push_back(std::move(folder));
        folders.insert(folders.end(), snapshots.begin(), snapshots.end());
      }
    }
    for (const fs::path& folder : folders) {
      for (const std::string& name : names) {
        fs::path candidate = name.empty() ? folder : folder / name;
        if (fits(candidate)) return candidate;
      }
    }
  }
  return std::nullopt;
}

}  // namespace

bool HoldsTokenizer(const fs::path& folder) {
  return IsFile(folder / "tokenizer.json") ||
         (IsFile(folder / "vocab.json") && IsFile(folder / "merges.txt"));
}

bool HoldsT5Tokenizer(const fs::path& folder) {
  if (!IsFile(folder / "tokenizer.json") && !IsFile(folder / "spiece.model")) return false;
  try {
    T5Tokenizer::Open(folder);
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::optional<fs::path> FindTokenizer(const std::vector<fs::path>& search, int vocabulary) {
  return FindFolder(search, {"", "tokenizer"},
                    [&](const fs::path& folder) { return Fits(folder, vocabulary); });
}

std::optional<fs::path> FindT5Tokenizer(const std::vector<fs::path>& search) {
  return FindFolder(search, {"", "tokenizer", "tokenizer_2", "tokenizer_3"}, HoldsT5Tokenizer);
}

}  // namespace fovea
