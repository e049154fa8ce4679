#include "caffe/internal_thread.hpp"

#include <gtest/gtest.h>

#include "caffe/util/blocking_queue.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {
namespace {

/// Puts the first draws of its thread into a queue, and then waits for ever.
class Drawing : public InternalThread {
 public:
  ~Drawing() override { StopInternalThread(); }

  unsigned First() {
    StartInternalThread();
    return draws_.pop();
  }

 private:
  void InternalThreadEntry() override {
    draws_.push(caffe_rng_rand());
    never_.pop();
    ADD_FAILURE() << "the wait was to be interrupted";
  }

  BlockingQueue<unsigned> draws_, never_;
};

TEST(InternalThreadTest, DrawsItsSeedWhenItStarts) {
  Caffe::set_random_seed(1);
  Drawing first, second;  // made under another seed than they start with
  Caffe::set_random_seed(1701);
  const unsigned of_first = first.First(), of_second = second.First();
  EXPECT_NE(of_first, of_second);

  Drawing again, next;
  Caffe::set_random_seed(1701);
  EXPECT_EQ(again.First(), of_first);
  EXPECT_EQ(next.First(), of_second);
  again.StopInternalThread();
  EXPECT_FALSE(again.is_started());
  EXPECT_NE(again.First(), of_first) << "a thread that starts again draws on";
}

TEST(InternalThreadTest, TakesTheCallersRole) {
  class Asking : public InternalThread {
   public:
    ~Asking() override { StopInternalThread(); }
    int count = 0, rank = 0;

   private:
    void InternalThreadEntry() override {
      count = Caffe::solver_count();
      rank = Caffe::solver_rank();
    }
  } thread;
  Caffe::set_solver_count(3);
  Caffe::set_solver_rank(2);
  thread.StartInternalThread();
  Caffe::set_solver_count(1);
  Caffe::set_solver_rank(0);
  thread.StopInternalThread();
  EXPECT_EQ(thread.count, 3);
  EXPECT_EQ(thread.rank, 2);
}

}  // namespace
}  // namespace caffe
