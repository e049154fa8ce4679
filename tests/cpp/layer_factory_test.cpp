#include "caffe/layer_factory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "caffe/layer.hpp"
#include "util/temporary_folder.hpp"

namespace caffe {
namespace {

using test::MessageOf;
using testing::AllOf;
using testing::HasSubstr;

template <typename T>
class LayerFactoryTest : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(LayerFactoryTest, Types);

// The layers this library promises.
const char* const kTypes[] = {
    "AbsVal",
    "Accuracy",
    "ArgMax",
    "Axpy",
    "BatchNorm",
    "Bias",
    "Concat",
    "Convolution",
    "CuDNNBatchNorm",
    "Data",
    "Deconvolution",
    "Dropout",
    "DummyData",
    "ELU",
    "Eltwise",
    "EuclideanLoss",
    "Exp",
    "Flatten",
    "ImageData",
    "InnerProduct",
    "Input",
    "LRN",
    "Log",
    "MemoryData",
    "PReLU",
    "Pooling",
    "Power",
    "ReLU",
    "Reduction",
    "Reshape",
    "Scale",
    "Sigmoid",
    "SigmoidCrossEntropyLoss",
    "Silence",
    "Slice",
    "Softmax",
    "SoftmaxWithLoss",
    "Split",
    "TanH",
    "Tile",
};

TYPED_TEST(LayerFactoryTest, KnowsAndMakesEveryPromisedType) {
  const auto list = LayerRegistry<TypeParam>::LayerTypeList();
  for (const char* type : kTypes) {
    SCOPED_TRACE(type);
    EXPECT_NE(std::find(list.begin(), list.end(), type), list.end());
    LayerParameter param;
    param.set_type(type);
    param.set_name("layer");
    // Types that read files do so when they are made.
    const std::string name = type;
    if (name == "Data" || name == "ImageData") continue;
    const auto layer = LayerRegistry<TypeParam>::CreateLayer(param);
    EXPECT_STREQ(layer->type(), type);
    EXPECT_EQ(layer->layer_param().name(), "layer");
  }
}

TYPED_TEST(LayerFactoryTest, AnUnknownTypeNamesTheClosest) {
  LayerParameter param;
  param.set_name("conv1");
  param.set_type("Convolutoin");
  EXPECT_THAT(
      MessageOf<ValueError>([&] { LayerRegistry<TypeParam>::CreateLayer(param); }),
      AllOf(HasSubstr("'conv1'"), HasSubstr("'Convolutoin'"),
            HasSubstr("'Convolution'")));
  param.set_type("relu");
  EXPECT_THAT(
      MessageOf<ValueError>([&] { LayerRegistry<TypeParam>::CreateLayer(param); }),
      HasSubstr("'ReLU'"));
}

// Stored weights come with the parameters, as in nets with inline blobs.
TYPED_TEST(LayerFactoryTest, TakesWeightsFromTheParameters) {
  LayerParameter param;
  param.set_type("InnerProduct");
  BlobProto* stored = param.add_blobs();
  stored->mutable_shape()->add_dim(2);
  stored->add_data(1.5);
  stored->add_data(-2);
  const auto layer = LayerRegistry<TypeParam>::CreateLayer(param);
  ASSERT_EQ(layer->blobs().size(), 1u);
  EXPECT_EQ(layer->blobs()[0]->cpu_data()[1], TypeParam(-2));
  LayerParameter out;
  layer->ToProto(&out);
  EXPECT_EQ(out.blobs_size(), 1);
  stored->add_data(3);
  EXPECT_THROW(LayerRegistry<TypeParam>::CreateLayer(param), ValueError);
}

}  // namespace
}  // namespace caffe
