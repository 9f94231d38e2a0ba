#include "app/cli_commands/batch/batch_flags.h"

#include <utility>

#include "tensor/error.h"

namespace fovea {

void BatchFlags::Add(Flags& flags) {
  flags.TextList("JOBS", "JOBS", files,
                 "job files: .jsonl .ndjson .json .txt .csv, or - for standard input", true);
  flags.Choice("--format", format, {"jsonl", "lines", "comfy", "csv"}, "what the job files are in",
               "by their suffixes");
  flags.Switch("--list", list, "print the jobs as JSON Lines, render nothing");
  flags.Text("--name", "TEMPLATE", name,
             "names of pictures in the folder: {id} {number:05} {line} {seed} {model} {width} "
             "{height} {steps} {sampler} {prompt:40} {name} {shard}",
             "{id}");
  flags.Text("--shard", "I/N|auto[/N]", shard,
             "do the I-th of N parts; auto: as FOVEA_SHARD, a Slurm array or a Kubernetes Job says",
             "all jobs");
  flags.Text("--log", "FILE", log, "where results are noted", "results.jsonl in the folder");
  flags.Switch("--log-host", log_host, "note the machine's name, too");
  flags.Switch("--force", force, "render finished pictures again");
  flags.Switch("--skip-failed", skip_failed, "leave jobs alone that failed before");
  flags.Whole("--max-failures", max_failures, 1, 1 << 30, "give up after so many failed jobs",
              "never");
  flags.Whole("--max-jobs", max_jobs, 1, 1 << 30, "refuse files that ask for more", "100000");
  flags.Choice("--comfy-seeds", comfy_seeds, {"count-up"},
               "what a batch of ComfyUI's is: pictures of seeds that count up", "refused");
  flags.TextList("--merge", "LOG|DIR", merge, "put logs together instead of rendering", true);
  flags.Text("--jobs", "FILE", jobs, "with --merge: the job file that must be complete");
  generate.Add(flags);
}

void BatchFlags::Check() const {
  const auto refuse = [](const std::string& what) { throw Error(ErrorCode::kUsage, what); };
  for (const auto& [name, value] : {std::pair{"--dump", &generate.dump},
                                    {"--save-latents", &generate.save_latents},
                                    {"--trace", &generate.trace}}) {
    if (*value) refuse(std::string(name) + " is of one run; use fovea generate");
  }
  if (merge.empty() && files.empty()) refuse("name a job file; see fovea batch --help");
  if (!merge.empty() && !files.empty()) refuse("--merge takes logs; name job files with --jobs");
  if (merge.empty() && jobs) refuse("--jobs is for --merge; name job files without a flag");
  if (!merge.empty()) return;
  const std::filesystem::path folder = Folder();
  std::error_code ignored;
  if (folder.extension() == ".png" && !std::filesystem::is_directory(folder, ignored)) {
    refuse("-o " + folder.string() + ": pictures of a batch go into a folder");
  }
}

std::filesystem::path BatchFlags::Folder() const {
  return generate.output.value_or("out/");
}

}  // namespace fovea
