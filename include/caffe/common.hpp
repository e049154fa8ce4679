#ifndef CAFFE_COMMON_HPP_
#define CAFFE_COMMON_HPP_

#include <cassert>
#include <cfloat>
#include <climits>
#include <cmath>
#include <cstdint>
#include <fstream>   // NOLINT(readability/streams)
#include <iostream>  // NOLINT(readability/streams)
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "caffe/compat/boost_pointers.hpp"
#include "caffe/error.hpp"
#include "caffe/logging.hpp"
#include "caffe/util/device_alternate.hpp"
#include "caffe/util/flags.hpp"
#include "caffe/util/rng.hpp"

#define STRINGIFY(m) #m
#define AS_STRING(m) STRINGIFY(m)

// The project's version, as in `caffe --version`.
#ifndef CAFFE_VERSION
#define CAFFE_VERSION 0.1.0
#endif

#define DISABLE_COPY_AND_ASSIGN(classname) \
 private:                                  \
  classname(const classname&) = delete;    \
  classname& operator=(const classname&) = delete

// Instantiates a class for float and double.
#define INSTANTIATE_CLASS(classname)   \
  char gInstantiationGuard##classname; \
  template class classname<float>;     \
  template class classname<double>

#define INSTANTIATE_LAYER_GPU_FORWARD(classname)                                         \
  template void classname<float>::Forward_gpu(const std::vector<Blob<float>*>& bottom,   \
                                              const std::vector<Blob<float>*>& top);     \
  template void classname<double>::Forward_gpu(const std::vector<Blob<double>*>& bottom, \
                                               const std::vector<Blob<double>*>& top);

#define INSTANTIATE_LAYER_GPU_BACKWARD(classname)                                        \
  template void classname<float>::Backward_gpu(const std::vector<Blob<float>*>& top,     \
                                               const std::vector<bool>& propagate_down,  \
                                               const std::vector<Blob<float>*>& bottom); \
  template void classname<double>::Backward_gpu(                                         \
      const std::vector<Blob<double>*>& top, const std::vector<bool>& propagate_down,    \
      const std::vector<Blob<double>*>& bottom)

#define INSTANTIATE_LAYER_GPU_FUNCS(classname) \
  INSTANTIATE_LAYER_GPU_FORWARD(classname)     \
  INSTANTIATE_LAYER_GPU_BACKWARD(classname)

/// Marks a branch that has not been written: throws NotImplementedError.
#define NOT_IMPLEMENTED                              \
  throw ::caffe::NotImplementedFailure(::caffe::Str( \
      __func__, " is not implemented by this layer (", __FILE__, ":", __LINE__, ")"))

namespace cv {
class Mat;
}

namespace caffe {

using std::fstream;
using std::ios;
using std::isinf;
using std::isnan;
using std::iterator;
using std::make_pair;
using std::map;
using std::ostringstream;
using std::pair;
using std::set;
using std::shared_ptr;
using std::string;
using std::stringstream;
using std::vector;
using std::weak_ptr;

/// Sets the program's flags (DEFINE_string and the like) from its arguments and takes
/// them out of these; among the flags are -minloglevel and -v of the log. Throws
/// ValueError for a flag that nobody has defined; -help prints all flags and exits.
void GlobalInit(int* pargc, char*** pargv);

/// Per-thread state of the library: mode, device, random stream, solver role.
class Caffe {
 public:
  ~Caffe();

  /// The calling thread's instance. New threads start with mode CPU.
  static Caffe& Get();

  enum Brew { CPU, GPU };

  /// Wraps the generator behind caffe_rng(), as Caffe does.
  class RNG {
   public:
    RNG();
    explicit RNG(unsigned int seed);
    void* generator();

   private:
    rng_t generator_;
  };

  inline static RNG& rng_stream() { return Get().random_generator_; }

#ifndef CPU_ONLY
  static cublasHandle_t cublas_handle();
  static curandGenerator_t curand_generator();
#ifdef USE_CUDNN
  /// As in the forks SENet and SKNet were released from.
  static cudnnHandle_t cudnn_handle();
#endif
#endif

  inline static Brew mode() { return Get().mode_; }
  /// Selects where layers compute. GPU throws RuntimeError in a CPU build.
  static void set_mode(Brew mode);
  /// Restarts the random stream; equal seeds give equal draws.
  static void set_random_seed(const unsigned int seed);
  /// The seed of the running stream.
  static std::uint64_t random_seed();
  /// How often this thread has asked with this name since it set the seed: what draws
  /// from a stream of its own, beside caffe_rng(), takes another one every time.
  static int TakeStream(const string& name);
  static void SetDevice(const int device_id);
  static void DeviceQuery();
  static bool CheckDevice(const int device_id);
  static int FindDevice(const int start_id = 0);

  inline static int solver_count() { return Get().solver_count_; }
  inline static void set_solver_count(int val) { Get().solver_count_ = val; }
  inline static int solver_rank() { return Get().solver_rank_; }
  inline static void set_solver_rank(int val) { Get().solver_rank_ = val; }
  inline static bool multiprocess() { return Get().multiprocess_; }
  inline static void set_multiprocess(bool val) { Get().multiprocess_ = val; }
  inline static bool root_solver() { return Get().solver_rank_ == 0; }

 protected:
  RNG random_generator_;
  Brew mode_;
  int solver_count_;
  int solver_rank_;
  bool multiprocess_;
  map<string, int> streams_taken_;
  // In builds with and without a GPU alike, so that both are one to who links with them.
  struct Device;
  shared_ptr<Device> device_;

 private:
  Caffe();
  static Device& device();
  static void SeedDevice();
  DISABLE_COPY_AND_ASSIGN(Caffe);
};

}  // namespace caffe

#endif  // CAFFE_COMMON_HPP_
