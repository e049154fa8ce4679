#ifndef CAFFE_GPU_MATMUL_HPP_
#define CAFFE_GPU_MATMUL_HPP_

#include <cstdint>

namespace caffe {

/// y = x · wᵀ + bias of row-major matrices in device memory, as InnerProduct has them:
/// x is m x k, y m x n, w n x k or, `transposed`, k x n. A null bias is none.
struct MatmulProblem {
  int m, n, k;
  bool transposed;
};

/// Of floats the bias is added in the same pass where cuBLASLt has a kernel that does it.
/// Sums are float32 sums of float32 products, never of rounded ones.
template <typename T>
void MatmulWithBias(const MatmulProblem& problem, const T* x, const T* w, const T* bias,
                    T* y);

/// How often this process has asked cuBLASLt for a kernel: once for each problem, thread
/// and device.
std::int64_t MatmulSearchCount();

}  // namespace caffe

#endif  // CAFFE_GPU_MATMUL_HPP_
