#include "caffe/common.hpp"

#include <cstdlib>
#include <cstring>
#include <random>

#include "caffe/device.hpp"
#include "caffe/util/rng.hpp"

namespace caffe {
namespace {

std::uint64_t SeedFromSystem() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

}  // namespace

void GlobalInit(int* pargc, char*** pargv) {
  int kept = 0;
  for (int i = 0; i < *pargc; ++i) {
    const char* argument = (*pargv)[i];
    const char* name = argument;
    while (*name == '-') ++name;
    const bool is_flag = i > 0 && name != argument;
    if (is_flag && std::strncmp(name, "minloglevel=", 12) == 0) {
      logging::SetMinSeverity(static_cast<logging::LogSeverity>(std::atoi(name + 12)));
    } else if (is_flag && std::strncmp(name, "v=", 2) == 0) {
      logging::SetVerboseLevel(std::atoi(name + 2));
    } else {
      (*pargv)[kept++] = (*pargv)[i];
    }
  }
  *pargc = kept;
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
  SeedDevice();
}

std::uint64_t Caffe::random_seed() { return caffe_rng()->seed(); }

Caffe::Caffe() : mode_(CPU), solver_count_(1), solver_rank_(0), multiprocess_(false) {}
Caffe::~Caffe() {}

void Caffe::set_mode(Brew mode) {
  if (mode == GPU) device::Require();
  Get().mode_ = mode;
}

}  // namespace caffe
