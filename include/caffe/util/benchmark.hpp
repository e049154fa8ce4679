#ifndef CAFFE_UTIL_BENCHMARK_H_
#define CAFFE_UTIL_BENCHMARK_H_

#include <chrono>

#include "caffe/common.hpp"

namespace caffe {

/// A stopwatch over wall-clock time. In GPU mode it waits for the device before
/// it reads the clock, so that queued kernels are counted.
class Timer {
 public:
  Timer();
  virtual ~Timer();
  virtual void Start();
  virtual void Stop();
  /// Time between Start and Stop; a running timer is stopped first. 0 when the
  /// timer has never run.
  virtual float MilliSeconds();
  virtual float MicroSeconds();
  virtual float Seconds();

  inline bool initted() { return initted_; }
  inline bool running() { return running_; }
  inline bool has_run_at_least_once() { return has_run_at_least_once_; }

 protected:
  using Clock = std::chrono::steady_clock;

  void Init();
  /// Makes the clock meaningful in GPU mode; CPUTimer does nothing here.
  virtual void WaitForDevice();

  bool initted_;
  bool running_;
  bool has_run_at_least_once_;
  Clock::time_point start_cpu_;
  Clock::time_point stop_cpu_;

  DISABLE_COPY_AND_ASSIGN(Timer);
};

/// A stopwatch that never waits for the device.
class CPUTimer : public Timer {
 public:
  explicit CPUTimer();
  ~CPUTimer() override;

 protected:
  void WaitForDevice() override;
};

}  // namespace caffe

#endif  // CAFFE_UTIL_BENCHMARK_H_
