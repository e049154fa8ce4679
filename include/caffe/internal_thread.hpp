#ifndef CAFFE_INTERNAL_THREAD_HPP_
#define CAFFE_INTERNAL_THREAD_HPP_

#include <exception>
#include <stop_token>
#include <thread>

#include "caffe/common.hpp"

namespace caffe {

/// Thrown inside an internal thread out of the call it was blocked in, when the
/// thread is asked to stop. Not a caffe::Error: nobody but the thread's entry
/// should catch it.
struct ThreadInterrupted {};

/// The calling thread's stop token; one that never stops outside internal threads.
/// BlockingQueue and WorkerPool wait with it, which makes them interruption points.
const std::stop_token& CurrentStopToken();

/// Base of objects that run one thread of their own.
///
/// The most derived class calls StopInternalThread in its destructor, so that the
/// thread never sees a half-destroyed object.
class InternalThread {
 public:
  InternalThread();
  virtual ~InternalThread();

  /// The thread starts with the caller's mode, solver count and rank, and with a
  /// random stream seeded when this object was made: a draw now would come on top of
  /// those of a resumed run.
  void StartInternalThread();
  /// Interrupts the thread and waits until it has ended.
  void StopInternalThread();
  bool is_started() const;

 protected:
  /// The thread's work. May return, may be left by ThreadInterrupted.
  virtual void InternalThreadEntry() {}
  /// Whether the thread, which is the caller, has been asked to stop.
  bool must_stop();

 private:
  unsigned int seed_;
  std::jthread thread_;

  DISABLE_COPY_AND_ASSIGN(InternalThread);
};

}  // namespace caffe

#endif  // CAFFE_INTERNAL_THREAD_HPP_
