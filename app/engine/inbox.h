// The mailbox of a thread: others post, it takes everything at once.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

namespace fovea {

template <class T>
class Inbox {
 public:
  void Post(T item) {
    {
      const std::scoped_lock lock(mutex_);
      items_.push_back(std::move(item));
    }
    arrived_.notify_one();
  }
  // What is there, in order of posting; waits up to `patience` for the first item.
  std::vector<T> Take(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    arrived_.wait_for(lock, patience, [this] { return !items_.empty(); });
    return std::exchange(items_, {});
  }
  std::vector<T> Take() {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [this] { return !items_.empty(); });
    return std::exchange(items_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<T> items_;
};

}  // namespace fovea
