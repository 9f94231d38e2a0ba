// A list of jobs rendered: what is finished is skipped, the rest is made, every end is noted.
#pragma once

#include <vector>

#include "app/cli_commands/batch/resolve_jobs.h"
#include "app/process/exit_code.h"
#include "app/process/stop_signals.h"

namespace fovea {

// Returns kExitDone, kExitSomeFailed or kExitCancelled. Throws what hits every job: kBadFile where
// nothing can be written any more, kDevice.
ExitCode RunJobs(const BatchFlags& flags, const Shard& shard, const std::vector<ResolvedJob>& jobs,
                 const StopSignals& signals);

}  // namespace fovea
