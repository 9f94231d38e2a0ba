// The folder trees in which people keep models: A1111's, ComfyUI's, Hugging Face's cache, plain
// folders.
//
// A1111 and ComfyUI have a folder for each kind ("Stable-diffusion", "checkpoints", "Lora", ...),
// perhaps below "models", with folders of the user's own inside. A root without folders for models
// and LoRA files is plain: anything may lie anywhere. Hugging Face's cache keeps
// models--ORG--NAME/snapshots/HASH.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fovea {

enum class ModelKind : uint8_t { kModel, kLora, kVae, kTokenizer };

// Names of the folders that are there for a kind, in the order in which they are looked through.
std::span<const std::string_view> KindFolders(ModelKind kind);

struct TreeEntry {
  std::filesystem::path path;  // a model's folder, a tokenizer's, or a file of weights
  std::string name;            // below the folder of its kind, without .safetensors; ORG/NAME
};

bool IsModelFolder(const std::filesystem::path& folder);  // has model_index.json or config.json

// The folders of `root` for this kind that exist, each once.
std::vector<std::filesystem::path> PlacesOf(const std::filesystem::path& root, ModelKind kind);
bool IsPlain(const std::filesystem::path& root);

// Everything that a TreeEntry can be below `place`, sorted by folder, at most `depth` folders down;
// does not look into models' folders, hidden folders and the folders of kinds. Links in a circle
// end. What cannot be read is passed over. False if there was more: more entries than kMostEntries,
// or deeper than kDeepest.
constexpr int kMostEntries = 20000;
constexpr int kDeepest = 8;
bool WalkModels(const std::filesystem::path& place, int depth,
                const std::function<void(const TreeEntry&)>& visit);

// The snapshots of a folder models--ORG--NAME: the one that its "main" names, else all.
std::vector<std::filesystem::path> Snapshots(const std::filesystem::path& repository);

}  // namespace fovea
