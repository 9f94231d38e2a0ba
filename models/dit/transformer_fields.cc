#include "models/dit/transformer_fields.h"

#include <string>

#include <nlohmann/json.hpp>

#include "models/layers.h"

namespace fovea {

bool IsExplicitNull(const Config& config, const char* field) {
  const auto it = config.Json().find(field);
  return it != config.Json().end() && it->is_null();
}

int64_t ReadOutChannels(const Config& config, int64_t in_channels, int64_t otherwise) {
  if (IsExplicitNull(config, "out_channels")) return in_channels;
  return config.Int("out_channels", 1, kMaxDitChannels, otherwise);
}

int ReadPatch(const Config& config, int sample_size, int64_t otherwise) {
  const auto patch = static_cast<int>(config.Int("patch_size", 1, 64, otherwise));
  if (patch > sample_size) {
    ThrowBadField(config, "patch_size",
                  "must not exceed sample_size, which is " + std::to_string(sample_size));
  }
  return patch;
}

void CheckDitChannels(const Config& config, int64_t heads, int64_t head_dim) {
  const int64_t channels = heads * head_dim;
  if (channels > kMaxDitChannels || channels % 4 != 0) {
    ThrowBadField(config, "attention_head_dim",
                  "times num_attention_heads is " + std::to_string(channels) +
                      ", but must be a multiple of 4 up to " + std::to_string(kMaxDitChannels));
  }
}

}  // namespace fovea
