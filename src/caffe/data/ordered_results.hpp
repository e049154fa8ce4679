#ifndef CAFFE_DATA_ORDERED_RESULTS_HPP_
#define CAFFE_DATA_ORDERED_RESULTS_HPP_

#include <cstddef>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <utility>

#include "caffe/data/worker_pool.hpp"

namespace caffe {

/// Computes on many threads and hands the results out in the order of submission.
template <typename Result>
class OrderedResults {
 public:
  /// `threads` 0 takes one per processor.
  explicit OrderedResults(int threads) : pool_(threads, kNoLimit) {}

  /// Exceptions of `work` are thrown by Next.
  void Submit(std::function<Result()> work) {
    auto task = std::make_shared<std::packaged_task<Result()>>(std::move(work));
    results_.push_back(task->get_future());
    pool_.Submit([task] { (*task)(); });
  }
  /// The oldest result; waits for it.
  Result Next() {
    std::future<Result> oldest = std::move(results_.front());
    results_.pop_front();
    return oldest.get();
  }
  bool empty() const { return results_.empty(); }
  /// Enough is under way to keep all threads busy; more would only fill the memory.
  bool full() const {
    return results_.size() >= 4 * static_cast<std::size_t>(pool_.threads());
  }

 private:
  static constexpr std::size_t kNoLimit = ~std::size_t{0};

  std::deque<std::future<Result>> results_;
  WorkerPool pool_;
};

}  // namespace caffe

#endif  // CAFFE_DATA_ORDERED_RESULTS_HPP_
