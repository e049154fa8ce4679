#ifndef CAFFE_TESTS_FILL_HPP_
#define CAFFE_TESTS_FILL_HPP_

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "caffe/blob.hpp"

// Test inputs as pure functions of (case, index): the same on every machine, in any
// order of evaluation, and whatever the library's own random generator does.

namespace caffe {
namespace test {

/// 64 well-mixed bits of (case_id, index).
inline std::uint64_t Bits(std::uint64_t case_id, std::uint64_t index) {
  // Two rounds of the finaliser of splitmix64 (Steele et al., OOPSLA 2014).
  std::uint64_t z = case_id * 0x9E3779B97F4A7C15u + index + 1;
  for (int round = 0; round < 2; ++round) {
    z += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
  }
  return z;
}

/// Uniform in [low, high).
inline double Uniform(std::uint64_t case_id, std::uint64_t index, double low = -1,
                      double high = 1) {
  return low + (high - low) * static_cast<double>(Bits(case_id, index) >> 11) * 0x1p-53;
}

enum class Half { kData, kDiff };

template <typename T>
T* MutableHalf(Blob<T>* blob, Half half) {
  return half == Half::kData ? blob->mutable_cpu_data() : blob->mutable_cpu_diff();
}

/// Element i becomes function(i).
template <typename T, typename Function>
void FillWith(Blob<T>* blob, Half half, Function function) {
  T* values = MutableHalf(blob, half);
  for (int i = 0; i < blob->count(); ++i) values[i] = static_cast<T>(function(i));
}

/// Uniform in [low, high).
template <typename T>
void Fill(Blob<T>* blob, std::uint64_t case_id, double low = -1, double high = 1,
          Half half = Half::kData) {
  FillWith(blob, half, [&](int i) { return Uniform(case_id, i, low, high); });
}

template <typename T>
void FillDiff(Blob<T>* blob, std::uint64_t case_id, double low = -1, double high = 1) {
  Fill(blob, case_id, low, high, Half::kDiff);
}

/// Values in (-1, 1) no two of which, nor any of which and 0, are closer than
/// 1 / (2 count): for layers that pick one of their inputs.
template <typename T>
void FillDistinct(Blob<T>* blob, std::uint64_t case_id) {
  const int count = blob->count();
  std::vector<int> order(count);
  for (int i = 0; i < count; ++i) order[i] = i;
  for (int i = count - 1; i > 0; --i) {
    std::swap(order[i], order[Bits(case_id, i) % (i + 1)]);
  }
  FillWith(blob, Half::kData,
           [&](int i) { return (2.0 * order[i] + 1) / count - 1 + 0.25 / count; });
}

/// Whole numbers in [low, high], for labels.
template <typename T>
void FillIntegers(Blob<T>* blob, std::uint64_t case_id, int low, int high) {
  FillWith(blob, Half::kData, [&](int i) {
    return low + static_cast<int>(Bits(case_id, i) % (high - low + 1));
  });
}

/// Marks a half as not yet written: an element the code leaves out stays NaN.
template <typename T>
void FillNaN(Blob<T>* blob, Half half = Half::kData) {
  FillWith(blob, half, [](int) { return std::numeric_limits<T>::quiet_NaN(); });
}

/// A blob's values in (N, C, …) order, whatever layout they are kept in.
template <typename T>
std::vector<double> Values(const Blob<T>& blob, Half half = Half::kData) {
  const T* values = half == Half::kData ? blob.cpu_data() : blob.cpu_diff();
  return std::vector<double>(values, values + blob.count());
}

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_FILL_HPP_
