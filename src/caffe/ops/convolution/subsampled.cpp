#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "caffe/ops/convolution/engines.hpp"
#include "caffe/ops/for_block.hpp"
#include "caffe/ops/lanes.hpp"

// A 2-d convolution whose stride equals its dilation s, with padding a multiple of s,
// touches every s-th row and column of the input only: it is a convolution without
// stride and dilation of the subsampled input. The dilated branches of SKNet's strided
// units are such (stride 2, dilation 2, pad 2); no library has fast gradients for them.

namespace caffe {
namespace {

class SubsampledConvolution : public ConvolutionOp<float> {
 public:
  SubsampledConvolution(const ConvolutionProblem& problem,
                        const ConvolutionProblem& subsampled)
      : step_(problem.stride[0]),
        inner_(MakeConvolution<float>(subsampled)),
        every_(subsampled.src) {}

  using ConvolutionOp<float>::Forward;
  void Forward(Tensor<float> src, Tensor<float> weights, const float* bias,
               Tensor<float> dst, const Blob<float>* addend) override {
    Gather(src);
    inner_->Forward(DataOf(&every_), weights, bias, dst, addend);
  }

  void BackwardData(Tensor<float> diff_dst, Tensor<float> weights,
                    Tensor<float> diff_src) override {
    inner_->BackwardData(diff_dst, weights, DiffOf(&every_));
    const int block = PreferredBlock<float>(diff_src.shape());
    const float* from = DiffOf(&every_).Read(block);
    float* to = diff_src.Write(block);
    ForBlock<float>(block, [&]<int K>() {
      ForEachRow<K>(diff_src.shape(), [&](int64_t row_at, int64_t kept_at, bool kept) {
        const int width = diff_src.shape()[3];
        float* row = to + row_at;
        std::fill(row, row + int64_t{width} * K, 0.0f);
        for (int w = 0; kept && w < width; w += step_) {
          Store<K>(row + int64_t{w} * K,
                   Load<K>(from + kept_at + int64_t{w / step_} * K));
        }
      });
    });
  }

  void BackwardWeights(Tensor<float> src, Tensor<float> diff_dst,
                       float* diff_weights) override {
    Gather(src);
    inner_->BackwardWeights(DataOf(&every_), diff_dst, diff_weights);
  }

  std::string name() const override { return "subsampled " + inner_->name(); }

 private:
  // Calls row(offset of a row of the full image, offset of the row it keeps in the
  // subsampled one, whether it keeps one).
  template <int K, typename Row>
  void ForEachRow(const std::vector<int>& shape, Row row) const {
    const int height = shape[2], width = shape[3];
    const int kept_h = every_.shape(2), kept_w = every_.shape(3);
    const int planes = shape[0] * shape[1] / K;
#pragma omp parallel for schedule(static)
    for (int p = 0; p < planes; ++p) {
      for (int h = 0; h < height; ++h) {
        row((int64_t{p} * height + h) * width * K,
            (int64_t{p} * kept_h + h / step_) * kept_w * K, h % step_ == 0);
      }
    }
  }

  void Gather(Tensor<float> src) {
    const int block = PreferredBlock<float>(src.shape());
    const float* from = src.Read(block);
    float* to = DataOf(&every_).Write(block);
    ForBlock<float>(block, [&]<int K>() {
      ForEachRow<K>(src.shape(), [&](int64_t row_at, int64_t kept_at, bool kept) {
        for (int w = 0; kept && w < src.shape()[3]; w += step_) {
          Store<K>(to + kept_at + int64_t{w / step_} * K,
                   Load<K>(from + row_at + int64_t{w} * K));
        }
      });
    });
  }

  int step_;
  std::unique_ptr<ConvolutionOp<float>> inner_;
  /// The kept rows and columns, and their gradient.
  Blob<float> every_;
};

}  // namespace

std::unique_ptr<ConvolutionOp<float>> MakeSubsampledConvolution(
    const ConvolutionProblem& p, std::string* why) {
  if (p.spatial_axes() != 2 || !p.batch_is_axis0) {
    *why = "not (N, C, H, W)";
    return nullptr;
  }
  const int step = p.stride[0];
  ConvolutionProblem subsampled = p;
  for (int i = 0; i < 2; ++i) {
    if (p.stride[i] != step || p.dilation[i] != step || step < 2 ||
        p.pad[i] % step != 0) {
      *why = "stride, dilation and padding do not agree";
      return nullptr;
    }
    subsampled.src[2 + i] = (p.src[2 + i] + step - 1) / step;
    subsampled.stride[i] = subsampled.dilation[i] = 1;
    subsampled.pad[i] = p.pad[i] / step;
  }
  if (PreferredBlock<float>(p.src) != PreferredBlock<float>(subsampled.src)) {
    *why = "the subsampled image has another layout";
    return nullptr;
  }
  return std::make_unique<SubsampledConvolution>(p, subsampled);
}

}  // namespace caffe
