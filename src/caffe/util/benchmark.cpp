#include "caffe/util/benchmark.hpp"

#include "caffe/device.hpp"

namespace caffe {

Timer::Timer() : initted_(false), running_(false), has_run_at_least_once_(false) {
  Init();
}

Timer::~Timer() {}

CPUTimer::CPUTimer() {}

CPUTimer::~CPUTimer() {}

void Timer::Init() { initted_ = true; }

void Timer::WaitForDevice() {
  if (Caffe::mode() == Caffe::GPU) device::Synchronize();
}

void CPUTimer::WaitForDevice() {}

void Timer::Start() {
  if (running_) return;
  WaitForDevice();
  start_cpu_ = Clock::now();
  running_ = true;
  has_run_at_least_once_ = true;
}

void Timer::Stop() {
  if (!running_) return;
  WaitForDevice();
  stop_cpu_ = Clock::now();
  running_ = false;
}

float Timer::MicroSeconds() {
  if (!has_run_at_least_once_) {
    LOG(WARNING) << "Timer has never been run before reading time.";
    return 0;
  }
  if (running_) Stop();
  return std::chrono::duration<float, std::micro>(stop_cpu_ - start_cpu_).count();
}

float Timer::MilliSeconds() { return MicroSeconds() / 1000; }

float Timer::Seconds() { return MilliSeconds() / 1000; }

}  // namespace caffe
