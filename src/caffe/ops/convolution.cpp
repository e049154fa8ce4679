#include "caffe/ops/convolution.hpp"

#include "caffe/ops/convolution/engines.hpp"

namespace caffe {

std::vector<int> ConvolutionProblem::WeightsShape() const {
  std::vector<int> shape = {dst_channels(), src_channels() / group};
  shape.insert(shape.end(), kernel.begin(), kernel.end());
  return shape;
}

std::string ConvolutionProblem::Text() const {
  return Str("src ", ShapeText(src), " dst ", ShapeText(dst), " kernel ",
             ShapeText(kernel), " stride ", ShapeText(stride), " pad ", ShapeText(pad),
             " dilation ", ShapeText(dilation), " group ", group,
             addend ? " + addend" : "", relu ? " relu" : "",
             precision == NetParameter::FLOAT32
                 ? ""
                 : " " + NetParameter::Precision_Name(precision),
             leaves_bfloat16 ? " kept" : "");
}

template <>
const std::vector<Engine<ConvolutionOp<float>, ConvolutionProblem>>&
ConvolutionEngines<float>() {
  static const std::vector<Engine<ConvolutionOp<float>, ConvolutionProblem>> engines = {
      {"channels_last", MakeChannelsLastConvolution},
      {"subsampled", MakeSubsampledConvolution},
      {"grouped", MakeGroupedConvolution},
      {"onednn", MakeOnednnConvolution},
      {kReferenceEngine, MakeReferenceConvolution<float>}};
  return engines;
}

template <>
const std::vector<Engine<ConvolutionOp<double>, ConvolutionProblem>>&
ConvolutionEngines<double>() {
  static const std::vector<Engine<ConvolutionOp<double>, ConvolutionProblem>> engines = {
      {kReferenceEngine, MakeReferenceConvolution<double>}};
  return engines;
}

template <typename T>
std::unique_ptr<ConvolutionOp<T>> MakeConvolution(const ConvolutionProblem& problem) {
  return SelectEngine(ConvolutionEngines<T>(), problem);
}

template <typename T>
void ConvolutionBackwardBias(const ConvolutionProblem& problem, Tensor<T> diff_dst,
                             T* diff_bias) {
  if (diff_dst.count() == 0) return;
  const int block = problem.batch_is_axis0 ? diff_dst.block() : 1;
  const T* diff = diff_dst.Read(block);
  const int num = problem.dst[0];
  const int groups = problem.dst[1] / block;
  const int64_t spatial = diff_dst.count() / (int64_t{num} * problem.dst[1]);
#pragma omp parallel for schedule(static)
  for (int g = 0; g < groups; ++g) {
    for (int lane = 0; lane < block; ++lane) {
      double sum = 0;
      for (int n = 0; n < num; ++n) {
        const T* tile = diff + (int64_t{n} * groups + g) * spatial * block + lane;
        for (int64_t s = 0; s < spatial; ++s) sum += tile[s * block];
      }
      diff_bias[g * block + lane] += static_cast<T>(sum);
    }
  }
}

template std::unique_ptr<ConvolutionOp<float>> MakeConvolution(const ConvolutionProblem&);
template std::unique_ptr<ConvolutionOp<double>> MakeConvolution(
    const ConvolutionProblem&);
template void ConvolutionBackwardBias(const ConvolutionProblem&, Tensor<float>, float*);
template void ConvolutionBackwardBias(const ConvolutionProblem&, Tensor<double>, double*);

}  // namespace caffe
