#ifndef CAFFE_GPU_CONVOLUTION_ENGINES_HPP_
#define CAFFE_GPU_CONVOLUTION_ENGINES_HPP_

#include <memory>
#include <string>
#include <vector>

#include "caffe/gpu/convolution.hpp"
#include "caffe/ops/engine.hpp"

namespace caffe {

/// The engines in the order they are asked; tests compare each with the definition.
template <typename T>
const std::vector<Engine<DeviceConvolution<T>, ConvolutionProblem>>&
DeviceConvolutionEngines();

// Their makers, in cudnn.cpp and unfolded.cpp.
template <typename T>
std::unique_ptr<DeviceConvolution<T>> MakeCudnnConvolution(const ConvolutionProblem&,
                                                           std::string* why);
template <typename T>
std::unique_ptr<DeviceConvolution<T>> MakeUnfoldedDeviceConvolution(
    const ConvolutionProblem&, std::string* why);

}  // namespace caffe

#endif  // CAFFE_GPU_CONVOLUTION_ENGINES_HPP_
