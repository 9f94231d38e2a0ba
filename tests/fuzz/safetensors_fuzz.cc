// Fuzzes the headers of safetensors files and the indexes of sharded ones.
#include <span>

#include "models/files/safetensors.h"
#include "models/weight_files.h"
#include "tests/fuzz/fuzz_target.h"

namespace fovea {
namespace {

std::string File(const std::string& header, size_t data_bytes) {
  std::string out(8, '\0');
  for (int i = 0; i < 8; ++i) out[i] = static_cast<char>(header.size() >> (8 * i));
  return out + header + std::string(data_bytes, '\1');
}

void CheckHeader(const SafetensorsHeader& header, uint64_t file_size) {
  uint64_t bytes = 0;
  for (const TensorEntry& entry : header.tensors) {
    if (entry.begin > entry.end || header.data_begin + entry.end > file_size) std::abort();
    bytes += entry.end - entry.begin;
    if (!entry.refusal.empty()) continue;
    const auto expected = static_cast<uint64_t>(entry.shape.NumElements()) * SizeOf(entry.dtype);
    if (expected != entry.end - entry.begin) std::abort();
  }
  if (bytes > file_size) std::abort();  // nothing overlaps
}

}  // namespace

std::vector<std::string> FuzzSeeds() {
  return {
      File("{}", 0),
      File(R"({"t":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})", 24),
      File(R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F16","shape":[],"data_offsets":[0,2]},)"
           R"("b":{"dtype":"I64","shape":[0,5],"data_offsets":[2,2]},)"
           R"("c":{"dtype":"BOOL","shape":[3,1,1,1,1,1],"data_offsets":[2,5]},)"
           R"("d":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[5,7]}})",
           8),
      File(R"({"a":{"dtype":"BF16","shape":[4294967296,4294967296],"data_offsets":[0,0]},)"
           R"("b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]},)"
           R"("c":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
           8),
      R"({"metadata":{"total_size":12},"weight_map":{"a":"m-1.safetensors","b":"../m.safetensors"}})",
  };
}

}  // namespace fovea

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fovea;
  RefusesOrReads([&] {
    CheckHeader(ParseSafetensorsHeader(std::as_bytes(std::span(data, size)), size, "x"), size);
  });
  // The same header with a file behind it that is larger than what was read.
  RefusesOrReads([&] {
    const uint64_t file_size = size + (uint64_t{1} << 40);
    CheckHeader(ParseSafetensorsHeader(std::as_bytes(std::span(data, size)), file_size, "x"),
                file_size);
  });
  RefusesOrReads([&] {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const auto& [tensor, shard] : ParseShardIndex(text, "x")) {
      if (shard.find('/') != std::string::npos || shard.empty()) std::abort();
    }
  });
  return 0;
}
