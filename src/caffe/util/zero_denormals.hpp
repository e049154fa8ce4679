#ifndef CAFFE_UTIL_ZERO_DENORMALS_HPP_
#define CAFFE_UTIL_ZERO_DENORMALS_HPP_

#include <vector>

namespace caffe {

/// While it lives, numbers below the smallest normal one count as 0 in arithmetic, as
/// operands and as results, in the calling thread and the OpenMP threads that it starts.
/// Only on x86: elsewhere it does nothing.
class ZeroDenormals {
 public:
  ZeroDenormals();
  ~ZeroDenormals();
  ZeroDenormals(const ZeroDenormals&) = delete;
  ZeroDenormals& operator=(const ZeroDenormals&) = delete;

 private:
  std::vector<unsigned> before_;  ///< control registers, by thread
};

/// Suspends that in the calling thread.
class KeepDenormals {
 public:
  KeepDenormals();
  ~KeepDenormals();
  KeepDenormals(const KeepDenormals&) = delete;
  KeepDenormals& operator=(const KeepDenormals&) = delete;

 private:
  unsigned before_ = 0;
};

}  // namespace caffe

#endif  // CAFFE_UTIL_ZERO_DENORMALS_HPP_
