// From lines of job files to pictures: settings after precedence, ids, names, duplicates.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "app/cli_commands/batch/batch_flags.h"
#include "app/jobs/job_file.h"
#include "app/jobs/job_identity.h"
#include "app/jobs/picture_names.h"
#include "app/jobs/shard.h"

namespace fovea {

struct ResolvedJob {
  int64_t number = 0;  // from 1, over all files
  const JobFile* file = nullptr;
  const JobLine* line = nullptr;
  std::string error;          // broken, or it can never run; empty: neither
  int code = 0;               // the exit code that generate would have
  GenerateSettings settings;  // of one picture, as asked for, with its seed
  bool prompt_given = false;
  std::string id, path;      // path: in the folder of pictures
  int64_t duplicate_of = 0;  // number of the first of this id
  std::string model_key;     // equal where one loaded model serves
  double work = 0;           // grows with the work; of unknown unit
};

class JobResolver {
 public:
  JobResolver(const BatchFlags& flags, const Shard& shard);
  ~JobResolver();
  // Adds the jobs of a file, which must stay where it is. Throws kUsage for too many.
  void Add(const JobFile& file, JobLimit& limit);
  std::vector<ResolvedJob> Take() { return std::move(jobs_); }

 private:
  struct Model;  // what its files are told by
  const Model& ModelOf(const GenerateFlags& flags, const GenerateSettings& settings,
                       const std::string& key);
  int Resolve(ResolvedJob& job, nlohmann::json* inputs);
  void AddLine(const JobFile& file, const JobLine& line, JobLimit& limit);
  const std::string& DigestOf(const std::string& path, bool mask);

  const BatchFlags& flags_;
  const Shard& shard_;
  NameTemplate name_;
  FileDigests digests_;
  std::map<std::string, std::unique_ptr<Model>> models_;
  std::map<std::string, std::string> pictures_;  // digests by path
  std::map<std::string, int64_t> likes_, first_of_id_;
  std::vector<ResolvedJob> jobs_;
};

// The flags that `fovea generate` would be given for this job. Throws kUsage, kBadFile.
std::unique_ptr<GenerateFlags> FlagsOf(const BatchFlags& flags, const JobFile& file,
                                       const JobLine& line);
// Which loaded model the settings need.
std::string ModelKey(const GenerateFlags& flags, const GenerateSettings& settings);

}  // namespace fovea
