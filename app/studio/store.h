// What the studio remembers between starts: one SQLite file in write-ahead mode.
//
// Pictures are PNG files of their own with all their settings inside; the store is an index of them
// and keeps what they cannot say (favourites, the trash), the queue, the settings' history and
// small values by name. Every call is one transaction. Used by one thread. Throws kBadFile.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "ui/snapshot.h"

struct sqlite3;

namespace fovea {

struct StoredJob {
  int64_t id = 0;
  GenerateSettings settings;
  int done = 0;
  int64_t comparison = 0;
  bool right = false;  // of its comparison
};

struct StoredComparison {
  int64_t id = 0, left = 0, right = 0;
  std::string label;
};

class Store {
 public:
  explicit Store(const std::filesystem::path& file);  // made if it is not there
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  std::string Value(const std::string& name, const std::string& otherwise = {});
  void SetValue(const std::string& name, const std::string& value);

  // Newest first; `file` as it was added.
  std::vector<PictureView> Pictures();
  // Its id and its time of creation (now, if `created` is 0: seconds since 1970) are set.
  void AddPicture(PictureView* picture, int64_t created);
  void SetFavourite(int64_t id, bool favourite);
  void SetTrashed(int64_t id, bool trashed);
  void RemovePicture(int64_t id);

  std::vector<StoredJob> Jobs();         // in order of running
  int64_t AddJob(const StoredJob& job);  // at the end; returns its id
  void SetJobDone(int64_t id, int done);
  void RemoveJob(int64_t id);
  void OrderJobs(const std::vector<int64_t>& ids);

  std::vector<StoredComparison> Comparisons();  // newest first
  int64_t AddComparison(const StoredComparison& comparison);
  void SetComparison(const StoredComparison& comparison);
  void RemoveComparison(int64_t id);

 private:
  class Statement;
  void Run(const char* sql);
  sqlite3* db_ = nullptr;
  std::string file_;
};

}  // namespace fovea
