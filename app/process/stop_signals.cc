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
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) sigaddset(&set, signal);
  struct sigaction hangup {};
  const bool ignored = sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler == SIG_IGN;
  if (!ignored) sigaddset(&set, SIGHUP);
  return set;
}

}  // namespace

// A thread that waits for the signals may do anything; a handler may do almost nothing.
StopSignals::StopSignals(First first) {
  std::signal(SIGPIPE, SIG_IGN);
  const sigset_t set = StopSet();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  waiter_ = std::thread([this, set, first] {
    for (;;) {
      int signal = 0;
      if (sigwait(&set, &signal) != 0 || done_) return;
      const bool gentle = first == First::kGentle && (signal == SIGINT || signal == SIGUSR1);
      if (stop_.stop_requested()) {
        // The batch system repeats its warning; only a person means more by it.
        if (signal == SIGUSR1) continue;
        _exit(kExitCancelled);
      }
      if (!gentle || (ending_ && signal == SIGINT)) stop_.request_stop();
      ending_ = true;
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
