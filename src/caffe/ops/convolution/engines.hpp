#ifndef CAFFE_OPS_CONVOLUTION_ENGINES_HPP_
#define CAFFE_OPS_CONVOLUTION_ENGINES_HPP_

#include <memory>
#include <string>
#include <vector>

#include "caffe/ops/convolution.hpp"
#include "caffe/ops/engine.hpp"

namespace caffe {

/// The engines in the order they are asked; tests compare each with the definition.
template <typename T>
const std::vector<Engine<ConvolutionOp<T>, ConvolutionProblem>>& ConvolutionEngines();

// Their makers, each in the file of its name.
std::unique_ptr<ConvolutionOp<float>> MakeChannelsLastConvolution(
    const ConvolutionProblem&, std::string* why);
std::unique_ptr<ConvolutionOp<float>> MakeSubsampledConvolution(const ConvolutionProblem&,
                                                                std::string* why);
std::unique_ptr<ConvolutionOp<float>> MakeGroupedConvolution(const ConvolutionProblem&,
                                                             std::string* why);
std::unique_ptr<ConvolutionOp<float>> MakeOnednnConvolution(const ConvolutionProblem&,
                                                            std::string* why);
template <typename T>
std::unique_ptr<ConvolutionOp<T>> MakeReferenceConvolution(const ConvolutionProblem&,
                                                           std::string* why);

}  // namespace caffe

#endif  // CAFFE_OPS_CONVOLUTION_ENGINES_HPP_
