// Parses and checks the JSON header of a safetensors file.
#include <algorithm>
#include <array>
#include <optional>

#include <nlohmann/json.hpp>

#include "models/files/foreign_file.h"
#include "models/files/json_text.h"
#include "models/files/safetensors.h"
#include "tensor/error.h"

namespace fovea {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr size_t kMaxFileRank = 64;                // far above any real tensor's

struct FileDType {
  std::string_view name;
  int64_t bits;
  std::optional<DType> dtype;  // none: legal in a file, not readable here
};

constexpr std::array<FileDType, 21> kFileDTypes = {{
    {"F32", 32, DType::kF32},     {"F16", 16, DType::kF16},     {"BF16", 16, DType::kBF16},
    {"F64", 64, DType::kF64},     {"I64", 64, DType::kI64},     {"I32", 32, DType::kI32},
    {"I8", 8, DType::kI8},        {"U8", 8, DType::kU8},        {"BOOL", 8, DType::kBool},
    {"I16", 16, std::nullopt},    {"U16", 16, std::nullopt},    {"U32", 32, std::nullopt},
    {"U64", 64, std::nullopt},    {"C64", 64, std::nullopt},    {"F8_E4M3", 8, std::nullopt},
    {"F8_E5M2", 8, std::nullopt}, {"F8_E8M0", 8, std::nullopt}, {"F8_E4M3FNUZ", 8, std::nullopt},
    {"F4", 4, std::nullopt},      {"F6_E2M3", 6, std::nullopt}, {"F6_E3M2", 6, std::nullopt},
}};

[[noreturn]] void Bad(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kBadFile, where + ": " + what);
}

const json& Field(const json& info, const char* field, const std::string& where) {
  const auto found = info.find(field);
  if (found == info.end()) Bad(where, std::string(field) + " is missing");
  return *found;
}

const FileDType& ParseFileDType(const json& value, const std::string& where) {
  if (!value.is_string()) Bad(where, "dtype must be a string, but is " + Brief(value));
  const auto& name = value.get_ref<const std::string&>();
  for (const FileDType& known : kFileDTypes) {
    if (known.name == name) return known;
  }
  Bad(where, "unknown dtype " + Printable(name, 40));
}

uint64_t ParseSize(const json& value, const char* field, const std::string& where) {
  if (!value.is_number_unsigned()) {
    Bad(where, std::string(field) + " must hold whole numbers from 0, but holds " + Brief(value));
  }
  return value.get<uint64_t>();
}

std::vector<int64_t> ParseDims(const json& value, const std::string& where) {
  if (!value.is_array()) Bad(where, "shape must be a list, but is " + Brief(value));
  if (value.size() > kMaxFileRank)
    Bad(where, "shape has " + std::to_string(value.size()) + " axes");
  std::vector<int64_t> dims;
  for (const json& item : value) {
    const uint64_t dim = ParseSize(item, "shape", where);
    if (dim > static_cast<uint64_t>(INT64_MAX)) Bad(where, "shape holds " + std::to_string(dim));
    dims.push_back(static_cast<int64_t>(dim));
  }
  return dims;
}

// Bytes of a tensor. Axes of size 0 do not hide an overflow of the others: strides need their
// product.
uint64_t CheckedBytes(const std::vector<int64_t>& dims, int64_t bits, const std::string& where) {
  int64_t product = bits;
  bool empty = false;
  for (const int64_t dim : dims) {
    if (dim == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(product, dim, &product)) {
      Bad(where, "the product of its shape overflows");
    }
  }
  if (empty) return 0;
  if (product % 8 != 0) Bad(where, "its shape does not fill whole bytes");
  return static_cast<uint64_t>(product / 8);
}

TensorEntry ParseEntry(const std::string& name, const json& info, uint64_t data_bytes,
                       const std::string& file) {
  const std::string where = file + ": tensor " + Printable(name);
  if (!info.is_object()) Bad(where, "must be described by an object, not by " + Brief(info));
  TensorEntry entry;
  entry.name = name;
  const FileDType& type = ParseFileDType(Field(info, "dtype", where), where);
  entry.file_dtype = type.name;
  std::vector<int64_t> dims = ParseDims(Field(info, "shape", where), where);
  const uint64_t bytes = CheckedBytes(dims, type.bits, where);

  const json& offsets = Field(info, "data_offsets", where);
  if (!offsets.is_array() || offsets.size() != 2) {
    Bad(where, "data_offsets must be two numbers, but is " + Brief(offsets));
  }
  entry.begin = ParseSize(offsets[0], "data_offsets", where);
  entry.end = ParseSize(offsets[1], "data_offsets", where);
  if (entry.begin > entry.end) Bad(where, "data_offsets " + Brief(offsets) + " run backwards");
  if (entry.end > data_bytes) {
    Bad(where, "ends at byte " + std::to_string(entry.end) +
                   " of the data, but the file has only " + std::to_string(data_bytes) +
                   "; it is truncated or damaged");
  }
  if (entry.end - entry.begin != bytes) {
    Bad(where, "data_offsets span " + std::to_string(entry.end - entry.begin) +
                   " bytes, but shape and dtype need " + std::to_string(bytes));
  }

  // More axes than we have mean the same without some of length 1: CLEAR's pooling weights.
  while (dims.size() > static_cast<size_t>(kMaxRank) && dims.front() == 1) dims.erase(dims.begin());
  if (!type.dtype) {
    entry.refusal = "has dtype " + entry.file_dtype + ", which cannot be read";
  } else if (dims.size() > static_cast<size_t>(kMaxRank)) {
    entry.refusal = "has " + std::to_string(dims.size()) + " axes; at most " +
                    std::to_string(kMaxRank) + " can be read";
  } else {
    entry.dtype = *type.dtype;
    entry.shape = Shape(std::span<const int64_t>(dims));
  }
  return entry;
}

void ParseMetadata(const json& value, const std::string& where,
                   std::map<std::string, std::string>& metadata) {
  if (value.is_null()) return;
  if (!value.is_object()) Bad(where, "__metadata__ must be an object, but is " + Brief(value));
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) {
      Bad(where, "__metadata__ " + Printable(key) + " must be a string, but is " + Brief(text));
    }
    metadata[key] = text.get<std::string>();
  }
}

void CheckOverlaps(const std::vector<TensorEntry>& tensors, const std::string& where) {
  std::vector<const TensorEntry*> order;
  for (const TensorEntry& entry : tensors) {
    if (entry.begin != entry.end) order.push_back(&entry);
  }
  std::sort(order.begin(), order.end(),
            [](const TensorEntry* a, const TensorEntry* b) { return a->begin < b->begin; });
  for (size_t i = 1; i < order.size(); ++i) {
    if (order[i]->begin < order[i - 1]->end) {
      Bad(where, "tensors " + Printable(order[i - 1]->name) + " and " + Printable(order[i]->name) +
                     " overlap");
    }
  }
}

}  // namespace

SafetensorsHeader ParseSafetensorsHeader(std::span<const std::byte> bytes, uint64_t file_size,
                                         const std::string& where) {
  // Of files that cannot be safetensors, what they are helps most.
  const auto bad = [&](const std::string& what) {
    if (const auto other = TellForeignFile(bytes)) {
      throw Error(other->code, where + ": " + other->what);
    }
    Bad(where, what);
  };
  if (file_size < 8 || bytes.size() < 8) {
    bad("has " + std::to_string(file_size) + " bytes, too few for a safetensors file");
  }
  uint64_t header_bytes = 0;
  for (int i = 7; i >= 0; --i)
    header_bytes = header_bytes << 8 | std::to_integer<uint64_t>(bytes[i]);
  if (header_bytes > kMaxHeaderBytes) {
    bad("is not a safetensors file, or is damaged: its header would have " +
        std::to_string(header_bytes) + " bytes");
  }
  if (header_bytes > file_size - 8 || header_bytes > bytes.size() - 8) {
    bad("is truncated: its header has " + std::to_string(header_bytes) +
        " bytes, but the file only " + std::to_string(file_size));
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + 8, header_bytes);
  if (!text.starts_with('{')) bad("is not a safetensors file: its header is not a JSON object");
  const json header = ParseJson(text, where, {.bytes = kMaxHeaderBytes, .depth = 8});

  SafetensorsHeader out;
  out.data_begin = 8 + header_bytes;
  out.tensors.reserve(header.size());
  for (const auto& [name, info] : header.items()) {  // nlohmann's objects are sorted by key
    if (name == "__metadata__") {
      ParseMetadata(info, where, out.metadata);
    } else {
      out.tensors.push_back(ParseEntry(name, info, file_size - out.data_begin, where));
    }
  }
  CheckOverlaps(out.tensors, where);
  return out;
}

}  // namespace fovea
