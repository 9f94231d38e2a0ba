#include "pipelines/vision/embedding.h"

#include <cstring>

namespace fovea {
namespace {

HostTensor FirstRow(const HostTensor& table) {  // (1,dim) or (1,t,dim), f32
  const int64_t dim = table.shape()[table.shape().rank - 1];
  HostTensor row({dim}, DType::kF32);
  std::memcpy(row.data(), table.data(), row.Bytes());
  return row;
}

}  // namespace

HostTensor EmbeddingOf(const NamedTensors& outputs, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (const auto found = outputs.find(name); found != outputs.end()) {
      return FirstRow(found->second);
    }
  }
  return {};
}

}  // namespace fovea
