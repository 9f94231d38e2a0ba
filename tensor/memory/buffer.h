// Device memory that frees itself.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace fovea {

struct Buffer {
  std::unique_ptr<std::byte, std::function<void(std::byte*)>> bytes;
  size_t size = 0;
};

}  // namespace fovea
