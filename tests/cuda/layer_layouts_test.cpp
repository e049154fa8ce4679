// The layers that take data with the channels last on a device as it is.

#include <gtest/gtest.h>

#include <string>

#include "gpu_mode.hpp"
#include "layouts.hpp"

namespace caffe {
namespace test {
namespace {

template <typename T>
class LayerLayoutsTest : public GpuModeTest<T> {};
TYPED_TEST_SUITE(LayerLayoutsTest, FloatAndDouble);

// More channels than a warp has lanes, fewer, and one axis more.
const std::vector<int> kMany = {2, 37, 5, 3}, kFew = {3, 6, 4, 7},
                       kFive = {2, 5, 3, 2, 2};

TYPED_TEST(LayerLayoutsTest, Eltwise) {
  LayoutCase<TypeParam> options;
  options.kind = OpKind::kElementwise;
  for (const char* param :
       {"", "coeff: 2 coeff: -1", "operation: PROD",
        "operation: PROD stable_prod_grad: false", "operation: MAX"}) {
    const std::string text =
        std::string("type: 'Eltwise' eltwise_param { ") + param + " }";
    for (const auto& shape : {kMany, kFive}) {
      ExpectChannelsLastMatchesPlain<TypeParam>(text, {shape, shape}, options);
    }
  }
}

TYPED_TEST(LayerLayoutsTest, ScaleAndBias) {
  LayoutCase<TypeParam> options;
  options.kind = OpKind::kReduction;
  options.terms = 2 * 37 * 15;
  const std::string scale =
      "type: 'Scale' scale_param { bias_term: true filler { value: "
      "-1.5 } bias_filler { value: 0.75 } ";
  const std::string bias = "type: 'Bias' bias_param { filler { value: 0.75 } ";
  for (const auto& shape : {kMany, kFew, kFive}) {
    for (const std::string& text : {scale, bias}) {
      ExpectChannelsLastMatchesPlain<TypeParam>(text + "}", {shape}, options);
      ExpectChannelsLastMatchesPlain<TypeParam>(text + "num_axes: 0 }", {shape}, options);
    }
    ExpectChannelsLastMatchesPlain<TypeParam>("type: 'Scale' scale_param { axis: 0 }",
                                              {shape, {shape[0], shape[1]}}, options);
  }
  // Coefficients along other axes take plain data.
  options.stays = false;
  ExpectChannelsLastMatchesPlain<TypeParam>(scale + "axis: 2 }", {kMany}, options);
  ExpectChannelsLastMatchesPlain<TypeParam>(bias + "num_axes: -1 }", {kMany}, options);
}

TYPED_TEST(LayerLayoutsTest, PReLU) {
  LayoutCase<TypeParam> options;
  options.kind = OpKind::kReduction;
  options.terms = 2 * 37 * 15;
  for (const char* shared : {"false", "true"}) {
    const std::string text =
        std::string("type: 'PReLU' prelu_param { channel_shared: ") + shared + " }";
    for (const auto& shape : {kMany, kFew, kFive}) {
      ExpectChannelsLastMatchesPlain<TypeParam>(text, {shape}, options);
    }
  }
}

TYPED_TEST(LayerLayoutsTest, BatchNorm) {
  LayoutCase<TypeParam> options;
  options.kind = OpKind::kNormalization;
  options.terms = 84;
  for (const auto& shape : {kMany, kFew, kFive}) {
    for (const char* global : {"false", "true"}) {
      const std::string text =
          std::string("type: 'BatchNorm' batch_norm_param { use_global_stats: ") +
          global + " eps: 0.01 }";
      ExpectChannelsLastMatchesPlain<TypeParam>(text, {shape}, options);
    }
  }
}

TYPED_TEST(LayerLayoutsTest, ConcatAndSlice) {
  for (int axis = 0; axis < 4; ++axis) {
    std::vector<int> longer = kMany;
    longer[axis] = 2 * kMany[axis] + 1;
    ExpectChannelsLastMatchesPlain<TypeParam>(
        Str("type: 'Concat' concat_param { axis: ", axis, " }"), {kMany, longer, kMany});
    LayoutCase<TypeParam> options;
    options.tops = 2;
    ExpectChannelsLastMatchesPlain<TypeParam>(
        Str("type: 'Slice' slice_param { axis: ", axis, " slice_point: ", kMany[axis],
            " }"),
        {longer}, options);
  }
}

TYPED_TEST(LayerLayoutsTest, Tile) {
  LayoutCase<TypeParam> options;
  options.kind = OpKind::kReduction;
  options.terms = 3;
  for (int axis = 0; axis < 4; ++axis) {
    ExpectChannelsLastMatchesPlain<TypeParam>(
        Str("type: 'Tile' tile_param { tiles: 3 axis: ", axis, " }"), {kMany}, options);
  }
}

TYPED_TEST(LayerLayoutsTest, Split) {
  LayoutCase<TypeParam> options;
  options.kind = OpKind::kReduction;
  options.tops = options.terms = 3;
  ExpectChannelsLastMatchesPlain<TypeParam>("type: 'Split'", {kMany}, options);
}

TYPED_TEST(LayerLayoutsTest, Reduction) {
  LayoutCase<TypeParam> options;
  options.kind = OpKind::kReduction;
  options.terms = 2 * 37 * 15;
  for (const char* operation : {"SUM", "ASUM", "SUMSQ", "MEAN"}) {
    for (int axis = 0; axis < 4; ++axis) {
      options.stays = axis == 0 || axis == 2;
      ExpectChannelsLastMatchesPlain<TypeParam>(
          Str("type: 'Reduction' reduction_param { operation: ", operation,
              " axis: ", axis, " }"),
          {kMany}, options);
    }
  }
}

TYPED_TEST(LayerLayoutsTest, Softmax) {
  LayoutCase<TypeParam> options;
  options.kind = OpKind::kLoss;
  options.terms = 70;
  for (const int channels : {6, 70}) {  // by a thread, by a block
    ExpectChannelsLastMatchesPlain<TypeParam>("type: 'Softmax'", {{2, channels, 3, 5}},
                                              options);
  }
  options.stays = false;
  ExpectChannelsLastMatchesPlain<TypeParam>("type: 'Softmax' softmax_param { axis: 2 }",
                                            {kMany}, options);
}

template <typename T>
void MakeLabels(LayerRun<T>* run) {
  FillIntegers(run->bottom[1], 2, 0, run->bottom[0]->shape(1) - 1);
}

TYPED_TEST(LayerLayoutsTest, Losses) {
  LayoutCase<TypeParam> options;
  options.kind = OpKind::kLoss;
  options.terms = 70;
  options.tops = 2;
  options.propagate = {true, false};
  options.prepare = MakeLabels;
  for (const int channels : {6, 70}) {
    ExpectChannelsLastMatchesPlain<TypeParam>(
        "type: 'SoftmaxWithLoss' loss_param { ignore_label: 3 label_smoothing: 0.1 }",
        {{2, channels, 3, 5}, {2, 1, 3, 5}}, options);
  }
  options.prepare = nullptr;
  options.tops = 1;
  options.terms = 2 * 37 * 15;
  options.propagate = {};
  ExpectChannelsLastMatchesPlain<TypeParam>("type: 'EuclideanLoss'", {kMany, kMany},
                                            options);
  options.stays = false;
  options.propagate = {true, false};
  ExpectChannelsLastMatchesPlain<TypeParam>("type: 'SigmoidCrossEntropyLoss'",
                                            {kMany, kMany}, options);
}

TYPED_TEST(LayerLayoutsTest, Dropout) {
  for (const auto& shape : {kMany, kFew, kFive}) {
    ExpectChannelsLastMatchesPlain<TypeParam>("type: 'Dropout'", {shape});
  }
}

TYPED_TEST(LayerLayoutsTest, Interp) {
  LayoutCase<TypeParam> options;
  options.kind = OpKind::kInterpolation;
  options.terms = 9;
  for (const char* param : {"zoom_factor: 2 pad_beg: -1", "height: 2 width: 2"}) {
    ExpectChannelsLastMatchesPlain<TypeParam>(
        std::string("type: 'Interp' interp_param { ") + param + " }", {kMany}, options);
  }
}

}  // namespace
}  // namespace test
}  // namespace caffe
