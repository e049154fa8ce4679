#ifndef CAFFE_DATA_WORKER_POOL_HPP_
#define CAFFE_DATA_WORKER_POOL_HPP_

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace caffe {

/// Threads that run tasks in the order they were submitted.
///
/// Tasks must not throw: whoever submits one decides where its errors go.
class WorkerPool {
 public:
  /// `threads` 0 takes one per processor. At most `max_waiting` tasks wait, which
  /// bounds the memory that their inputs hold; 0 takes twice the threads.
  explicit WorkerPool(int threads, std::size_t max_waiting = 0);
  /// Finishes the tasks that run, drops those that wait.
  ~WorkerPool();

  /// Waits for room. Throws ThreadInterrupted in an internal thread being stopped.
  void Submit(std::function<void()> task);
  /// Drops the tasks that wait and returns when none runs.
  void Clear();

  int threads() const { return static_cast<int>(threads_.size()); }

  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

 private:
  void Work();

  std::mutex mutex_;
  std::condition_variable work_;      // a task waits, or stop_
  std::condition_variable_any room_;  // fewer than max_waiting_ tasks wait
  std::condition_variable idle_;      // no task runs
  std::deque<std::function<void()>> waiting_;
  std::size_t max_waiting_ = 0;
  int running_ = 0;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace caffe

#endif  // CAFFE_DATA_WORKER_POOL_HPP_
