#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "caffe/net.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "fill.hpp"
#include "net/net_fixture.hpp"
#include "net/reference_layers.hpp"
#include "util/temporary_folder.hpp"

// The released SKNet-50, layer by layer as in its table.

namespace caffe {
namespace {

using test::MessageOf;
using test::ReferenceLayer;
using testing::AllOf;
using testing::HasSubstr;

// Totals of the released model, as in table2_totals.csv.
constexpr std::int64_t kLearned = 27'479'784;
constexpr std::int64_t kStored = 27'564'328;

class SkNet50Test : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    rows_ = test::ReadReferenceLayers(CAFFE_TEST_DATA "/reference/sknet50_layers.csv");
    param_ = test::NetFromReference(rows_, "SKNet-50");
    net_ = Make(TEST);
  }
  static void TearDownTestSuite() {
    net_.reset();
    rows_.clear();
  }

  static std::unique_ptr<Net<float>> Make(Phase phase) {
    NetParameter param = param_;
    param.mutable_state()->set_phase(phase);
    return std::make_unique<Net<float>>(param);
  }

  static void ExpectFacts(const Net<float>& net) {
    std::int64_t learned = 0, stored = 0;
    for (const ReferenceLayer& row : rows_) {
      SCOPED_TRACE(row["name"]);
      ASSERT_TRUE(net.has_layer(row["name"]));
      const auto tops = row.List("tops");
      const auto shapes = row.OutShapes();
      ASSERT_EQ(tops.size(), shapes.size());
      for (size_t i = 0; i < tops.size(); ++i) {
        EXPECT_EQ(net.blob_by_name(tops[i])->shape(), shapes[i]) << tops[i];
      }
      std::int64_t layer_learned = 0, layer_stored = 0;
      const auto layer = net.layer_by_name(row["name"]);
      for (size_t i = 0; i < layer->blobs().size(); ++i) {
        layer_stored += layer->blobs()[i]->count();
        if (layer->param_propagate_down(i)) layer_learned += layer->blobs()[i]->count();
      }
      EXPECT_EQ(layer_learned, row.Int("learned_params"));
      EXPECT_EQ(layer_stored, row.Int("stored_params"));
    }
    for (size_t i = 0; i < net.learnable_params().size(); ++i) {
      const int count = net.learnable_params()[i]->count();
      stored += count;
      if (net.params_lr()[i] != 0) learned += count;
    }
    EXPECT_EQ(learned, kLearned);
    EXPECT_EQ(stored, kStored);
  }

  static std::vector<ReferenceLayer> rows_;
  static NetParameter param_;
  static std::unique_ptr<Net<float>> net_;
};

std::vector<ReferenceLayer> SkNet50Test::rows_;
NetParameter SkNet50Test::param_;
std::unique_ptr<Net<float>> SkNet50Test::net_;

TEST_F(SkNet50Test, TestNetHasTheReleasedShapesAndCounts) {
  EXPECT_EQ(rows_.size(), 450u);
  ExpectFacts(*net_);
}

TEST_F(SkNet50Test, TrainNetHasTheReleasedShapesAndCounts) {
  const auto net = Make(TRAIN);
  ExpectFacts(*net);
  for (size_t i = 0; i < net->layers().size(); ++i) {
    if (net->layers()[i]->blobs().empty()) continue;
    EXPECT_TRUE(net->layer_need_backward()[i]) << net->layer_names()[i];
  }
}

TEST_F(SkNet50Test, TextFileHoldsTheSameNet) {
  test::TemporaryFolder folder;
  const std::string path = folder / "sknet50.prototxt";
  WriteProtoToTextFile(param_, path);
  NetParameter read;
  ReadNetParamsFromTextFileOrDie(path, &read);
  EXPECT_EQ(read.DebugString(), param_.DebugString());
}

// The last pool of the release is 7x7, so the classifier fits 224x224 only.
TEST_F(SkNet50Test, OtherImageSizesNeedAGlobalPool) {
  Blob<float>* data = net_->blob_by_name("data").get();
  data->Reshape({1, 3, 320, 320});
  EXPECT_THAT(MessageOf<ValueError>([] { net_->Reshape(); }),
              AllOf(HasSubstr("layer 'classifier' (InnerProduct)"), HasSubstr("2048"),
                    HasSubstr("(1, 2048, 4, 4)")));
  data->Reshape({1, 3, 224, 224});
  net_->Reshape();
  ExpectFacts(*net_);

  NetParameter global = param_;
  for (LayerParameter& layer : *global.mutable_layer()) {
    if (layer.name() != "avepool/7x7") continue;
    layer.mutable_pooling_param()->clear_kernel_size();
    layer.mutable_pooling_param()->clear_stride();
    layer.mutable_pooling_param()->clear_pad();
    layer.mutable_pooling_param()->set_global_pooling(true);
  }
  test::TemporaryFolder folder;
  const std::string path = folder / "global.prototxt";
  WriteProtoToTextFile(global, path);
  Net<float> net(path, TEST);
  net.ShareTrainedLayersWith(net_.get());
  // An untrained net has running variances of 0, which would divide by sqrt(eps).
  for (const auto& layer : net.layers()) {
    if (string(layer->type()) != "CuDNNBatchNorm") continue;
    Blob<float>* variance = layer->blobs()[3].get();
    caffe_set(variance->count(), 1.0f, variance->mutable_cpu_data());
  }
  Blob<float>* image = net.blob_by_name("data").get();
  image->Reshape({1, 3, 320, 320});
  test::Fill(image, 1);
  net.Forward();
  EXPECT_EQ(net.blob_by_name("conv5_3")->shape(), (std::vector<int>{1, 2048, 10, 10}));
  const Blob<float>& scores = *net.blob_by_name("classifier");
  ASSERT_EQ(scores.shape(), (std::vector<int>{1, 1000}));
  int distinct = 0;
  for (int i = 0; i < scores.count(); ++i) {
    ASSERT_TRUE(std::isfinite(scores.cpu_data()[i])) << i;
    distinct += i > 0 && scores.cpu_data()[i] != scores.cpu_data()[i - 1];
  }
  EXPECT_EQ(distinct, 999) << "every class has a score of its own";
}

}  // namespace
}  // namespace caffe
