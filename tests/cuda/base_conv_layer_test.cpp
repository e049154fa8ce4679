// What layers written for Caffe call on a GPU: BaseConvolutionLayer's methods for one
// image.

#include "caffe/layers/base_conv_layer.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "caffe/layers/conv_layer.hpp"
#include "gpu_mode.hpp"
#include "layer_test.hpp"
#include "ops/problems.hpp"
#include "ops/reference_convolution.hpp"

namespace caffe {
namespace test {
namespace {

// A convolution that computes image by image.
template <typename Dtype>
class ImageByImage : public ConvolutionLayer<Dtype> {
 public:
  using ConvolutionLayer<Dtype>::ConvolutionLayer;

 protected:
  void Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top) override {
    const Dtype* x = bottom[0]->gpu_data();
    Dtype* y = top[0]->mutable_gpu_data();
    for (int n = 0; n < this->num_; ++n) {
      this->forward_gpu_gemm(x + n * this->bottom_dim_, this->blobs_[0]->gpu_data(),
                             y + n * this->top_dim_);
      this->forward_gpu_bias(y + n * this->top_dim_, this->blobs_[1]->gpu_data());
    }
  }

  void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>&,
                    const vector<Blob<Dtype>*>& bottom) override {
    const Dtype* x = bottom[0]->gpu_data();
    const Dtype* dy = top[0]->gpu_diff();
    Dtype* dx = bottom[0]->mutable_gpu_diff();
    for (int n = 0; n < this->num_; ++n) {
      this->backward_gpu_bias(this->blobs_[1]->mutable_gpu_diff(),
                              dy + n * this->top_dim_);
      this->weight_gpu_gemm(x + n * this->bottom_dim_, dy + n * this->top_dim_,
                            this->blobs_[0]->mutable_gpu_diff());
      // The image is unfolded by now: what it gives is this image's top again.
      again.Reshape(top[0]->shape());
      this->forward_gpu_gemm(x + n * this->bottom_dim_, this->blobs_[0]->gpu_data(),
                             again.mutable_gpu_data() + n * this->top_dim_, true);
      this->forward_gpu_bias(again.mutable_gpu_data() + n * this->top_dim_,
                             this->blobs_[1]->gpu_data());
      this->backward_gpu_gemm(dy + n * this->top_dim_, this->blobs_[0]->gpu_data(),
                              dx + n * this->bottom_dim_);
    }
  }

 public:
  Blob<Dtype> again;
};

struct Case {
  std::string param;
  ConvolutionCase c;
};

template <typename T>
class BaseConvolutionDeviceTest : public GpuModeTest<T> {};
TYPED_TEST_SUITE(BaseConvolutionDeviceTest, FloatAndDouble);

TYPED_TEST(BaseConvolutionDeviceTest, ImagesAreTheDefinition) {
  using T = TypeParam;
  const std::vector<Case> cases = {
      {"num_output: 6 kernel_size: 3 pad: 1 stride: 2 group: 3",
       MakeCase("grouped", {2, 3, 5, 7}, 6, {.kernel = {3}, .stride = {2}, .pad = {1}}, 3,
                true)},
      {"num_output: 4 kernel_size: 1", MakeCase("1x1", {3, 5, 3, 4}, 4, {{1}}, 1, true)},
      {"num_output: 4 kernel_size: 2 pad: 1 group: 2",
       MakeCase("3d", {2, 2, 3, 2, 3}, 4, {.kernel = {2}, .pad = {1}}, 2, true)},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.param);
    LayerRun<T> run(
        "type: 'Convolution' convolution_param { weight_filler { type: 'gaussian' } "
        "bias_filler { type: 'gaussian' } " +
            c.param + " }",
        {c.c.problem.src});
    auto layer = std::make_shared<ImageByImage<T>>(run.layer->layer_param());
    run.layer = layer;
    run.Forward();
    run.Backward();
    const ConvolutionResults want =
        ReferenceConvolution(c.c.problem, run.Bottom(0), Values(*layer->blobs()[0]),
                             Values(*layer->blobs()[1]), run.TopDiff());
    const Tolerance tolerance = ToleranceOf<T>(
        OpKind::kReduction, layer->blobs()[0]->count() + run.top[0]->count());
    ExpectClose(run.Top(), want.y, tolerance, "y");
    ExpectClose(Values(layer->again), want.y, tolerance, "y of what is unfolded");
    ExpectClose(run.BottomDiff(0), want.dx, tolerance, "dx");
    ExpectClose(Values(*layer->blobs()[0], Half::kDiff), want.dw, tolerance, "dw");
    ExpectClose(Values(*layer->blobs()[1], Half::kDiff), want.db, tolerance, "db");
  }
}

}  // namespace
}  // namespace test
}  // namespace caffe
