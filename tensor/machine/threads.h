// The one CPU thread pool: OpenMP's, shared with oneDNN.
//
// Waits must be passive (OMP_WAIT_POLICY=passive before the program starts; app/ sees to it): two
// spinning pools on a busy machine cost 10-20 ms a parallel region.
#pragma once

#include <cstdint>
#include <functional>

namespace fovea {

int NumThreads();
void SetNumThreads(int threads);  // throws kUsage below 1; call between runs

// Calls body(begin, end) over a partition of [0, count) into at most NumThreads() contiguous parts
// of at least `grain` items. The partition depends only on count, grain and NumThreads(). The first
// exception of a body is rethrown here. Nested calls run in the calling thread.
void ParallelFor(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body);

}  // namespace fovea
