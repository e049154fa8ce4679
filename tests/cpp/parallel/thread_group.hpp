#ifndef CAFFE_TESTS_PARALLEL_THREAD_GROUP_HPP_
#define CAFFE_TESTS_PARALLEL_THREAD_GROUP_HPP_

#include <algorithm>
#include <barrier>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "caffe/common.hpp"
#include "caffe/logging.hpp"
#include "caffe/parallel.hpp"

namespace caffe {
namespace test {

/// A group of this process's threads, which counts what is asked of it.
class ThreadGroup final : public ProcessGroup {
 public:
  /// Runs `work` as every rank of a group of `size`, in a thread each.
  static void Run(int size, const std::function<void(ThreadGroup*)>& work) {
    Shared shared(size);
    std::vector<std::thread> threads;
    for (int rank = 0; rank < size; ++rank) {
      threads.emplace_back([&shared, &work, size, rank] {
        Caffe::set_solver_count(size);
        Caffe::set_solver_rank(rank);
        ThreadGroup group(&shared, size, rank);
        work(&group);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void StartSum(float* values, int count) override { Start(values, count); }
  void StartSum(double* values, int count) override { Start(values, count); }
  void Advance() override {}
  void Wait() override {
    for (const auto& sum : started_) sum();
    started_.clear();
  }
  void Broadcast(void* bytes, std::size_t size, int root) override {
    ++broadcasts;
    shared_->values[rank_] = bytes;
    shared_->meeting.arrive_and_wait();
    if (rank_ != root) std::memcpy(bytes, shared_->values[root], size);
    shared_->meeting.arrive_and_wait();
  }
  void Leave() override {}
  void Finish() override {}

  std::vector<int> sums;  ///< how many values each sum had
  int broadcasts = 0;

 private:
  struct Shared {
    explicit Shared(int size) : meeting(size), values(size) {}
    std::barrier<> meeting;
    std::vector<void*> values;
  };

  ThreadGroup(Shared* shared, int size, int rank)
      : shared_(shared), size_(size), rank_(rank) {}

  template <typename T>
  void Start(T* values, int count) {
    sums.push_back(count);
    started_.push_back([this, values, count] {
      shared_->values[rank_] = values;
      shared_->meeting.arrive_and_wait();
      std::vector<T> total(count, 0);
      for (const void* part : shared_->values) {
        for (int i = 0; i < count; ++i) total[i] += static_cast<const T*>(part)[i];
      }
      shared_->meeting.arrive_and_wait();
      std::copy(total.begin(), total.end(), values);
    });
  }

  Shared* shared_;
  int size_, rank_;
  std::vector<std::function<void()>> started_;
};

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_PARALLEL_THREAD_GROUP_HPP_
