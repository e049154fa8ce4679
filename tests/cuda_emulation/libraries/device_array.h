#ifndef CUDA_EMULATION_DEVICE_ARRAY_H_
#define CUDA_EMULATION_DEVICE_ARRAY_H_

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "fill.hpp"
#include "number_format.h"

namespace cuda_emulation {
namespace test {

/// So many numbers that nobody has written yet: NaN.
struct Unset {
  std::size_t count;
};

/// Numbers in device memory, which tests fill and read as doubles.
class DeviceArray {
 public:
  DeviceArray(NumberFormat format, Unset unset) : format_(format), count_(unset.count) {
    EXPECT_EQ(cudaMalloc(&data_, bytes()), cudaSuccess);
  }
  DeviceArray(NumberFormat format, const std::vector<double>& values)
      : DeviceArray(format, Unset{values.size()}) {
    Write(values);
  }
  DeviceArray(NumberFormat format, std::initializer_list<double> values)
      : DeviceArray(format, std::vector<double>(values)) {}
  ~DeviceArray() { EXPECT_EQ(cudaFree(data_), cudaSuccess); }
  DeviceArray(const DeviceArray&) = delete;

  void Write(const std::vector<double>& values) {
    std::vector<char> bytes(count_ * SizeOf(format_));
    Store(format_, values.data(), static_cast<std::ptrdiff_t>(count_), bytes.data(), 1);
    EXPECT_EQ(cudaMemcpy(data_, bytes.data(), bytes.size(), cudaMemcpyDefault),
              cudaSuccess);
    // The copy has left host memory, and streams need not wait for it to arrive.
    EXPECT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
  }
  std::vector<double> Read() const {
    std::vector<char> bytes(count_ * SizeOf(format_));
    EXPECT_EQ(cudaMemcpy(bytes.data(), data_, bytes.size(), cudaMemcpyDefault),
              cudaSuccess);
    std::vector<double> values(count_);
    Load(format_, bytes.data(), 1, static_cast<std::ptrdiff_t>(count_), values.data());
    return values;
  }

  void* data() const { return data_; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  std::size_t count() const { return count_; }
  std::size_t bytes() const { return count_ * SizeOf(format_); }

 private:
  NumberFormat format_;
  std::size_t count_;
  void* data_ = nullptr;
};

/// The nearest numbers that `format` has.
inline std::vector<double> Rounded(NumberFormat format, std::vector<double> values) {
  std::vector<char> bytes(values.size() * SizeOf(format));
  const auto count = static_cast<std::ptrdiff_t>(values.size());
  Store(format, values.data(), count, bytes.data(), 1);
  Load(format, bytes.data(), 1, count, values.data());
  return values;
}

/// Numbers in [-1, 1) that `format` has.
inline std::vector<double> Inputs(NumberFormat format, std::uint64_t case_id,
                                  std::size_t count) {
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = caffe::test::Uniform(case_id, i);
  return Rounded(format, values);
}

}  // namespace test
}  // namespace cuda_emulation

#endif  // CUDA_EMULATION_DEVICE_ARRAY_H_
