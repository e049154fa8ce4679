#ifndef CAFFE_INTERNAL_THREAD_HPP_
#define CAFFE_INTERNAL_THREAD_HPP_

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>

#include "caffe/common.hpp"

namespace caffe {

/// Thrown inside an internal thread out of the call it was blocked in, when the
/// thread is asked to stop. Not a caffe::Error: nobody but the thread's entry
/// should catch it.
struct ThreadInterrupted {};

/// Waits until `ready`, which is to be looked at when `changed` is notified. In an
/// internal thread that is asked to stop, throws ThreadInterrupted: BlockingQueue and
/// WorkerPool wait with it, which makes them interruption points.
void WaitInterruptibly(std::condition_variable_any* changed,
                       std::unique_lock<std::mutex>* lock,
                       const std::function<bool()>& ready);

/// Base of objects that run one thread of their own.
///
/// The most derived class calls StopInternalThread in its destructor, so that the
/// thread never sees a half-destroyed object.
class InternalThread {
 public:
  InternalThread();
  virtual ~InternalThread();

  /// The thread starts with the caller's mode, solver count and rank, and with a
  /// random stream whose seed is the caller's next draw.
  void StartInternalThread();
  /// Interrupts the thread and waits until it has ended.
  void StopInternalThread();
  bool is_started() const;

 protected:
  /// The thread's work. May return, may be left by ThreadInterrupted.
  virtual void InternalThreadEntry() {}
  /// Whether the thread, which is the caller, has been asked to stop.
  bool must_stop();
  /// StartInternalThread with a seed that was drawn before, for a thread that starts at a
  /// time at which a draw would come on top of those of a resumed run.
  void StartInternalThread(unsigned int seed);

 private:
  struct Thread;

  std::shared_ptr<Thread> thread_;

  DISABLE_COPY_AND_ASSIGN(InternalThread);
};

}  // namespace caffe

#endif  // CAFFE_INTERNAL_THREAD_HPP_
