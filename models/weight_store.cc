#include "models/weight_store.h"

#include <algorithm>
#include <cstring>

#include "models/ignorable_names.h"
#include "models/json_text.h"
#include "models/weight_files.h"
#include "tensor/error.h"

namespace fovea {
namespace {

[[noreturn]] void Bad(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kBadFile, where + ": " + what);
}

bool IsAligned(const Tensor& tensor) {
  return reinterpret_cast<uintptr_t>(tensor.data) % SizeOf(tensor.dtype) == 0;
}

HostTensor CopyOf(const Tensor& view) {
  HostTensor copy(view.shape, view.dtype);
  if (copy.Bytes() > 0) std::memcpy(copy.data(), view.data, copy.Bytes());
  return copy;
}

std::string ListNames(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  constexpr size_t kShown = 5;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i) {
    text += (i == 0 ? "" : ", ") + Printable(names[i]);
  }
  if (names.size() > kShown) text += " and " + std::to_string(names.size() - kShown) + " more";
  return text;
}

}  // namespace

std::shared_ptr<WeightStore> WeightStore::Open(const std::filesystem::path& path) {
  const WeightFiles files = FindWeightFiles(path);
  auto store = std::make_shared<WeightStore>();
  store->where_ = files.where.string();
  for (const auto& file : files.files) store->files_.push_back(SafetensorsFile::Open(file));
  if (files.sharded) {
    store->AddShards(files.weight_map);
  } else {
    const auto& file = store->files_.front();
    for (const TensorEntry& entry : file->Header().tensors) {
      store->slots_[entry.name] = {.file = file.get(), .entry = &entry};
    }
  }
  return store;
}

void WeightStore::AddShards(const std::map<std::string, std::string>& weight_map) {
  for (const auto& file : files_) {
    const std::string shard = file->Path().filename().string();
    for (const TensorEntry& entry : file->Header().tensors) {
      const auto listed = weight_map.find(entry.name);
      if (listed != weight_map.end() && listed->second == shard) {
        slots_[entry.name] = {.file = file.get(), .entry = &entry};
      } else {
        unlisted_.push_back(entry.name);
      }
    }
  }
  for (const auto& [name, shard] : weight_map) {
    if (!slots_.contains(name)) {
      Bad(where_, "lists tensor " + Printable(name) + " in " + shard + ", which does not have it");
    }
  }
}

bool WeightStore::Has(std::string_view name) const {
  return slots_.contains(name);
}

Shape WeightStore::ShapeOf(std::string_view name) const {
  return Find(name, nullptr).entry->shape;
}

WeightStore::Slot& WeightStore::Find(std::string_view name, const Shape* expected) const {
  const auto found = slots_.find(name);
  if (found == slots_.end()) {
    Bad(where_, "tensor " + std::string(name) + " is missing" +
                    (expected ? "; the model needs it with shape " + expected->ToString() : ""));
  }
  Slot& slot = found->second;
  const std::string what = "tensor " + std::string(name) + " ";
  if (!slot.entry->refusal.empty()) Bad(slot.file->Path().string(), what + slot.entry->refusal);
  if (expected && !(slot.entry->shape == *expected)) {
    Bad(slot.file->Path().string(), what + "has shape " + slot.entry->shape.ToString() +
                                        ", but the model needs " + expected->ToString());
  }
  return slot;
}

WeightStore::Slot& WeightStore::Read(std::string_view name, const Shape& expected) const {
  Slot& slot = Find(name, &expected);
  if (!IsFloat(slot.entry->dtype)) {
    Bad(slot.file->Path().string(), "tensor " + std::string(name) + " has dtype " +
                                        slot.entry->file_dtype +
                                        ", but weights are F32, F16, BF16 or F64");
  }
  slot.read = true;
  return slot;
}

const HostTensor* WeightStore::Keep(HostTensor tensor) const {
  converted_bytes_ += tensor.Bytes();
  return &copies_.emplace_back(std::move(tensor));
}

Tensor WeightStore::Get(std::string_view name, const Shape& expected) const {
  if (Find(name, &expected).entry->dtype == DType::kF64) return GetF32(name, expected);
  Slot& slot = Read(name, expected);
  const Tensor view = slot.file->View(*slot.entry);
  if (IsAligned(view)) return view;
  if (slot.copy == nullptr) slot.copy = Keep(CopyOf(view));
  return slot.copy->View();
}

Tensor WeightStore::GetF32(std::string_view name, const Shape& expected) const {
  Slot& slot = Read(name, expected);
  if (slot.entry->dtype == DType::kF32) return Get(name, expected);
  if (slot.f32 == nullptr) slot.f32 = Keep(CopyOf(slot.file->View(*slot.entry)).ToF32());
  return slot.f32->View();
}

bool WeightStore::IsMapped(const Tensor& tensor) const {
  return std::any_of(files_.begin(), files_.end(),
                     [&](const auto& file) { return file->Holds(tensor); });
}

void WeightStore::CheckAllRead() const {
  std::vector<std::string> surplus;
  for (const auto& [name, slot] : slots_) {
    if (!slot.read && !IsIgnorable(name)) surplus.push_back(name);
  }
  if (!surplus.empty()) {
    Bad(where_, "tensors that the model does not have: " + ListNames(surplus) +
                    "; check that config.json is this checkpoint's");
  }
  for (const std::string& name : unlisted_) {
    if (!IsIgnorable(name)) surplus.push_back(name);
  }
  if (!surplus.empty()) {
    Bad(where_, "tensors in its shards that it does not list: " + ListNames(surplus));
  }
}

size_t WeightStore::MappedBytes() const {
  size_t bytes = 0;
  for (const auto& [name, slot] : slots_) bytes += slot.entry->end - slot.entry->begin;
  return bytes;
}

std::vector<TensorEntry> WeightStore::Entries() const {
  std::vector<TensorEntry> entries;
  for (const auto& [name, slot] : slots_) entries.push_back(*slot.entry);
  std::sort(entries.begin(), entries.end(),
            [](const TensorEntry& a, const TensorEntry& b) { return a.name < b.name; });
  return entries;
}

}  // namespace fovea
