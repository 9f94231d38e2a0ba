// The tensors of one component's checkpoint: one file, or shards with an index.
//
// Loading is strict. Every tensor of the files must be read by the model or be in the table of
// names known to be ignorable; every tensor that the model asks for must exist in the expected
// shape.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "models/files/safetensors.h"
#include "models/tensor_names.h"
#include "models/weight_deltas.h"
#include "tensor/weights/weight.h"

namespace fovea {

class WeightStore {
 public:
  // A .safetensors file, or a folder searched as models/weight_files.h says. With `names` the store
  // holds what they own and is asked by the model's names; messages name the file's tensors.
  static std::shared_ptr<WeightStore> Open(const std::filesystem::path& path,
                                           std::shared_ptr<const TensorNames> names = nullptr);
  // From now on added to the weights that WeightScope makes, and to the vectors of GetF32.
  void SetDeltas(std::shared_ptr<const WeightDeltas> deltas) { deltas_ = std::move(deltas); }

  // From now on the tensors of a .safetensors file stand for those of the same names: the model's
  // names, and shapes, which the files must have as well, save for what FindF32 asks for. Throws
  // kBadFile. Once, before anything is read.
  void SetOverlay(const std::filesystem::path& path);

  bool Has(std::string_view name) const;
  // The file's shape, to choose between forms of one weight. Throws as Get does; not marked as
  // read.
  Shape ShapeOf(std::string_view name) const;
  // Floats, marked as read: a view of the mapped file in the file's dtype; where the file holds
  // them misaligned or as f64, an aligned copy (f64 as f32) that the store keeps. Throws kBadFile
  // naming the file, the tensor and, on a mismatch, both shapes. Parts of a stored tensor are
  // views, too; a transposed one is a copy in f32, one with swapped halves a copy.
  Tensor Get(std::string_view name, const Shape& expected) const;
  // The same as f32: converted where the file holds another type. For norms, biases, with what
  // deltas add to them.
  Tensor GetF32(std::string_view name, const Shape& expected) const;
  // The same for a tensor of any shape that a model may have or not, of the files or of the overlay
  // alone. Nothing: there is none.
  std::optional<Tensor> FindF32(std::string_view name) const;
  bool IsMapped(const Tensor& tensor) const;  // whether its bytes are the file's
  // What is added to `weight` of the layer at `path`, which Get gave, or null.
  std::shared_ptr<const WeightDelta> Delta(std::string_view path, const Tensor& weight) const;
  // Throws kBadFile listing the tensors that nothing has read and the table does not excuse, of the
  // overlay without excuse, or the deltas that fit no layer.
  void CheckAllRead() const;
  // Bytes of the files' data, and of the copies and deltas that were asked for.
  size_t MappedBytes() const;
  size_t ConvertedBytes() const { return converted_bytes_; }
  std::vector<TensorEntry> Entries() const;  // sorted by name
  // The first tensor of the files or the overlay, by name, that holds NaN or infinity: "tensor NAME
  // of FILE", or empty. Reads all of them: for explaining a failure.
  std::string FindNotFinite() const;
  const std::string& Where() const { return where_; }

 private:
  struct Slot {
    const SafetensorsFile* file = nullptr;
    const TensorEntry* entry = nullptr;
    bool read = false;
  };
  struct Found {
    Slot* slot = nullptr;
    Slot* replaced = nullptr;  // by the overlay's, which `slot` then is
    StoredTensor stored;
    Shape shape;  // of what the model sees of it
  };
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };

  void AddShards(const std::map<std::string, std::string>& weight_map);
  const StoredTensor* Locate(std::string_view name, std::vector<StoredTensor>& candidates) const;
  Found Find(std::string_view name, const Shape* expected) const;
  Found Read(std::string_view name, const Shape& expected) const;
  Tensor ViewOf(const Found& found) const;  // of the file
  HostTensor CopyAsAsked(const Found& found) const;
  Tensor StoredF32(std::string_view name, const Shape& expected) const;  // without additions
  Tensor Keep(const std::string& key, HostTensor tensor) const;

  std::string where_;
  std::vector<std::shared_ptr<const SafetensorsFile>> files_;
  mutable std::unordered_map<std::string, Slot, Hash, std::equal_to<>> slots_;
  mutable std::unordered_map<std::string, Slot, Hash, std::equal_to<>> overlay_;
  std::vector<std::string> unlisted_;  // in a shard, but not in the index
  std::shared_ptr<const TensorNames> names_;
  std::shared_ptr<const WeightDeltas> deltas_;
  mutable std::unordered_map<std::string, HostTensor> copies_;  // by kind and the model's name
  mutable size_t converted_bytes_ = 0;
};

// A store seen through a prefix, so that modules name their members as the checkpoint does:
// w.Sub("attn1").Linear("to_q", 320, 320, false).
class WeightScope {
 public:
  explicit WeightScope(const WeightStore& store, std::string prefix = {})
      : store_(&store), prefix_(std::move(prefix)) {}
  WeightScope Sub(std::string_view name) const;             // prefix + name + "."
  WeightScope Sub(std::string_view name, int index) const;  // prefix + name.index.
  bool Has(std::string_view name) const;
  const std::string& Prefix() const { return prefix_; }
  std::string Path() const;  // the prefix without its last dot

  Tensor Get(std::string_view name, const Shape& expected) const;
  Tensor F32(std::string_view name, const Shape& expected) const;
  std::optional<Tensor> FindF32(std::string_view name) const;
  // name.weight (out, in) and, if asked, name.bias (out). A 1x1 filter bank (out, in, 1, 1) serves
  // as a matrix and a matrix as a 1x1 filter bank: checkpoints hold the same weights either way.
  Weight Linear(std::string_view name, int64_t in, int64_t out, bool bias = true) const;
  Weight Conv2d(std::string_view name, int64_t in, int64_t out, int kernel, bool bias = true) const;

 private:
  const WeightStore* store_;
  std::string prefix_;
};

}  // namespace fovea
