// `fovea batch`: many pictures from job files, in one process or in several, to be taken up again
// after anything.
#include <unistd.h>

#include <cstdio>

#include <nlohmann/json.hpp>

#include "app/cli_commands/batch/batch_flags.h"
#include "app/cli_commands/batch/merge_logs.h"
#include "app/cli_commands/batch/resolve_jobs.h"
#include "app/cli_commands/batch/run_jobs.h"
#include "app/cli_commands/commands.h"
#include "app/process/exit_code.h"
#include "app/process/stop_signals.h"
#include "pipelines/metadata/metadata.h"
#include "tensor/error.h"

namespace fovea {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMostJobs = 100000;

struct JobList {
  std::vector<std::unique_ptr<JobFile>> files;  // do not move: jobs point at them
  std::vector<ResolvedJob> jobs;
};

JobList ReadJobs(const BatchFlags& flags, const std::vector<std::string>& names,
                 const Shard& shard) {
  JobList list;
  JobLimit limit(flags.max_jobs.value_or(kMostJobs));
  ParseOptions options;
  options.limit = &limit;
  options.comfy_count_up = flags.comfy_seeds.has_value();
  for (const std::string& name : names) {
    list.files.push_back(
        std::make_unique<JobFile>(ReadJobFile(name, flags.format.value_or(""), options)));
  }
  JobResolver resolver(flags, shard);
  for (const auto& file : list.files) resolver.Add(*file, limit);
  list.jobs = resolver.Take();
  if (list.jobs.empty()) throw Error(ErrorCode::kUsage, "the job files hold no job");
  return list;
}

ExitCode PrintJobs(const std::vector<ResolvedJob>& jobs) {
  bool broken = false;
  for (const ResolvedJob& job : jobs) {
    Json line;
    line["number"] = job.number;
    line["line"] = job.line->line;
    if (job.error.empty()) {
      line["id"] = job.id;
      line["file"] = job.path;
      if (job.duplicate_of > 0) line["duplicate_of"] = job.duplicate_of;
      line["settings"] = SettingsToJson(job.settings);
    } else {
      broken = true;
      line["error"] = {{"code", job.code}, {"message", job.error}};
    }
    std::printf("%s\n", line.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
  }
  return broken ? kExitSomeFailed : kExitDone;
}

int RunBatch(const BatchFlags& flags) {
  flags.Check();
  flags.generate.common.Apply(true);
  const Shard shard = ChooseShard(flags.shard.value_or(""), ProcessEnvironment);
  if (!flags.merge.empty()) {
    std::vector<std::string> wanted;
    if (flags.jobs) {
      for (const ResolvedJob& job : ReadJobs(flags, {*flags.jobs}, shard).jobs) {
        if (!job.id.empty()) wanted.push_back(job.id);
      }
    }
    return MergeLogs({flags.merge, wanted, flags.generate.output, flags.generate.common.json});
  }
  const StopSignals signals(StopSignals::First::kGentle);
  const JobList list = ReadJobs(flags, flags.files, shard);
  if (flags.list) return PrintJobs(list.jobs);
  if (!shard.warning.empty()) PrintWarning(shard.warning);
  if (shard.count > 1) PrintNote("shard " + shard.Text() + ", from " + shard.from);
  return RunJobs(flags, shard, list.jobs, signals);
}

}  // namespace

Command BatchCommand() {
  const auto flags = std::make_shared<BatchFlags>();
  return {"batch", "render many pictures from job files",
          [flags](Flags& parser) { flags->Add(parser); }, [flags] { return RunBatch(*flags); }};
}

}  // namespace fovea
