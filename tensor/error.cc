#include "tensor/error.h"

#include <cstring>

namespace fovea {

void ThrowCheckFailed(const char* condition, const char* file, int line,
                      const std::string& detail) {
  const char* base = std::strrchr(file, '/');
  std::string what = "internal error at " + std::string(base ? base + 1 : file) + ":" +
                     std::to_string(line) + ": " + condition;
  if (!detail.empty()) what += " (" + detail + ")";
  throw Error(ErrorCode::kInternal, what);
}

}  // namespace fovea
