#include "caffe/layer_factory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "caffe/layer.hpp"
#include "util/temporary_folder.hpp"

namespace caffe {
namespace {

using test::MessageOf;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

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

// All that BVLC's Caffe registers, its later additions included.
constexpr const char* kBvlcTypes[] = {
    "AbsVal",       "Accuracy",
    "ArgMax",       "BNLL",
    "BatchNorm",    "BatchReindex",
    "Bias",         "Clip",
    "Concat",       "ContrastiveLoss",
    "Convolution",  "Crop",
    "Data",         "Deconvolution",
    "Dropout",      "DummyData",
    "ELU",          "Eltwise",
    "Embed",        "EuclideanLoss",
    "Exp",          "Filter",
    "Flatten",      "HDF5Data",
    "HDF5Output",   "HingeLoss",
    "Im2col",       "ImageData",
    "InfogainLoss", "InnerProduct",
    "Input",        "LRN",
    "LSTM",         "LSTMUnit",
    "Log",          "MVN",
    "MemoryData",   "MultinomialLogisticLoss",
    "PReLU",        "Parameter",
    "Pooling",      "Power",
    "RNN",          "ReLU",
    "Reduction",    "Reshape",
    "SPP",          "Scale",
    "Sigmoid",      "SigmoidCrossEntropyLoss",
    "Silence",      "Slice",
    "Softmax",      "SoftmaxWithLoss",
    "Split",        "Swish",
    "TanH",         "Threshold",
    "Tile",         "WindowData",
};

TYPED_TEST(LayerFactoryTest, EveryTypeOfCaffeIsHere) {
  const auto list = LayerRegistry<TypeParam>::LayerTypeList();
  for (const char* type : kBvlcTypes) {
    EXPECT_NE(std::find(list.begin(), list.end(), type), list.end()) << type;
  }
}

TYPED_TEST(LayerFactoryTest, TypesOfForksAreCalledWhatTheyAre) {
  const std::pair<const char*, const char*> rows[] = {
      {"Permute", "SSD's"},
      {"Normalize", "SSD's"},
      {"PriorBox", "SSD's"},
      {"ROIPooling", "Fast R-CNN's"},
      {"PSROIPooling", "R-FCN's"},
      {"BN", "SegNet's"},
      {"Upsample", "SegNet's"},
      {"SpatialDropout", "ENet's"},
      {"ImageSegData", "DeepLab's"},
      {"DenseCRF", "DeepLab's"},
      {"Correlation", "FlowNet's"},
      {"MultiStageMeanfield", "CRF-RNN's"},
      {"ReLU6", "MobileNets"},
      {"Reorg", "YOLO's"},
      {"DetectNetTransformation", "NVIDIA's"},
  };
  for (const auto& [type, home] : rows) {
    LayerParameter param;
    param.set_type(type);
    EXPECT_THAT(
        MessageOf<ValueError>([&] { LayerRegistry<TypeParam>::CreateLayer(param); }),
        AllOf(HasSubstr(Str("type '", type, "' is a layer of")), HasSubstr(home)));
  }
}

TYPED_TEST(LayerFactoryTest, AFarAwayTypeHasNoSuggestion) {
  LayerParameter param;
  param.set_type("Quux");
  EXPECT_THAT(
      MessageOf<ValueError>([&] { LayerRegistry<TypeParam>::CreateLayer(param); }),
      AllOf(HasSubstr("unknown layer type 'Quux' (a layer of your own"),
            Not(HasSubstr("closest"))));
}

TYPED_TEST(LayerFactoryTest, ARegisteredTypeComesBeforeASpelling) {
  using Registry = LayerRegistry<TypeParam>;
  const auto make = [](const char* type) {
    LayerParameter param;
    param.set_type(type);
    return std::string(Registry::CreateLayer(param)->type());
  };
  Registry::AddSpelling("TestSpelling", Registry::Registry().at("ReLU"));
  EXPECT_EQ(make("TestSpelling"), "ReLU");
  const auto list = Registry::LayerTypeList();
  EXPECT_EQ(std::find(list.begin(), list.end(), "TestSpelling"), list.end());
  Registry::AddCreator("TestSpelling", Registry::Registry().at("TanH"));
  EXPECT_EQ(make("TestSpelling"), "TanH");
  Registry::Registry().erase("TestSpelling");
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
