#include "caffe/common.hpp"

#include <random>

#include "caffe/device.hpp"
#include "caffe/util/flags.hpp"
#include "caffe/util/rng.hpp"

namespace caffe {
namespace {

std::uint64_t SeedFromSystem() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

}  // namespace

void GlobalInit(int* pargc, char*** pargv) {
  flags::names::ParseCommandLineFlags(pargc, pargv, true);
}

Caffe& Caffe::Get() {
  static thread_local Caffe instance;
  return instance;
}

Caffe::RNG::RNG() : generator_(SeedFromSystem()) {}
Caffe::RNG::RNG(unsigned int seed) : generator_(seed) {}
void* Caffe::RNG::generator() { return &generator_; }

rng_t* caffe_rng() { return static_cast<rng_t*>(Caffe::rng_stream().generator()); }

void Caffe::set_random_seed(const unsigned int seed) {
  Get().random_generator_ = RNG(seed);
  Get().streams_taken_.clear();
  SeedDevice();
}

int Caffe::TakeStream(const string& name) { return Get().streams_taken_[name]++; }

std::uint64_t Caffe::random_seed() { return caffe_rng()->seed(); }

Caffe::Caffe() : mode_(CPU), solver_count_(1), solver_rank_(0), multiprocess_(false) {}
Caffe::~Caffe() {}

void Caffe::set_mode(Brew mode) {
  if (mode == GPU) device::Require();
  Get().mode_ = mode;
}

}  // namespace caffe
