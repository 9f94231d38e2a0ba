// Which part of a list of jobs this process does.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace fovea {

struct Shard {
  int64_t index = 1, count = 1;
  std::string from;     // where it came from, for people
  std::string warning;  // what they should know; usually empty
  bool Has(int64_t number) const { return (number - 1) % count == index - 1; }
  std::string Text() const { return std::to_string(index) + "/" + std::to_string(count); }
};

using Environment = std::function<std::optional<std::string>(const char*)>;

// `flag`: "I/N", "auto", "auto/N", or empty: all jobs, whatever the environment says. Throws
// kUsage.
Shard ChooseShard(const std::string& flag, const Environment& environment);
std::optional<std::string> ProcessEnvironment(const char* name);

}  // namespace fovea
