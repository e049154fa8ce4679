#ifndef CAFFE_PARALLEL_START_WATCH_HPP_
#define CAFFE_PARALLEL_START_WATCH_HPP_

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "caffe/parallel/heartbeat.hpp"

namespace caffe {

/// Speaks while this process waits for the others to connect, which MPI does in silence
/// and without an end if one of them was stopped before.
///
/// Until all are there nobody beats, and a script may have much to do before its first
/// solver: the watch ends the process only after a time that the user has set.
class StartWatch {
 public:
  /// `rank`: as messages are to call this process.
  StartWatch(const std::string& rank, int processes, const Heartbeat::Patience& patience);
  /// All are there.
  ~StartWatch();

 private:
  void Run();
  /// False if all are there before these seconds are over.
  bool Wait(double seconds);

  const std::string who_;
  const Heartbeat::Patience patience_;
  std::mutex mutex_;
  std::condition_variable all_there_changed_;
  bool all_there_ = false;
  std::thread thread_;

  StartWatch(const StartWatch&) = delete;
  StartWatch& operator=(const StartWatch&) = delete;
};

}  // namespace caffe

#endif  // CAFFE_PARALLEL_START_WATCH_HPP_
