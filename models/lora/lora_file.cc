#include "models/lora/lora_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "models/files/json_text.h"
#include "models/lora/lora_metadata.h"
#include "tensor/error.h"
#include "tensor/finite.h"

namespace fovea {
namespace {

[[noreturn]] void Bad(const std::filesystem::path& path, const std::string& what) {
  throw Error(ErrorCode::kBadFile, path.string() + ": " + what);
}

std::string DimsOf(const TensorEntry& entry) {
  return Printable(entry.name) + " " + entry.shape.ToString();
}

// (rank, rank, kh, kw) between (rank, in) and (out, rank): as one `down` (rank, in * kh * kw).
HostTensor FoldMid(const HostTensor& mid, const HostTensor& down) {
  const int64_t rank = mid.shape()[0], inner = mid.shape()[1];
  const int64_t positions = mid.shape()[2] * mid.shape()[3];
  const int64_t in = down.NumElements() / inner;
  HostTensor out({rank, in * positions}, DType::kF32);
  for (int64_t p = 0; p < rank; ++p) {
    for (int64_t i = 0; i < in; ++i) {
      for (int64_t k = 0; k < positions; ++k) {
        double sum = 0;
        for (int64_t q = 0; q < inner; ++q) {
          sum += double{mid.Data<float>()[(p * inner + q) * positions + k]} *
                 down.Data<float>()[q * in + i];
        }
        out.Data<float>()[(p * in + i) * positions + k] = static_cast<float>(sum);
      }
    }
  }
  return out;
}

// Whether `shape` is (rows, columns), with or without axes of size 1 behind.
bool IsMatrix(const Shape& shape, int64_t rows, int64_t columns) {
  if (shape.rank < 2 || shape[0] != rows || shape[1] != columns) return false;
  return shape.NumElements() == rows * columns;
}

}  // namespace

std::shared_ptr<const LoraFile> LoraFile::Open(const std::filesystem::path& path) {
  std::shared_ptr<LoraFile> lora(new LoraFile);
  lora->file_ = SafetensorsFile::Open(path);
  const SafetensorsHeader& header = lora->file_->Header();
  std::string strays;
  size_t stray_count = 0;
  for (const TensorEntry& entry : header.tensors) {
    const ParsedLoraKey parsed = ParseLoraKey(entry.name);
    const std::string tensor = "tensor " + Printable(entry.name);
    if (!parsed.refusal.empty()) {
      throw Error(ErrorCode::kUnsupported, path.string() + ": " + tensor + " is of " +
                                               parsed.refusal +
                                               "; only LoRA's own products "
                                               "(lora_down, lora_up, lora_mid, alpha) are added");
    }
    if (!parsed.known) {
      if (++stray_count <= 5) strays += (strays.empty() ? "" : ", ") + Printable(entry.name);
      continue;
    }
    if (!entry.refusal.empty()) Bad(path, tensor + " " + entry.refusal);
    const LoraKey& key = parsed.key;
    LoraLayer& layer = lora->layers_[key.component + "/" + key.path];
    const TensorEntry** part = key.role == LoraRole::kDown  ? &layer.down
                               : key.role == LoraRole::kUp  ? &layer.up
                               : key.role == LoraRole::kMid ? &layer.mid
                                                            : nullptr;
    if (part != nullptr) {
      if (*part != nullptr) {
        Bad(path, tensor + " and " + Printable((*part)->name) + " are of one layer");
      }
      if (!IsFloat(entry.dtype)) {
        Bad(path, tensor + " has dtype " + entry.file_dtype + ", but must hold floats");
      }
      *part = &entry;
    } else {
      if (entry.shape.NumElements() != 1 || entry.dtype == DType::kBool) {
        Bad(path, tensor + " has shape " + entry.shape.ToString() + ", but must be one number");
      }
      layer.alpha = double{lora->Read(entry).Data<float>()[0]};
      if (!std::isfinite(*layer.alpha)) Bad(path, tensor + " is not a finite number");
    }
    if (layer.name.empty()) layer.name = key.layer;
    layer.component = key.component;
  }
  if (stray_count > 0) {
    Bad(path, "tensors that are of no LoRA: " + strays +
                  (stray_count > 5 ? " and " + std::to_string(stray_count - 5) + " more" : ""));
  }
  if (lora->layers_.empty()) Bad(path, "holds no LoRA: it has no tensors");
  const LoraMetadata metadata = ReadLoraMetadata(header.metadata, path.string());
  for (auto& [key, layer] : lora->layers_) {
    const std::string name = "layer " + Printable(layer.name);
    if (layer.down == nullptr || layer.up == nullptr) {
      Bad(path, name + " lacks its " + (layer.down == nullptr ? "down" : "up") + " matrix");
    }
    if (!layer.alpha) layer.alpha = metadata.Alpha(layer.component, layer.name);
  }
  return lora;
}

std::vector<std::string> LoraFile::Components() const {
  std::set<std::string> names;
  for (const auto& [key, layer] : layers_) names.insert(layer.component);
  return {names.begin(), names.end()};
}

HostTensor LoraFile::Read(const TensorEntry& entry) const {
  const Tensor view = file_->View(entry);
  HostTensor copy(view.shape, view.dtype);
  if (copy.Bytes() > 0) std::memcpy(copy.data(), view.data, copy.Bytes());
  return copy.ToF32();
}

LowRankProduct LoraFile::Product(const LoraLayer& layer, const Shape& weight, double scale) const {
  const int64_t out = weight[0], in = weight[1];
  const Shape &down = layer.down->shape, &up = layer.up->shape;
  const bool kernel = weight.rank == 4 && weight[2] * weight[3] > 1;
  const int64_t rank = up.rank >= 2 ? up[1] : 0;
  bool fits = rank > 0 && IsMatrix(up, out, rank);
  if (layer.mid != nullptr) {
    const Shape& mid = layer.mid->shape;
    fits = fits && mid.rank == 4 && mid[0] == rank && weight.rank == 4 && mid[2] == weight[2] &&
           mid[3] == weight[3] && IsMatrix(down, mid[1], in);
  } else if (kernel) {
    fits = fits && down == Shape{rank, in, weight[2], weight[3]};
  } else {
    fits = fits && IsMatrix(down, rank, in);
  }
  if (!fits) {
    Bad(Path(), "layer " + Printable(layer.name) + " does not fit a weight of shape " +
                    weight.ToString() + ": " + DimsOf(*layer.down) + ", " + DimsOf(*layer.up) +
                    (layer.mid ? ", " + DimsOf(*layer.mid) : ""));
  }
  LowRankProduct product;
  const HostTensor up_values = Read(*layer.up), down_values = Read(*layer.down);
  for (const TensorEntry* part : {layer.up, layer.down, layer.mid}) {
    if (part == nullptr || AllFinite(file_->View(*part))) continue;
    Bad(Path(), "tensor " + Printable(part->name) + " holds NaN or infinity; the file is damaged");
  }
  const int64_t columns = weight.NumElements() / out;
  product.up = HostTensor({out, rank}, DType::kF32);
  // As in diffusers, where alpha is missing it is the rank.
  const double factor = scale * layer.alpha.value_or(static_cast<double>(rank)) /
                        static_cast<double>(layer.mid ? layer.down->shape[0] : rank);
  for (int64_t i = 0; i < out * rank; ++i) {
    product.up.Data<float>()[i] = static_cast<float>(factor * up_values.Data<float>()[i]);
  }
  if (layer.mid != nullptr) {
    product.down = FoldMid(Read(*layer.mid), down_values);
  } else {
    product.down = HostTensor({rank, columns}, DType::kF32);
    std::memcpy(product.down.data(), down_values.data(), product.down.Bytes());
  }
  return product;
}

}  // namespace fovea
