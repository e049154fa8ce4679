#ifndef CAFFE_UTIL_VECTOR_MATH_HPP_
#define CAFFE_UTIL_VECTOR_MATH_HPP_

#include <cmath>

// Lets loops with std::exp, std::log, std::tanh … use vector registers: glibc has
// such versions of these functions, at most 4 ulp from exact, but tells the compiler
// of them under -ffast-math only, which would give up NaN and infinity as well.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__)
#if __GLIBC_PREREQ(2, 35)
extern "C" {
#define CAFFE_VECTOR_FUNCTION(name)                                      \
  __attribute__((__simd__("notinbranch"))) double name(double) noexcept; \
  __attribute__((__simd__("notinbranch"))) float name##f(float) noexcept
CAFFE_VECTOR_FUNCTION(exp);
CAFFE_VECTOR_FUNCTION(expm1);
CAFFE_VECTOR_FUNCTION(log);
CAFFE_VECTOR_FUNCTION(tanh);
#undef CAFFE_VECTOR_FUNCTION
__attribute__((__simd__("notinbranch"))) double pow(double, double) noexcept;
__attribute__((__simd__("notinbranch"))) float powf(float, float) noexcept;
}
#endif
#endif

#endif  // CAFFE_UTIL_VECTOR_MATH_HPP_
