// The tensors of one component's checkpoint: one file, or shards with an index.
//
// Loading is strict. Every tensor of the files must be read by the model or be in the table of names
// known to be ignorable; every tensor that the model asks for must exist in the expected shape.
#pragma once

#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "models/safetensors.h"
#include "tensor/weight.h"

namespace fovea {

class WeightStore {
 public:
  // A .safetensors file, or a folder with <stem>.safetensors, <stem>.fp16.safetensors or
  // <stem>.safetensors.index.json for stem "diffusion_pytorch_model" or "model".
  static std::shared_ptr<WeightStore> Open(const std::filesystem::path& path);

  bool Has(std::string_view name) const;
  // A view of the mapped file, marked as read. Throws kBadFile naming the file, the tensor and, on
  // a mismatch, both shapes.
  Tensor Get(std::string_view name, const Shape& expected) const;
  // The same as f32: a view where the file holds aligned f32, else a converted copy that the store
  // keeps. For small parameters (norms, biases).
  Tensor GetF32(std::string_view name, const Shape& expected) const;
  // Throws kBadFile listing the tensors that nothing has read and the table does not excuse.
  void CheckAllRead() const;
  // Mapped bytes, and bytes of converted copies.
  size_t MappedBytes() const;
  size_t ConvertedBytes() const { return converted_bytes_; }
  std::vector<TensorEntry> Entries() const;  // sorted by name
  const std::string& Where() const { return where_; }

 private:
  struct Slot;
  std::string where_;
  std::vector<std::shared_ptr<const SafetensorsFile>> files_;
  std::unordered_map<std::string, Slot> slots_;
  mutable std::deque<HostTensor> converted_;
  mutable size_t converted_bytes_ = 0;
};

// A store seen through a prefix, so that modules name their members as the checkpoint does:
// w.Sub("attn1").Linear("to_q", 320, 320, false).
class WeightScope {
 public:
  explicit WeightScope(const WeightStore& store, std::string prefix = {})
      : store_(&store), prefix_(std::move(prefix)) {}
  WeightScope Sub(std::string_view name) const;      // prefix + name + "."
  WeightScope Sub(std::string_view name, int index) const;  // prefix + name.index.
  bool Has(std::string_view name) const;
  const std::string& Prefix() const { return prefix_; }
  std::string Path() const;                          // the prefix without its last dot

  Tensor Get(std::string_view name, const Shape& expected) const;
  Tensor F32(std::string_view name, const Shape& expected) const;
  // name.weight (out, in) and, if asked, name.bias (out).
  Weight Linear(std::string_view name, int64_t in, int64_t out, bool bias = true) const;
  Weight Conv2d(std::string_view name, int64_t in, int64_t out, int kernel, bool bias = true) const;

 private:
  const WeightStore* store_;
  std::string prefix_;
};

}  // namespace fovea
