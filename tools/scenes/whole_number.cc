#include "tools/scenes/whole_number.h"

#include <cerrno>
#include <cstdlib>
#include <stdexcept>

namespace fovea::scenes {

uint64_t ParseWholeNumber(const std::string& flag, const std::string& text, uint64_t low,
                          uint64_t high) {
  char* end = nullptr;
  errno = 0;
  const unsigned long long value = std::strtoull(text.c_str(), &end, 10);
  if (text.empty() || text[0] == '-' || *end || errno || value < low || value > high) {
    throw std::invalid_argument(flag + " " + text + ": give a whole number from " +
                                std::to_string(low) + " to " + std::to_string(high));
  }
  return value;
}

}  // namespace fovea::scenes
