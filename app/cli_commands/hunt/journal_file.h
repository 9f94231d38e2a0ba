// The journal of a hunt on the disk: what this program adds to it, and what its shards add.
#pragma once

#include <filesystem>
#include <string>

#include "pipelines/hunt/hunt_records.h"

namespace fovea {

struct Shard {
  int index = 1, count = 1;  // 1-based
  // Throws kUsage.
  static Shard Parse(const std::string& text);
  bool Has(const HuntTask& task) const;
};

// `path` of a hunt in one program; of shard I of N `path`.I-of-N. All of them that exist are read.
class JournalFile {
 public:
  // Opens the own file, makes it where there is none, and takes a half-written last line away.
  // Throws kBadFile: another hunt's, one that another program writes, or lines that are none.
  JournalFile(const std::filesystem::path& path, std::string head, size_t objectives,
              const Shard& shard);
  ~JournalFile();
  JournalFile(const JournalFile&) = delete;
  JournalFile& operator=(const JournalFile&) = delete;

  const HuntRecords& Records() const { return records_; }
  // On the disk when it returns.
  void Append(const HuntTask& task, const HuntScores& scores);
  void ReadOthers();

 private:
  size_t Read(const std::filesystem::path& file);  // bytes of whole lines
  void Write(const std::string& line);
  std::filesystem::path path_, own_;
  std::string head_;
  size_t objectives_;
  HuntRecords records_;
  int descriptor_ = -1;
};

}  // namespace fovea
