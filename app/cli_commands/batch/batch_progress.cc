#include "app/cli_commands/batch/batch_progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "app/process/exit_code.h"

namespace fovea {

BatchProgress::BatchProgress(int64_t jobs) : terminal_(isatty(STDERR_FILENO) == 1), jobs_(jobs) {}

BatchProgress::~BatchProgress() {
  if (drawn_) std::fputc('\n', stderr);
}

std::string BatchProgress::Duration(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  char text[48];
  if (whole < 60) {
    std::snprintf(text, sizeof text, "%lld s", static_cast<long long>(whole));
  } else if (whole < 3600) {
    std::snprintf(text, sizeof text, "%lld:%02lld", static_cast<long long>(whole / 60),
                  static_cast<long long>(whole % 60));
  } else {
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", static_cast<long long>(whole / 3600),
                  static_cast<long long>(whole / 60 % 60), static_cast<long long>(whole % 60));
  }
  return text;
}

// Work that is left over the speed at which work of its kind was done: jobs differ by far too much
// for a mean of pictures. Several are made at once, so the speed is that of the clock.
double BatchProgress::SecondsLeft() const {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin_;
  if (all_.seconds <= 0 || all_.work <= 0) return 0;
  double busy = 0;
  for (const auto& [kind, work] : pending_) {
    const auto rate = rates_.find(kind);
    const Rate& like = rate == rates_.end() ? all_ : rate->second;
    busy += work * like.seconds / std::max(like.work, 1e-9);
  }
  return busy * std::min(1.0, elapsed.count() / all_.seconds);
}

void BatchProgress::Clear() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
  drawn_ = false;
}

void BatchProgress::Draw(const std::string& step) {
  if (!terminal_) return;
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin_;
  const double minutes = elapsed.count() / 60;
  std::fprintf(
      stderr, "\r%lld/%lld done, %lld failed, %lld skipped  %s%.0f a minute  %s left\x1b[K",
      static_cast<long long>(done_), static_cast<long long>(jobs_), static_cast<long long>(failed_),
      static_cast<long long>(skipped_), step.c_str(),
      minutes > 0 ? static_cast<double>(rendered_) / minutes : 0, Duration(SecondsLeft()).c_str());
  std::fflush(stderr);
  drawn_ = true;
}

void BatchProgress::Skip() {
  const std::lock_guard lock(mutex_);
  ++skipped_;
}

void BatchProgress::Plan(const std::string& kind, double work) {
  const std::lock_guard lock(mutex_);
  pending_[kind] += work;
}

void BatchProgress::Step(int done, int steps) {
  if (!terminal_) return;
  const std::lock_guard lock(mutex_);
  Draw("step " + std::to_string(done) + "/" + std::to_string(steps) + "  ");
}

void BatchProgress::End(const std::string& kind, double work, double seconds, bool failed,
                        const std::string& line) {
  const std::lock_guard lock(mutex_);
  pending_[kind] -= work;
  if (failed) {
    ++failed_;
  } else {
    ++done_;
    ++rendered_;
    for (Rate* rate : {&rates_[kind], &all_}) {
      rate->work += work;
      rate->seconds += seconds;
    }
  }
  Clear();
  if (failed) {
    std::fprintf(stderr, "%s\n", OneLine(line).c_str());
  } else if (!terminal_) {
    std::fprintf(stderr, "%lld/%lld  %s  %.2f s  %s left\n",
                 static_cast<long long>(done_ + failed_ + skipped_), static_cast<long long>(jobs_),
                 OneLine(line).c_str(), seconds, Duration(SecondsLeft()).c_str());
  }
  Draw("");
}

void BatchProgress::Say(const std::string& line) {
  const std::lock_guard lock(mutex_);
  Clear();
  std::fprintf(stderr, "%s\n", OneLine(line).c_str());
}

}  // namespace fovea
