#include "tensor/machine/threads.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "tensor/error.h"

namespace fovea {
namespace {

class ThreadsTest {
 public:
  ThreadsTest() : before_(NumThreads()) {}
  ~ThreadsTest() { SetNumThreads(before_); }

 private:
  int before_;
};

TEST_CASE_METHOD(ThreadsTest, "parts cover the range once and depend on nothing else") {
  for (const int threads : {1, 2, 3, 7}) {
    SetNumThreads(threads);
    for (const int64_t count : {0, 1, 2, 5, 100, 101}) {
      for (const int64_t grain : {0, 1, 10, 1000}) {
        std::mutex mutex;
        std::vector<std::pair<int64_t, int64_t>> parts;
        std::vector<int> visits(static_cast<size_t>(count));
        ParallelFor(count, grain, [&](int64_t begin, int64_t end) {
          const std::lock_guard lock(mutex);
          parts.emplace_back(begin, end);
          for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
        });
        CHECK(static_cast<int>(parts.size()) <= threads);
        for (const int v : visits) CHECK(v == 1);
        for (const auto& [begin, end] : parts) CHECK((parts.size() == 1 || end - begin >= grain));
      }
    }
  }
}

TEST_CASE_METHOD(ThreadsTest, "an exception of a body reaches the caller") {
  SetNumThreads(4);
  CHECK_THROWS_AS(ParallelFor(100, 1,
                              [](int64_t begin, int64_t) {
                                if (begin > 0) throw std::out_of_range("here");
                              }),
                  std::out_of_range);
  std::atomic<int> ran{0};
  ParallelFor(4, 1, [&](int64_t, int64_t) { ++ran; });
  CHECK(ran == 4);
}

TEST_CASE_METHOD(ThreadsTest, "nested calls run in the calling thread") {
  SetNumThreads(2);
  std::atomic<bool> same{true};
  ParallelFor(2, 1, [&](int64_t, int64_t) {
    const std::thread::id outer = std::this_thread::get_id();
    ParallelFor(8, 1, [&](int64_t, int64_t) {
      if (std::this_thread::get_id() != outer) same = false;
    });
  });
  CHECK(same);
}

TEST_CASE_METHOD(ThreadsTest, "the number of threads is the same for every caller") {
  SetNumThreads(3);
  std::thread([] { CHECK(NumThreads() == 3); }).join();
  CHECK_THROWS_AS(SetNumThreads(0), Error);
  CHECK(NumThreads() == 3);
}

}  // namespace
}  // namespace fovea
