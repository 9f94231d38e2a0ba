// Progress of a list of jobs on standard error: one line that changes on a terminal, a line a
// picture elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace fovea {

// All calls from any thread.
class BatchProgress {
 public:
  explicit BatchProgress(int64_t jobs);
  ~BatchProgress();

  void Skip();                                      // a finished one
  void Plan(const std::string& kind, double work);  // one that will be rendered
  void Step(int done, int steps);
  // One was rendered, or failed after so long; `kind` and `work` as planned.
  void End(const std::string& kind, double work, double seconds, bool failed,
           const std::string& line);
  void Say(const std::string& line);  // beside the changing line

  static std::string Duration(double seconds);  // "12 s", "3:08", "1:02:03"

 private:
  struct Rate {
    double work = 0, seconds = 0;
  };
  double SecondsLeft() const;
  void Draw(const std::string& step);
  void Clear();

  std::mutex mutex_;
  bool terminal_ = false, drawn_ = false;
  int64_t jobs_ = 0, done_ = 0, failed_ = 0, skipped_ = 0, rendered_ = 0;
  std::map<std::string, double> pending_;  // work by kind
  std::map<std::string, Rate> rates_;
  Rate all_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace fovea
