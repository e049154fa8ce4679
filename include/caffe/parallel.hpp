#ifndef CAFFE_PARALLEL_HPP_
#define CAFFE_PARALLEL_HPP_

#include <cstddef>

namespace caffe {

/// The processes that train one net together, each on batches of its own: one process,
/// unless a launcher such as mpirun started more.
///
/// The calls are collective: every process makes the same ones in the same order, and
/// one process's stand for those of the others. Values that a sum has been started on
/// are not to be touched before Wait. In a group of one all calls do nothing. Not for
/// use by two threads at once.
class ProcessGroup {
 public:
  /// The group of this process. The first call connects to the other processes, makes
  /// this one's rank and size the calling thread's Caffe::solver_rank() and
  /// solver_count(), and raises the log level of all but rank 0 to warnings; a later
  /// one does the same for its thread. Throws RuntimeFailure if the launcher started
  /// several processes and this build cannot connect them.
  ///
  /// A process that ends with a status other than 0, or after Leave, ends the others.
  static ProcessGroup& Join();

  virtual ~ProcessGroup() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// Starts to put the sum over all processes in place of `values`. Results are the
  /// same bits on every process, and in every run with as many processes.
  virtual void StartSum(float* values, int count) = 0;
  virtual void StartSum(double* values, int count) = 0;
  /// Lends the sums that were started a moment of this thread.
  virtual void Advance() = 0;
  /// Returns when all sums that were started are complete.
  virtual void Wait() = 0;
  /// Copies the bytes of rank `root` to all processes.
  virtual void Broadcast(void* bytes, std::size_t size, int root = 0) = 0;

  /// To be called by a process that cannot go on with the others, who may be waiting
  /// for it: whatever it asks of the group from now on throws RuntimeFailure.
  virtual void Leave() = 0;
  /// To be called when the work with the others is done: they do not end with this
  /// process any more, whatever its status. It waits for them when it ends.
  virtual void Finish() = 0;
};

}  // namespace caffe

#endif  // CAFFE_PARALLEL_HPP_
