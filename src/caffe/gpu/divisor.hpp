#ifndef CAFFE_GPU_DIVISOR_HPP_
#define CAFFE_GPU_DIVISOR_HPP_

#include <cstdint>

#include "caffe/common.hpp"

namespace caffe {

/// Divides many numbers by one that is known before: a multiplication and a shift, where
/// a GPU takes some twenty instructions for a division.
///
/// With l = ceil(log2 d) and m = floor(2^32 (2^l - d) / d) + 1 the quotient of n and d is
/// (floor(m n / 2^32) + n) / 2^l for all 0 <= n < 2^31.
/// Source: Granlund and Montgomery, "Division by invariant integers using
/// multiplication", PLDI 1994, figure 4.1.
class Divisor {
 public:
  /// `d` from 1 on; 0 stands for a divisor by which nothing is divided.
  explicit Divisor(int d = 1) : divisor_(d) {
    if (d < 1) return;
    while ((std::uint64_t{1} << shift_) < static_cast<std::uint64_t>(d)) ++shift_;
    const std::uint64_t rest = (std::uint64_t{1} << shift_) - d;
    multiplier_ = static_cast<std::uint32_t>((rest << 32) / d + 1);
  }

  CAFFE_HOST_DEVICE int divisor() const { return divisor_; }
  /// n / divisor() for n from 0 on.
  CAFFE_HOST_DEVICE int Quotient(int n) const {
    const std::uint32_t numerator = static_cast<std::uint32_t>(n);
    const std::uint64_t product = std::uint64_t{multiplier_} * numerator;
    return static_cast<int>((static_cast<std::uint32_t>(product >> 32) + numerator) >>
                            shift_);
  }
  /// The same, and what is left.
  CAFFE_HOST_DEVICE int Quotient(int n, int* remainder) const {
    const int quotient = Quotient(n);
    *remainder = n - quotient * divisor_;
    return quotient;
  }
  CAFFE_HOST_DEVICE int Remainder(int n) const { return n - Quotient(n) * divisor_; }

 private:
  int divisor_, shift_ = 0;
  std::uint32_t multiplier_ = 0;
};

}  // namespace caffe

#endif  // CAFFE_GPU_DIVISOR_HPP_
