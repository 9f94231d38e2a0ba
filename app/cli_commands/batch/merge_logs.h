// `fovea batch --merge`: the logs of several shards as one, and whether all jobs are done.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/process/exit_code.h"

namespace fovea {

struct MergeRequest {
  std::vector<std::string> logs;      // files, or folders whose results*.jsonl count
  std::vector<std::string> wanted;    // ids that must be done; none: those in the logs
  std::optional<std::string> output;  // where the merged log goes; none: standard output
  bool json = false;                  // then the report is one object on standard output
};

// kExitDone only if all are done and nothing conflicts, else kExitSomeFailed. Throws kBadFile.
ExitCode MergeLogs(const MergeRequest& request);

}  // namespace fovea
