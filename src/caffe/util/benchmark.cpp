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

bool Timer::OnDevice() const { return Caffe::mode() == Caffe::GPU; }

bool CPUTimer::OnDevice() const { return false; }

void Timer::Start() {
  if (running_) return;
  if (!OnDevice()) {
    start_gpu_.reset();
    start_cpu_ = Clock::now();
  } else {
    if (!start_gpu_) {
      start_gpu_ = std::make_unique<device::Moment>();
      stop_gpu_ = std::make_unique<device::Moment>();
    }
    stop_gpu_->Prepare();
    start_gpu_->Record();
  }
  running_ = true;
  has_run_at_least_once_ = true;
}

void Timer::Stop() {
  if (!running_) return;
  if (start_gpu_) {
    stop_gpu_->Record();
  } else {
    stop_cpu_ = Clock::now();
  }
  running_ = false;
}

float Timer::MicroSeconds() {
  if (!has_run_at_least_once_) {
    LOG(WARNING) << "Timer has never been run before reading time.";
    return 0;
  }
  if (running_) Stop();
  if (start_gpu_) return 1000 * stop_gpu_->MillisecondsSince(*start_gpu_);
  return std::chrono::duration<float, std::micro>(stop_cpu_ - start_cpu_).count();
}

float Timer::MilliSeconds() { return MicroSeconds() / 1000; }

float Timer::Seconds() { return MilliSeconds() / 1000; }

}  // namespace caffe
