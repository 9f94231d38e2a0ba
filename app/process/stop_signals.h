// Signals that ask a run to stop, as requests that the engine asks for between blocks.
#pragma once

#include <atomic>
#include <cstdint>
#include <stop_token>
#include <thread>

namespace fovea {

// While it lives, SIGINT, SIGTERM, SIGHUP and SIGUSR1 request a stop and no longer end the program;
// a second one after a stop was requested ends it with exit code 130. A SIGHUP that the caller
// ignores (nohup) stays ignored. SIGPIPE is ignored from then on: a closed standard output or
// error must not cost a picture. Make it before any other thread, which then inherits the blocked
// signals.
class StopSignals {
 public:
  // kGentle: the first SIGINT, and SIGUSR1, only ask to begin nothing new.
  enum class First : uint8_t { kStop, kGentle };
  explicit StopSignals(First first = First::kStop);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  std::stop_token Token() const { return stop_.get_token(); }  // stop within a block
  bool Ending() const { return ending_; }  // begin nothing new; set by every request
  void ThrowIfStopped() const;             // throws Cancelled

 private:
  std::stop_source stop_;
  std::atomic<bool> ending_ = false, done_ = false;
  std::thread waiter_;
};

}  // namespace fovea
