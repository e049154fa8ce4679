#include "caffe/util/insert_splits.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "layer_test.hpp"
#include "net/net_fixture.hpp"

namespace caffe {
namespace {

using test::ErrorOfAction;
using test::NetFromText;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

void ExpectSplits(const std::string& input, const std::string& want) {
  NetParameter once, twice;
  InsertSplits(NetFromText(input), &once);
  EXPECT_EQ(once.DebugString(), NetFromText(want).DebugString());
  InsertSplits(once, &twice);
  EXPECT_EQ(twice.DebugString(), once.DebugString()) << "a second time";
}

void ExpectUnchanged(const std::string& input) { ExpectSplits(input, input); }

TEST(InsertSplitsTest, LeavesSingleReadersAlone) {
  ExpectUnchanged(R"(
    name: 'chain' force_backward: true
    layer { name: 'data' type: 'Data' top: 'data' top: 'label' }
    layer { name: 'ip' type: 'InnerProduct' bottom: 'data' top: 'ip' }
    layer { name: 'relu' type: 'ReLU' bottom: 'ip' top: 'ip' }
    layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'ip' bottom: 'label' })");
}

// The names are part of Caffe's contract: they appear in logs, debug_info and blobs.
TEST(InsertSplitsTest, CopiesForEveryReaderBehindTheProducer) {
  ExpectSplits(
      R"(layer { name: 'input' type: 'Data' top: 'data' top: 'label' }
         layer { name: 'ip1' type: 'InnerProduct' bottom: 'data' top: 'ip1' }
         layer { name: 'ip2' type: 'InnerProduct' bottom: 'data' top: 'ip2' }
         layer { name: 'loss1' type: 'EuclideanLoss' bottom: 'ip1' bottom: 'label' }
         layer { name: 'loss2' type: 'EuclideanLoss' bottom: 'ip2' bottom: 'label' })",
      R"(layer { name: 'input' type: 'Data' top: 'data' top: 'label' }
         layer { name: 'data_input_0_split' type: 'Split' bottom: 'data'
                 top: 'data_input_0_split_0' top: 'data_input_0_split_1' }
         layer { name: 'label_input_1_split' type: 'Split' bottom: 'label'
                 top: 'label_input_1_split_0' top: 'label_input_1_split_1' }
         layer { name: 'ip1' type: 'InnerProduct' bottom: 'data_input_0_split_0' top: 'ip1' }
         layer { name: 'ip2' type: 'InnerProduct' bottom: 'data_input_0_split_1' top: 'ip2' }
         layer { name: 'loss1' type: 'EuclideanLoss'
                 bottom: 'ip1' bottom: 'label_input_1_split_0' }
         layer { name: 'loss2' type: 'EuclideanLoss'
                 bottom: 'ip2' bottom: 'label_input_1_split_1' })");
}

TEST(InsertSplitsTest, TheLastInPlaceLayerIsTheProducer) {
  ExpectSplits(
      R"(layer { name: 'data' type: 'Data' top: 'data' }
         layer { name: 'ip' type: 'InnerProduct' bottom: 'data' top: 'ip' }
         layer { name: 'relu' type: 'ReLU' bottom: 'ip' top: 'ip' }
         layer { name: 'a' type: 'Silence' bottom: 'ip' }
         layer { name: 'b' type: 'Silence' bottom: 'ip' })",
      R"(layer { name: 'data' type: 'Data' top: 'data' }
         layer { name: 'ip' type: 'InnerProduct' bottom: 'data' top: 'ip' }
         layer { name: 'relu' type: 'ReLU' bottom: 'ip' top: 'ip' }
         layer { name: 'ip_relu_0_split' type: 'Split' bottom: 'ip'
                 top: 'ip_relu_0_split_0' top: 'ip_relu_0_split_1' }
         layer { name: 'a' type: 'Silence' bottom: 'ip_relu_0_split_0' }
         layer { name: 'b' type: 'Silence' bottom: 'ip_relu_0_split_1' })");
}

TEST(InsertSplitsTest, OneLayerMayReadABlobTwice) {
  ExpectSplits(
      R"(layer { name: 'data' type: 'Data' top: 'x' }
         layer { name: 'sum' type: 'Eltwise' bottom: 'x' bottom: 'x' top: 'sum' })",
      R"(layer { name: 'data' type: 'Data' top: 'x' }
         layer { name: 'x_data_0_split' type: 'Split' bottom: 'x'
                 top: 'x_data_0_split_0' top: 'x_data_0_split_1' }
         layer { name: 'sum' type: 'Eltwise' bottom: 'x_data_0_split_0'
                 bottom: 'x_data_0_split_1' top: 'sum' })");
}

// The objective is a reader: its copy is the first, and it takes the weight along.
TEST(InsertSplitsTest, ALossWeightReadsToo) {
  ExpectSplits(
      R"(layer { name: 'data' type: 'Data' top: 'x' top: 'y' loss_weight: 3 loss_weight: 0.5 }
         layer { name: 'use' type: 'Silence' bottom: 'y' })",
      R"(layer { name: 'data' type: 'Data' top: 'x' top: 'y' loss_weight: 3 loss_weight: 0 }
         layer { name: 'y_data_1_split' type: 'Split' bottom: 'y' top: 'y_data_1_split_0'
                 top: 'y_data_1_split_1' loss_weight: 0.5 loss_weight: 0 }
         layer { name: 'use' type: 'Silence' bottom: 'y_data_1_split_1' })");
  // A layer whose weights have all moved has none any more.
  ExpectSplits(
      R"(layer { name: 'data' type: 'Data' top: 'x' top: 'y' loss_weight: 0 loss_weight: 2.5 }
         layer { name: 'use' type: 'Silence' bottom: 'y' })",
      R"(layer { name: 'data' type: 'Data' top: 'x' top: 'y' }
         layer { name: 'y_data_1_split' type: 'Split' bottom: 'y' top: 'y_data_1_split_0'
                 top: 'y_data_1_split_1' loss_weight: 2.5 loss_weight: 0 }
         layer { name: 'use' type: 'Silence' bottom: 'y_data_1_split_1' })");
  ExpectUnchanged(
      R"(layer { name: 'data' type: 'Data' top: 'x' top: 'y' loss_weight: 3 loss_weight: 0 }
         layer { name: 'use' type: 'Silence' bottom: 'y' })");
}

TEST(InsertSplitsTest, AnUnknownBottomNamesTheClosest) {
  NetParameter out;
  EXPECT_THAT(ErrorOfAction([&] {
                InsertSplits(NetFromText(R"(
                  layer { name: 'data' type: 'Data' top: 'data' top: 'label' }
                  layer { name: 'ip' type: 'InnerProduct' bottom: 'dta' top: 'ip' })"),
                             &out);
              }),
              AllOf(HasSubstr("layer 'ip' (InnerProduct): bottom[0]"), HasSubstr("'dta'"),
                    HasSubstr("closest"), HasSubstr("'data'")));
  // A blob made further down is not there yet.
  EXPECT_THAT(ErrorOfAction([&] {
                InsertSplits(NetFromText(R"(
                  layer { name: 'a' type: 'ReLU' bottom: 'later' top: 'y' }
                  layer { name: 'b' type: 'Data' top: 'later' })"),
                             &out);
              }),
              AllOf(HasSubstr("'later'"), HasSubstr("no layer before"),
                    Not(HasSubstr("closest"))));
}

TEST(SplitNamesTest, AreCaffes) {
  EXPECT_EQ(SplitLayerName("conv2_1/3x3", "bn", 1), "bn_conv2_1/3x3_1_split");
  EXPECT_EQ(SplitBlobName("conv2_1/3x3", "bn", 1, 12), "bn_conv2_1/3x3_1_split_12");
}

}  // namespace
}  // namespace caffe
