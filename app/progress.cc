#include "app/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

namespace fovea {
namespace {

constexpr int kBarWidth = 30;

std::string Duration(double seconds) {
  char text[32];
  if (seconds < 60) {
    std::snprintf(text, sizeof text, "%.1f s", seconds);
  } else {
    const int whole = static_cast<int>(seconds + 0.5);
    std::snprintf(text, sizeof text, "%d:%02d min", whole / 60, whole % 60);
  }
  return text;
}

}  // namespace

Progress::Progress() : terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  End();
}

void Progress::Step(int done, int steps, double seconds) {
  total_ += seconds;
  const double left = total_ / std::max(1, done) * (steps - done);
  char times[96];
  std::snprintf(times, sizeof times, "%d/%d  %.3f s a step  %s left", done, steps, seconds,
                Duration(left).c_str());
  if (terminal_) {
    const int filled = kBarWidth * done / std::max(1, steps);
    const std::string bar = std::string(static_cast<size_t>(filled), '#') +
                            std::string(static_cast<size_t>(kBarWidth - filled), '.');
    std::fprintf(stderr, "\r[%s] %s\x1b[K", bar.c_str(), times);
    std::fflush(stderr);
    open_ = true;
  } else {
    std::fprintf(stderr, "step %s\n", times);
  }
}

void Progress::End() {
  if (open_) std::fputc('\n', stderr);
  open_ = false;
}

}  // namespace fovea
