#ifndef CAFFE_UTIL_BLOCKING_QUEUE_HPP_
#define CAFFE_UTIL_BLOCKING_QUEUE_HPP_

#include <condition_variable>
#include <mutex>
#include <queue>
#include <string>
#include <utility>

#include "caffe/internal_thread.hpp"

namespace caffe {

/// An unbounded first-in first-out queue between threads. The blocking calls throw
/// ThreadInterrupted in an internal thread that is being stopped.
template <typename T>
class BlockingQueue {
 public:
  BlockingQueue() {}

  void push(const T& t) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      queue_.push(t);
    }
    // All, since a peek() leaves the element to the next waiter.
    condition_.notify_all();
  }

  bool try_pop(T* t) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (queue_.empty()) return false;
    *t = std::move(queue_.front());
    queue_.pop();
    return true;
  }

  /// Removes and returns the oldest element. `log_on_wait`, unless empty, is logged
  /// now and then when there is none and the caller has to wait.
  T pop(const string& log_on_wait = "") {
    std::unique_lock<std::mutex> lock(mutex_);
    if (queue_.empty() && !log_on_wait.empty()) {
      LOG_EVERY_N(INFO, 1000) << log_on_wait;
    }
    Wait(&lock);
    T t = std::move(queue_.front());
    queue_.pop();
    return t;
  }

  bool try_peek(T* t) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (queue_.empty()) return false;
    *t = queue_.front();
    return true;
  }

  /// The oldest element without removing it.
  T peek() {
    std::unique_lock<std::mutex> lock(mutex_);
    Wait(&lock);
    return queue_.front();
  }

  size_t size() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return queue_.size();
  }

 private:
  void Wait(std::unique_lock<std::mutex>* lock) {
    WaitInterruptibly(&condition_, lock, [this] { return !queue_.empty(); });
  }

  mutable std::mutex mutex_;
  std::condition_variable_any condition_;
  std::queue<T> queue_;

  DISABLE_COPY_AND_ASSIGN(BlockingQueue);
};

}  // namespace caffe

#endif  // CAFFE_UTIL_BLOCKING_QUEUE_HPP_
