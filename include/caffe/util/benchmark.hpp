#ifndef CAFFE_UTIL_BENCHMARK_H_
#define CAFFE_UTIL_BENCHMARK_H_

#include <chrono>
#include <memory>

#include "caffe/common.hpp"

namespace caffe {
namespace device {
class Moment;
}  // namespace device

/// A stopwatch over wall-clock time; in GPU mode over the device's: from when the work
/// that was there at Start was done to when that at Stop was.
class Timer {
 public:
  Timer();
  virtual ~Timer();
  virtual void Start();
  // Differs from BVLC: does not wait for the device, so that many timers cost one wait.
  virtual void Stop();
  /// Time between Start and Stop, once the device has come there; a running timer is
  /// stopped first. 0 when the timer has never run.
  virtual float MilliSeconds();
  virtual float MicroSeconds();
  virtual float Seconds();

  inline bool initted() { return initted_; }
  inline bool running() { return running_; }
  inline bool has_run_at_least_once() { return has_run_at_least_once_; }

 protected:
  using Clock = std::chrono::steady_clock;

  void Init();
  /// Whether the time of the device counts.
  virtual bool OnDevice() const;

  bool initted_;
  bool running_;
  bool has_run_at_least_once_;
  Clock::time_point start_cpu_;
  Clock::time_point stop_cpu_;
  std::unique_ptr<device::Moment> start_gpu_;  ///< null when the clock is read
  std::unique_ptr<device::Moment> stop_gpu_;

  DISABLE_COPY_AND_ASSIGN(Timer);
};

/// A stopwatch that always reads the clock, and never waits for the device.
class CPUTimer : public Timer {
 public:
  explicit CPUTimer();
  ~CPUTimer() override;

 protected:
  bool OnDevice() const override;
};

}  // namespace caffe

#endif  // CAFFE_UTIL_BENCHMARK_H_
