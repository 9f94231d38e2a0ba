#include "app/process/stop_signals.h"

#include <pthread.h>
#include <unistd.h>

#include <csignal>

#include "app/process/exit_code.h"

namespace fovea {
namespace {

sigset_t StopSet() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

// A thread that waits for the signals may do anything; a handler may do almost nothing.
StopSignals::StopSignals() {
  const sigset_t set = StopSet();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  waiter_ = std::thread([this, set] {
    for (;;) {
      int signal = 0;
      if (sigwait(&set, &signal) != 0 || done_) return;
      if (stop_.stop_requested()) _exit(kExitCancelled);
      stop_.request_stop();
    }
  });
}

StopSignals::~StopSignals() {
  done_ = true;
  pthread_kill(waiter_.native_handle(), SIGTERM);
  waiter_.join();
  const sigset_t set = StopSet();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void StopSignals::ThrowIfStopped() const {
  if (stop_.stop_requested()) throw Cancelled{};
}

}  // namespace fovea
