#include "caffe/data/worker_pool.hpp"

#include <algorithm>
#include <opencv2/core/utility.hpp>
#include <system_error>
#include <utility>

#include "caffe/internal_thread.hpp"
#include "caffe/util/allowed_cores.hpp"

namespace caffe {

WorkerPool::WorkerPool(int threads, std::size_t max_waiting) {
  // The pool is the parallelism: OpenCV's own threads would only compete with it.
  static const bool once = (cv::setNumThreads(0), true);
  (void)once;
  if (threads <= 0) threads = AllowedCores();
  max_waiting_ = max_waiting ? max_waiting : 2 * static_cast<std::size_t>(threads);
  threads_.reserve(threads);
  for (int i = 0; i < threads; ++i) {
    try {
      threads_.emplace_back([this] { Work(); });
    } catch (const std::system_error& error) {
      if (threads_.empty()) {
        throw RuntimeFailure(Str("no decoding thread could be started: ", error.what()));
      }
      LOG(WARNING) << "only " << threads_.size() << " of " << threads
                   << " decoding threads could be started: " << error.what();
      return;
    }
  }
}

WorkerPool::~WorkerPool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
    waiting_.clear();
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void WorkerPool::Submit(std::function<void()> task) {
  {
    std::unique_lock<std::mutex> lock(mutex_);
    WaitInterruptibly(&room_, &lock, [this] { return waiting_.size() < max_waiting_; });
    waiting_.push_back(std::move(task));
  }
  work_.notify_one();
}

void WorkerPool::Clear() {
  std::unique_lock<std::mutex> lock(mutex_);
  waiting_.clear();
  room_.notify_all();
  idle_.wait(lock, [this] { return running_ == 0; });
}

void WorkerPool::Work() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    work_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
    if (stop_) return;
    std::function<void()> task = std::move(waiting_.front());
    waiting_.pop_front();
    ++running_;
    lock.unlock();
    room_.notify_one();
    task();
    task = nullptr;  // Its inputs go before anyone is told that it is done.
    lock.lock();
    --running_;
    if (running_ == 0) idle_.notify_all();
  }
}

}  // namespace caffe
