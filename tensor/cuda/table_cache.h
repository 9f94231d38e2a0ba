// Tables that kernels read, kept on the device by their content.
//
// The same bytes are uploaded once, however often they are asked for; what was not asked for
// longest goes when there are too many.
#pragma once

#include <list>
#include <memory>
#include <vector>

#include "tensor/cuda/device.h"

namespace fovea::cuda {

class TableCache {
 public:
  explicit TableCache(std::shared_ptr<Device> device, size_t limit = size_t{128} << 20)
      : device_(std::move(device)), limit_(limit) {}
  ~TableCache();
  TableCache(const TableCache&) = delete;
  TableCache& operator=(const TableCache&) = delete;

  // 256-byte aligned. Valid until tables of more than the limit were asked for since.
  Address Upload(std::vector<std::byte> bytes);

 private:
  struct Table {
    size_t digest;
    std::vector<std::byte> bytes;
    Address address;
  };
  std::shared_ptr<Device> device_;
  size_t limit_, held_ = 0;
  std::list<Table> tables_;  // latest first
};

}  // namespace fovea::cuda
