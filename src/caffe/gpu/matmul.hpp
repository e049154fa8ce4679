#ifndef CAFFE_GPU_MATMUL_HPP_
#define CAFFE_GPU_MATMUL_HPP_

#include <cstdint>

#include "caffe/gpu/tensor.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

// Products of row-major matrices in device memory, in a precision: with BF16 and FP16 the
// factors have elements of ActivationType<T>(precision), and sums are float32. So are all
// sums of float32 products, whose operands TF32 rounds and FLOAT32 never.

/// c = op(a) · op(b) + beta · c
template <typename T>
void DeviceGemm(NetParameter::Precision precision, CBLAS_TRANSPOSE trans_a,
                CBLAS_TRANSPOSE trans_b, int m, int n, int k, const void* a,
                const void* b, T beta, T* c);

/// y = x · wᵀ + bias, as InnerProduct has it: x is m x k, y m x n, w n x k or,
/// `transposed`, k x n. A null bias is none.
struct MatmulProblem {
  int m, n, k;
  bool transposed;
};

/// Of floats the bias is added in the same pass where cuBLASLt has a kernel that does it.
template <typename T>
void MatmulWithBias(const MatmulProblem& problem, NetParameter::Precision precision,
                    const void* x, const void* w, const T* bias, T* y);

/// How often this process has asked cuBLASLt for a kernel: once for each problem, thread
/// and device.
std::int64_t MatmulSearchCount();

}  // namespace caffe

#endif  // CAFFE_GPU_MATMUL_HPP_
