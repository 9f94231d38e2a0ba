// The flags of `fovea batch`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "app/cli_commands/generate/generate_flags.h"

namespace fovea {

struct BatchFlags {
  GenerateFlags generate;  // what holds for all jobs that do not say otherwise
  std::vector<std::string> files, merge;
  std::optional<std::string> format, name, shard, log, jobs, comfy_seeds;
  std::optional<int64_t> max_jobs, max_failures;
  bool list = false, force = false, skip_failed = false, log_host = false;

  void Add(Flags& flags);
  void Check() const;                    // throws kUsage for flags that mean nothing here
  std::filesystem::path Folder() const;  // of the pictures
};

}  // namespace fovea
