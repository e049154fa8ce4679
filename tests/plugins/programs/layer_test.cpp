// Tests of somebody's layers, with the fixtures and the gradient checker of Caffe.

#include <cmath>
#include <vector>

#include "gtest/gtest-spi.h"
#include "gtest/gtest.h"

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/filler.hpp"
#include "caffe/layers/inner_product_layer.hpp"
#include "caffe/layers/neuron_layer.hpp"
#include "caffe/layers/relu_layer.hpp"

#include "caffe/test/test_caffe_main.hpp"
#include "caffe/test/test_gradient_check_util.hpp"

namespace caffe {

// y = x^2, and a gradient that can be told to be wrong.
template <typename Dtype>
class SquareLayer : public NeuronLayer<Dtype> {
 public:
  explicit SquareLayer(const LayerParameter& param, Dtype factor = 2)
      : NeuronLayer<Dtype>(param), factor_(factor) {}
  virtual ~SquareLayer<Dtype>() {}
  virtual inline const char* type() const { return "Square"; }

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top) {
    caffe_sqr(bottom[0]->count(), bottom[0]->cpu_data(), top[0]->mutable_cpu_data());
  }
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom) {
    const int count = bottom[0]->count();
    caffe_mul(count, top[0]->cpu_diff(), bottom[0]->cpu_data(),
              bottom[0]->mutable_cpu_diff());
    caffe_scal(count, factor_, bottom[0]->mutable_cpu_diff());
  }
  Dtype factor_;
};

template <typename TypeParam>
class SquareLayerTest : public MultiDeviceTest<TypeParam> {
  typedef typename TypeParam::Dtype Dtype;

 protected:
  SquareLayerTest()
      : blob_bottom_(new Blob<Dtype>(2, 3, 4, 5)), blob_top_(new Blob<Dtype>()) {
    Caffe::set_random_seed(1701);
    FillerParameter filler_param;
    GaussianFiller<Dtype> filler(filler_param);
    filler.Fill(this->blob_bottom_);
    blob_bottom_vec_.push_back(blob_bottom_);
    blob_top_vec_.push_back(blob_top_);
  }
  virtual ~SquareLayerTest() {
    delete blob_bottom_;
    delete blob_top_;
  }
  Blob<Dtype>* const blob_bottom_;
  Blob<Dtype>* const blob_top_;
  vector<Blob<Dtype>*> blob_bottom_vec_;
  vector<Blob<Dtype>*> blob_top_vec_;
};

TYPED_TEST_CASE(SquareLayerTest, TestDtypesAndDevices);

TYPED_TEST(SquareLayerTest, TestForward) {
  typedef typename TypeParam::Dtype Dtype;
  LayerParameter layer_param;
  SquareLayer<Dtype> layer(layer_param);
  layer.SetUp(this->blob_bottom_vec_, this->blob_top_vec_);
  layer.Forward(this->blob_bottom_vec_, this->blob_top_vec_);
  for (int i = 0; i < this->blob_bottom_->count(); ++i) {
    const Dtype x = this->blob_bottom_->cpu_data()[i];
    EXPECT_NEAR(this->blob_top_->cpu_data()[i], x * x, 1e-5);
  }
}

TYPED_TEST(SquareLayerTest, TestGradient) {
  typedef typename TypeParam::Dtype Dtype;
  LayerParameter layer_param;
  SquareLayer<Dtype> layer(layer_param);
  GradientChecker<Dtype> checker(1e-2, 1e-2);
  checker.CheckGradientEltwise(&layer, this->blob_bottom_vec_, this->blob_top_vec_);
}

TYPED_TEST(SquareLayerTest, TestGradientOfParameters) {
  typedef typename TypeParam::Dtype Dtype;
  LayerParameter layer_param;
  layer_param.mutable_inner_product_param()->set_num_output(3);
  layer_param.mutable_inner_product_param()->mutable_weight_filler()->set_type(
      "gaussian");
  InnerProductLayer<Dtype> layer(layer_param);
  GradientChecker<Dtype> checker(1e-2, 1e-2);
  checker.CheckGradientExhaustive(&layer, this->blob_bottom_vec_, this->blob_top_vec_);
  checker.CheckGradient(&layer, this->blob_bottom_vec_, this->blob_top_vec_, 0);
}

TYPED_TEST(SquareLayerTest, TestGradientAtAKink) {
  typedef typename TypeParam::Dtype Dtype;
  this->blob_bottom_->mutable_cpu_data()[0] = 1e-3;  // closer than a step
  LayerParameter layer_param;
  ReLULayer<Dtype> layer(layer_param);
  GradientChecker<Dtype> checker(1e-2, 1e-2, 1701, 0., 0.01);
  checker.CheckGradientEltwise(&layer, this->blob_bottom_vec_, this->blob_top_vec_);
}

// A checker that sees nothing would pass, too.
class WrongGradientTest : public CPUDeviceTest<double> {};

TEST_F(WrongGradientTest, TestIsFound) {
  Blob<double> bottom(1, 1, 1, 2), top;
  bottom.mutable_cpu_data()[0] = 0.5;
  bottom.mutable_cpu_data()[1] = 3;
  vector<Blob<double>*> bottoms(1, &bottom), tops(1, &top);
  SquareLayer<double> layer(LayerParameter(), 2.1);
  ::testing::TestPartResultArray failures;
  {
    ::testing::ScopedFakeTestPartResultReporter reporter(
        ::testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD,
        &failures);
    GradientChecker<double> checker(1e-2, 1e-2);
    checker.CheckGradientEltwise(&layer, bottoms, tops);
  }
  EXPECT_EQ(failures.size(), 2);
}

}  // namespace caffe
