#ifndef CAFFE_GPU_CONVOLUTION_UNFOLDED_HPP_
#define CAFFE_GPU_CONVOLUTION_UNFOLDED_HPP_

#include <memory>

#include "caffe/ops/convolution/unfolded.hpp"

namespace caffe {

/// Where the unfolded matrix lies: in the thread's Workspace(), or in memory of its own,
/// where it stays for a Forward that keeps it.
enum class UnfoldedMatrix { kShared, kOwn };

/// The convolution of one plain image in device memory.
template <typename T>
std::unique_ptr<UnfoldedConvolution<T>> MakeDeviceUnfoldedConvolution(
    const ConvolutionProblem& problem, UnfoldedMatrix matrix);

}  // namespace caffe

#endif  // CAFFE_GPU_CONVOLUTION_UNFOLDED_HPP_
