// Ctrl-C and SIGTERM as a stop request that the engine asks for between blocks.
#pragma once

#include <atomic>
#include <stop_token>
#include <thread>

namespace fovea {

// While it lives, the first SIGINT or SIGTERM requests a stop and the second ends the program with
// exit code 130. Make it before any other thread, which then inherits the blocked signals.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  std::stop_token Token() const { return stop_.get_token(); }
  void ThrowIfStopped() const;  // throws Cancelled

 private:
  std::stop_source stop_;
  std::atomic<bool> done_ = false;
  std::thread waiter_;
};

}  // namespace fovea
