#include "tensor/machine/threads.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <string>

#include "tensor/error.h"
#include "tensor/machine/cpu_quota.h"

namespace fovea {
namespace {

// Our own count and not OpenMP's, which is a setting of each thread: the engine's thread and the
// main thread must agree.
std::atomic<int>& Threads() {
  static std::atomic<int> threads{GrantedThreads(omp_get_max_threads())};
  return threads;
}

}  // namespace

int NumThreads() {
  return Threads().load(std::memory_order_relaxed);
}

void SetNumThreads(int threads) {
  if (threads < 1) {
    throw Error(ErrorCode::kUsage,
                "number of threads is " + std::to_string(threads) + "; it must be at least 1");
  }
  Threads() = threads;
}

void ParallelFor(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  if (count <= 0) return;
  const int64_t most = std::max<int64_t>(1, count / std::max<int64_t>(1, grain));
  const int parts = static_cast<int>(std::min<int64_t>(NumThreads(), most));
  const auto begin = [&](int64_t part) {
    return count / parts * part + std::min(part, count % parts);
  };
  if (parts == 1 || omp_in_parallel()) {
    // The same parts, so that sums per part do not depend on who calls.
    for (int part = 0; part < parts; ++part) body(begin(part), begin(part + 1));
    return;
  }
  std::exception_ptr failure;
#pragma omp parallel for schedule(static, 1) num_threads(parts)
  for (int part = 0; part < parts; ++part) {
    try {
      body(begin(part), begin(part + 1));
    } catch (...) {
#pragma omp critical(fovea_parallel_for)
      if (!failure) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace fovea
