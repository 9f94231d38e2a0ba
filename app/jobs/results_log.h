// The log of a list of jobs: one JSON object a line, one line when a job ends.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace fovea {

// Calls `each` with the whole lines of a log that are objects with an id or an error. Lines that
// are torn (a program was killed while it wrote) or no JSON are left out. Throws kBadFile for a
// file that exists and cannot be read; one that is not there has no lines.
void ReadLog(const std::filesystem::path& path,
             const std::function<void(nlohmann::ordered_json)>& each);
// The same from text. Pure; fuzzed.
void ReadLogText(std::string_view text, const std::function<void(nlohmann::ordered_json)>& each);

// What earlier runs say of an id.
struct LoggedJob {
  std::string status;  // of the last line
  int attempts = 0;
};
std::map<std::string, LoggedJob> SummarizeLog(const std::filesystem::path& path);

// Appends lines, each by one write, so that several processes may share a log.
class LogWriter {
 public:
  // Ends a line that was torn. Throws kBadFile.
  explicit LogWriter(const std::filesystem::path& path);
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;
  void Append(const nlohmann::ordered_json& line);  // throws kBadFile

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace fovea
