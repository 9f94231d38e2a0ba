#include "models/weight_store.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "models/files/json_text.h"
#include "models/ignorable_names.h"
#include "models/weight_files.h"
#include "tensor/error.h"
#include "tensor/finite.h"

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

HostTensor Transposed(const HostTensor& matrix) {  // f32
  const int64_t rows = matrix.shape()[0], columns = matrix.shape()[1];
  HostTensor out({columns, rows}, DType::kF32);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      out.Data<float>()[c * rows + r] = matrix.Data<float>()[r * columns + c];
    }
  }
  return out;
}

void CheckFloats(const SafetensorsFile& file, const TensorEntry& entry) {
  if (IsFloat(entry.dtype)) return;
  Bad(file.Path().string(), "tensor " + entry.name + " has dtype " + entry.file_dtype +
                                ", but weights are F32, F16, BF16 or F64");
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

std::shared_ptr<WeightStore> WeightStore::Open(const std::filesystem::path& path,
                                               std::shared_ptr<const TensorNames> names) {
  const WeightFiles files = FindWeightFiles(path);
  auto store = std::make_shared<WeightStore>();
  store->where_ = files.where.string();
  store->names_ = std::move(names);
  for (const auto& file : files.files) store->files_.push_back(SafetensorsFile::Open(file));
  if (files.sharded) {
    store->AddShards(files.weight_map);
  } else {
    const auto& file = store->files_.front();
    for (const TensorEntry& entry : file->Header().tensors) {
      if (store->names_ && !store->names_->Owns(entry.name)) continue;
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

const StoredTensor* WeightStore::Locate(std::string_view name,
                                        std::vector<StoredTensor>& candidates) const {
  if (names_) {
    candidates = names_->Find(name);
  } else {
    candidates.assign(1, {.name = std::string(name)});
  }
  const auto found = std::find_if(candidates.begin(), candidates.end(),
                                  [&](const auto& each) { return slots_.contains(each.name); });
  return found == candidates.end() ? nullptr : &*found;
}

void WeightStore::SetOverlay(const std::filesystem::path& path) {
  ENSURE(overlay_.empty());
  const auto file = SafetensorsFile::Open(path);
  files_.push_back(file);
  for (const TensorEntry& entry : file->Header().tensors) {
    overlay_[entry.name] = {.file = file.get(), .entry = &entry};
  }
  if (overlay_.empty()) Bad(path.string(), "an overlay without tensors");
}

bool WeightStore::Has(std::string_view name) const {
  std::vector<StoredTensor> candidates;
  return Locate(name, candidates) != nullptr;
}

Shape WeightStore::ShapeOf(std::string_view name) const {
  return Find(name, nullptr).shape;
}

WeightStore::Found WeightStore::Find(std::string_view name, const Shape* expected) const {
  std::vector<StoredTensor> candidates;
  const StoredTensor* stored = Locate(name, candidates);
  if (stored == nullptr) {
    const std::string missing = candidates.empty() ? std::string(name) : candidates.front().name;
    Bad(where_, "tensor " + missing + " is missing" +
                    (expected ? "; the model needs it with shape " + expected->ToString() : ""));
  }
  Found found{&slots_.find(stored->name)->second, nullptr, *stored, {}};
  if (const auto over = overlay_.find(name); over != overlay_.end()) {
    found.replaced = found.slot;
    found.slot = &over->second;
    found.stored = {.name = over->first};
    stored = &found.stored;
  }
  const TensorEntry& entry = *found.slot->entry;
  const std::string file = found.slot->file->Path().string();
  const std::string what = "tensor " + stored->name + " ";
  if (!entry.refusal.empty()) Bad(file, what + entry.refusal);
  found.shape = entry.shape;
  if (stored->parts > 1) {
    if (entry.shape.rank == 0 || entry.shape[0] % stored->parts != 0) {
      Bad(file, what + "has shape " + entry.shape.ToString() + ", which does not fall into " +
                    std::to_string(stored->parts) + " equal parts");
    }
    found.shape.dim[0] = found.shape.dim[0] / stored->parts * stored->count;
  }
  if (stored->swapped && (entry.shape.rank == 0 || entry.shape[0] % 2 != 0)) {
    Bad(file, what + "has shape " + entry.shape.ToString() + ", which has no two halves");
  }
  if (stored->transposed) {
    if (entry.shape.rank != 2) {
      Bad(file, what + "has shape " + entry.shape.ToString() + ", but must be a matrix");
    }
    found.shape = {entry.shape[1], entry.shape[0]};
  }
  if (expected && !(found.shape == *expected)) {
    const bool whole = stored->parts == 1 && !stored->transposed;
    Bad(file, what + "has shape " + entry.shape.ToString() + ", but the model needs " +
                  expected->ToString() + (whole ? "" : " for its " + std::string(name)));
  }
  return found;
}

WeightStore::Found WeightStore::Read(std::string_view name, const Shape& expected) const {
  const Found found = Find(name, &expected);
  CheckFloats(*found.slot->file, *found.slot->entry);
  found.slot->read = true;
  if (found.replaced != nullptr) found.replaced->read = true;
  return found;
}

Tensor WeightStore::ViewOf(const Found& found) const {
  const Tensor whole = found.slot->file->View(*found.slot->entry);
  if (found.stored.parts == 1) return whole;
  const int64_t rows = whole.shape[0] / found.stored.parts;
  return whole.Slice(0, found.stored.part * rows, found.stored.count * rows);
}

HostTensor WeightStore::CopyAsAsked(const Found& found) const {
  HostTensor copy = CopyOf(ViewOf(found));
  if (found.stored.swapped) {
    auto* bytes = static_cast<std::byte*>(copy.data());
    std::rotate(bytes, bytes + copy.Bytes() / 2, bytes + copy.Bytes());
  }
  return copy;
}

Tensor WeightStore::Keep(const std::string& key, HostTensor tensor) const {
  converted_bytes_ += tensor.Bytes();
  return copies_.emplace(key, std::move(tensor)).first->second.View();
}

Tensor WeightStore::Get(std::string_view name, const Shape& expected) const {
  const Found found = Read(name, expected);
  if (found.slot->entry->dtype == DType::kF64 || found.stored.transposed) {
    return StoredF32(name, expected);
  }
  const Tensor view = ViewOf(found);
  if (IsAligned(view) && !found.stored.swapped) return view;
  const std::string key = "aligned " + std::string(name);
  if (const auto kept = copies_.find(key); kept != copies_.end()) return kept->second.View();
  return Keep(key, CopyAsAsked(found));
}

Tensor WeightStore::GetF32(std::string_view name, const Shape& expected) const {
  const Tensor stored = StoredF32(name, expected);
  if (deltas_ == nullptr || expected.rank != 1 || !deltas_->HasVector(name)) return stored;
  const std::string key = "sum " + std::string(name);
  if (const auto kept = copies_.find(key); kept != copies_.end()) return kept->second.View();
  HostTensor sum = CopyOf(stored);
  deltas_->AddToVector(name, sum);
  return Keep(key, std::move(sum));
}

Tensor WeightStore::StoredF32(std::string_view name, const Shape& expected) const {
  const Found found = Read(name, expected);
  if (found.slot->entry->dtype == DType::kF32 && !found.stored.transposed) {
    return Get(name, expected);
  }
  const std::string key = "f32 " + std::string(name);
  if (const auto kept = copies_.find(key); kept != copies_.end()) return kept->second.View();
  const HostTensor values = CopyAsAsked(found).ToF32();
  return Keep(key, found.stored.transposed ? Transposed(values) : values);
}

std::optional<Tensor> WeightStore::FindF32(std::string_view name) const {
  if (Has(name)) return GetF32(name, ShapeOf(name));
  const auto over = overlay_.find(name);
  if (over == overlay_.end()) return std::nullopt;
  Slot& slot = over->second;
  const TensorEntry& entry = *slot.entry;
  if (!entry.refusal.empty()) {
    Bad(slot.file->Path().string(), "tensor " + entry.name + " " + entry.refusal);
  }
  CheckFloats(*slot.file, entry);
  slot.read = true;
  return Keep("f32 " + std::string(name), CopyOf(slot.file->View(entry)).ToF32());
}

std::shared_ptr<const WeightDelta> WeightStore::Delta(std::string_view path,
                                                      const Tensor& weight) const {
  const auto delta = deltas_ ? deltas_->Find(path, weight) : nullptr;
  if (delta != nullptr) converted_bytes_ += delta->Bytes();
  return delta;
}

bool WeightStore::IsMapped(const Tensor& tensor) const {
  return std::any_of(files_.begin(), files_.end(),
                     [&](const auto& file) { return file->Holds(tensor); });
}

void WeightStore::CheckAllRead() const {
  std::vector<std::string> surplus;
  for (const auto& [name, slot] : slots_) {
    if (slot.read || IsIgnorable(name) || (names_ && names_->Excuses(name))) continue;
    surplus.push_back(name);
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
  for (const auto& [name, slot] : overlay_) {
    if (!slot.read) surplus.push_back(name);
  }
  if (!surplus.empty()) {
    Bad(files_.back()->Path().string(),
        "an overlay's tensors that the model does not have: " + ListNames(surplus) +
            "; they must have the model's own names");
  }
  if (deltas_) deltas_->CheckAllUsed();
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

std::string WeightStore::FindNotFinite() const {
  std::map<std::string_view, const Slot*> sorted;
  for (const auto& [name, slot] : slots_) sorted[name] = &slot;
  for (const auto& [name, slot] : overlay_) sorted[name] = &slot;
  for (const auto& [name, slot] : sorted) {
    if (!slot->entry->refusal.empty() || AllFinite(slot->file->View(*slot->entry))) continue;
    return "tensor " + Printable(name) + " of " + slot->file->Path().string();
  }
  return {};
}

}  // namespace fovea
