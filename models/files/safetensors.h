// The safetensors format: a JSON header, then the bytes of the tensors.
//
// Reading checks every size, offset, overlap and nesting before use; the bytes stay memory-mapped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tensor/memory/host_tensor.h"

namespace fovea {

struct TensorEntry {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  uint64_t begin = 0, end = 0;  // bytes in the data section
  std::string file_dtype;       // as the file spells it: "F16"
  std::string refusal;  // why it cannot be viewed (dtype and shape are then unset), or empty
};

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;  // sorted by name
  std::map<std::string, std::string> metadata;
  uint64_t data_begin = 0;  // offset of the data section in the file
};

// Parses a whole file's bytes, or its first part when `file_size` says that more follows.
// `where` names the file in messages. Throws kBadFile. Pure; fuzzed.
SafetensorsHeader ParseSafetensorsHeader(std::span<const std::byte> bytes, uint64_t file_size,
                                         const std::string& where);

// A file mapped read-only. Views stay valid while it lives.
class SafetensorsFile {
 public:
  static std::shared_ptr<const SafetensorsFile> Open(const std::filesystem::path& path);
  ~SafetensorsFile();
  const std::filesystem::path& Path() const { return path_; }
  const SafetensorsHeader& Header() const { return header_; }
  // May be unaligned for its type. Throws kBadFile for an entry with a refusal.
  Tensor View(const TensorEntry& entry) const;
  bool Holds(const Tensor& tensor) const;  // whether its bytes are this file's
  // Tells the kernel that these bytes have been copied elsewhere and need not stay resident.
  void Forget(const Tensor& view) const;

 private:
  SafetensorsFile() = default;
  std::filesystem::path path_;
  SafetensorsHeader header_;
  void* map_ = nullptr;
  size_t size_ = 0;
};

// Reads a small file whole; every tensor must be viewable.
NamedTensors ReadSafetensors(const std::filesystem::path& path);
// Writes under a temporary name, then renames. Throws kBadFile. Equal content gives equal bytes.
void WriteSafetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                      const std::map<std::string, std::string>& metadata = {});

}  // namespace fovea
