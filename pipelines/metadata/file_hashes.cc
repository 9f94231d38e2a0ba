#include "pipelines/metadata/file_hashes.h"

#include <algorithm>
#include <fstream>

#include "models/files/sha256.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

// Of a safetensors file: behind the length of the header, 8 bytes, and the header.
uint64_t EndOfHeader(const fs::path& file) {
  unsigned char bytes[8] = {};
  std::ifstream(file, std::ios::binary).read(reinterpret_cast<char*>(bytes), sizeof bytes);
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | bytes[i];
  return 8 + std::min(length, uint64_t{1} << 40);
}

void Hash(const fs::path& model, const fs::path& overlay, const std::vector<fs::path>& loras,
          const std::stop_token& stop, FileHashes& out) {
  const auto hash = [&](const fs::path& file, uint64_t begin) {
    try {
      return Sha256OfFile(file, begin, stop).value_or("");
    } catch (const std::exception&) {
      return std::string();  // the run itself says what is wrong with its files
    }
  };
  for (const fs::path& file : loras) {
    std::string digest = hash(file, EndOfHeader(file));
    // All of PEFT's have one name; their folders tell them apart.
    const bool peft = file.filename() == "adapter_model.safetensors";
    const fs::path name = peft ? fs::absolute(file).parent_path().filename() : file.stem();
    if (!digest.empty()) out.loras.emplace_back(name.string(), std::move(digest));
  }
  if (!overlay.empty()) out.overlay = hash(overlay, 0);
  if (!model.empty()) out.model = hash(model, 0);
}

}  // namespace

FileHasher::FileHasher(const ModelFolder& model) {
  fs::path single, overlay;
  std::vector<fs::path> loras;
  for (const ComponentFolder& component : model.components) {
    if (!component.single_file.empty()) single = component.single_file;
    if (!component.overlay.empty()) overlay = component.overlay;
    for (const LoraChoice& lora : component.loras) {
      if (std::find(loras.begin(), loras.end(), lora.file) == loras.end()) {
        loras.push_back(lora.file);
      }
    }
  }
  if (single.empty() && overlay.empty() && loras.empty()) return;
  thread_ = std::jthread([this, single, overlay, loras](const std::stop_token& stop) {
    Hash(single, overlay, loras, stop, hashes_);
  });
}

const FileHashes& FileHasher::Wait() {
  if (thread_.joinable()) thread_.join();
  return hashes_;
}

}  // namespace fovea
