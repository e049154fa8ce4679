#include "caffe/util/zero_denormals.hpp"

#include <omp.h>

#ifdef __SSE__
#include <xmmintrin.h>
#endif

namespace caffe {

#ifdef __SSE__
namespace {

constexpr unsigned kFlushResults = 0x8000, kOperandsAreZero = 0x0040;

}  // namespace

ZeroDenormals::ZeroDenormals() : before_(omp_get_max_threads()) {
#pragma omp parallel num_threads(static_cast<int>(before_.size()))
  {
    const unsigned mode = _mm_getcsr();
    before_[omp_get_thread_num()] = mode;
    _mm_setcsr(mode | kFlushResults | kOperandsAreZero);
  }
}

ZeroDenormals::~ZeroDenormals() {
#pragma omp parallel num_threads(static_cast<int>(before_.size()))
  _mm_setcsr(before_[omp_get_thread_num()]);
}

KeepDenormals::KeepDenormals() : before_(_mm_getcsr()) {
  _mm_setcsr(before_ & ~(kFlushResults | kOperandsAreZero));
}
KeepDenormals::~KeepDenormals() { _mm_setcsr(before_); }
#else
ZeroDenormals::ZeroDenormals() {}
ZeroDenormals::~ZeroDenormals() {}
KeepDenormals::KeepDenormals() {}
KeepDenormals::~KeepDenormals() {}
#endif

}  // namespace caffe
