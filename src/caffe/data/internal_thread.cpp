#include "caffe/internal_thread.hpp"

#include <stop_token>
#include <thread>

#include "caffe/device.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {
namespace {

thread_local std::stop_token current_token;

}  // namespace

void WaitInterruptibly(std::condition_variable_any* changed,
                       std::unique_lock<std::mutex>* lock,
                       const std::function<bool()>& ready) {
  if (!changed->wait(*lock, current_token, ready)) throw ThreadInterrupted();
}

// Apart from the header, which users compile as C++17.
struct InternalThread::Thread {
  std::jthread thread;
};

InternalThread::InternalThread() : thread_(std::make_shared<Thread>()) {}

InternalThread::~InternalThread() { StopInternalThread(); }

bool InternalThread::is_started() const { return thread_->thread.joinable(); }

bool InternalThread::must_stop() { return current_token.stop_requested(); }

void InternalThread::StartInternalThread() { StartInternalThread(caffe_rng_rand()); }

void InternalThread::StartInternalThread(unsigned int seed) {
  CHECK(!is_started()) << "the internal thread runs already";
  const Caffe::Brew mode = Caffe::mode();
  const int solver_count = Caffe::solver_count();
  const int solver_rank = Caffe::solver_rank();
  const bool multiprocess = Caffe::multiprocess();
  const bool on_gpu = mode == Caffe::GPU;
  const int device = on_gpu ? device::Selected() : 0;
  thread_->thread = std::jthread([=, this](std::stop_token token) {
    current_token = token;
    try {
      if (on_gpu) Caffe::SetDevice(device);
      Caffe::set_mode(mode);
      Caffe::set_random_seed(seed);
      Caffe::set_solver_count(solver_count);
      Caffe::set_solver_rank(solver_rank);
      Caffe::set_multiprocess(multiprocess);
      InternalThreadEntry();
    } catch (const ThreadInterrupted&) {
    } catch (const std::exception& error) {
      // An entry that can fail hands its error over itself; this is the last resort
      // before std::terminate.
      LOG(ERROR) << "an internal thread ended: " << error.what();
    }
  });
}

void InternalThread::StopInternalThread() {
  if (!is_started()) return;
  thread_->thread.request_stop();
  thread_->thread.join();
}

}  // namespace caffe
