// Job files: which format they are in, and their jobs.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/jobs/job.h"

namespace fovea {

struct JobFile {
  std::string name;              // as given; "-": standard input
  std::filesystem::path folder;  // that paths in it are relative to
  std::vector<JobLine> lines;
};

// `format`: "jsonl", "lines", "comfy", "csv", or empty: told by the suffix, of standard input by
// its first byte. Throws kBadFile for a file that cannot be read, kUsage for a suffix that tells
// nothing and for more jobs than the limit.
JobFile ReadJobFile(const std::string& name, const std::string& format,
                    const ParseOptions& options);

}  // namespace fovea
