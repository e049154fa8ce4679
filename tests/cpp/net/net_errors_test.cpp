#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "caffe/layers/relu_layer.hpp"
#include "caffe/net.hpp"
#include "fill.hpp"
#include "layer_test.hpp"
#include "net/net_fixture.hpp"
#include "util/temporary_folder.hpp"

// Who an error of a net or layer is of.

namespace caffe {
namespace {

using test::InputLayer;
using test::IpLayer;
using test::LayerFromText;
using test::LayerRun;
using test::MakeNet;
using test::TemporaryFolder;
using testing::HasSubstr;
using testing::Not;

/// The error that `action` throws, with one of no words if it throws none.
template <typename Action>
Error ErrorOf(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error was thrown";
  return Error(ErrorKind::kValue, "");
}

/// `error` is of `who`, says so at its start, and nowhere else.
void ExpectOf(const Error& error, const std::string& who, const std::string& part) {
  EXPECT_EQ(error.who(), who);
  EXPECT_EQ(error.what(), who + ": " + error.message());
  EXPECT_THAT(error.message(), HasSubstr(part));
  EXPECT_THAT(error.message(), Not(HasSubstr(who)));
}

TEST(NetErrorsTest, SetUpNamesTheLayerOnce) {
  const std::string data = InputLayer("data", {2, 3, 4, 4});
  const struct {
    std::string text, who, part;
  } cases[] = {
      {IpLayer("ip", "dta", 2), "layer 'ip' (InnerProduct)", "bottom[0]: unknown blob"},
      {"layer { name: 'c' type: 'Convolution' bottom: 'data' top: 'c' }",
       "layer 'c' (Convolution)", "kernel_size is missing"},
      {"layer { name: 'c' type: 'Convolutions' bottom: 'data' top: 'c' }",
       "layer 'c' (Convolutions)", "unknown layer type"},
      {"layer { name: 'd' type: 'Dropout' bottom: 'data' top: 'd' "
       "dropout_param { dropout_ratio: 2 } }",
       "layer 'd' (Dropout)", "dropout_ratio is 2"},
      {"layer { name: 'e' type: 'Exp' bottom: 'data' top: 'e' exp_param { base: 0 } }",
       "layer 'e' (Exp)", "exp_param.base is 0"},
      {"layer { name: 'r' type: 'ReLU' bottom: 'data' top: 'r' top: 's' }",
       "layer 'r' (ReLU)", "got 2 top blob(s)"},
      {"layer { name: 'p' type: 'Pooling' bottom: 'data' top: 'data' "
       "pooling_param { kernel_size: 2 } }",
       "layer 'p' (Pooling)", "top[0] is bottom[0] 'data'"},
      {"layer { name: 't' type: 'TanH' top: 'data' }", "layer 't' (TanH)",
       "blob 'data' is produced"},
      {"layer { name: 'w' type: 'ReLU' bottom: 'data' top: 'w' loss_weight: 1 "
       "loss_weight: 1 }",
       "layer 'w' (ReLU)", "2 loss_weight value(s), expected 1"},
      {"layer { name: 'w' type: 'ReLU' bottom: 'data' top: 'w' param {} }",
       "layer 'w' (ReLU)", "1 param block(s), expected at most 0"},
      {"layer { name: 'w' type: 'ReLU' bottom: 'data' top: 'w' include {} exclude {} }",
       "layer 'w' (ReLU)", "include and exclude"},
      {"layer { name: 'w' type: 'Pooling' bottom: 'data' top: 'w' "
       "pooling_param { round_mode: FLOOR ceil_mode: true } }",
       "layer 'w' (Pooling)", "ceil_mode and round_mode"},
      {"layer { name: 'w' type: 'BatchNorm' bottom: 'data' top: 'w' "
       "batch_norm_param { frozen: true } }",
       "layer 'w' (BatchNorm)", "batch_norm_param has 'frozen'"},
      {"layer { name: 'f' type: 'Flatten' bottom: 'data' top: 'f' "
       "flatten_param { axis: 4 } }",
       "layer 'f' (Flatten)", "axis 4 of shape (2, 3, 4, 4), expected -4 to 3"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    ExpectOf(ErrorOf([&] { MakeNet<float>(data + c.text); }), c.who, c.part);
  }
}

// Caffe's convention is one name for a layer and its blob. A blob, a file or a setting
// of the layer's name does not name the layer.
TEST(NetErrorsTest, WhatBearsTheLayersNameDoesNotStandForIt) {
  ExpectOf(ErrorOf([] {
             MakeNet<float>(InputLayer("x", {2, 3}) +
                            "layer { name: 'gauss' type: 'InnerProduct' bottom: 'x' "
                            "top: 'gauss' inner_product_param { num_output: 2 "
                            "weight_filler { type: 'gauss' } } }");
           }),
           "layer 'gauss' (InnerProduct)", "'gauss'");
  ExpectOf(ErrorOf([] {
             MakeNet<float>(
                 "layer { name: 'none.txt' type: 'ImageData' top: 'none.txt' "
                 "top: 'label' image_data_param { source: 'none.txt' "
                 "batch_size: 1 } }");
           }),
           "layer 'none.txt' (ImageData)", "'none.txt'");
  ExpectOf(ErrorOf([] {
             MakeNet<float>(InputLayer("a", {2, 3}) + InputLayer("b", {2, 4}) +
                            "layer { name: 'b' type: 'Eltwise' bottom: 'a' bottom: 'b' "
                            "top: 'sum' }");
           }),
           "layer 'b' (Eltwise)", "bottom[1] 'b': shape (2, 4), expected (2, 3)");
}

TEST(NetErrorsTest, RunsNameTheLayer) {
  const auto net = MakeNet<double>(
      InputLayer("x", {2, 3}) + IpLayer("ip", "x", 2) + InputLayer("label", {2}) +
      "layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'ip' "
      "bottom: 'label' top: 'loss' propagate_down: true "
      "propagate_down: true }");
  net->Forward();
  ExpectOf(ErrorOf([&] { net->Backward(); }), "layer 'loss' (SoftmaxWithLoss)",
           "bottom[1] 'label': labels have no gradient");
  test::FillWith(net->blob_by_name("label").get(), test::Half::kData,
                 [](int) { return 2; });
  ExpectOf(ErrorOf([&] { net->Forward(); }), "layer 'loss' (SoftmaxWithLoss)",
           "bottom[1] 'label': sample 0 has label 2");
  net->blob_by_name("x")->Reshape({2, 4});
  ExpectOf(ErrorOf([&] { net->Reshape(); }), "layer 'ip' (InnerProduct)", "");
  ExpectOf(ErrorOf([&] { net->Forward(); }), "layer 'ip' (InnerProduct)", "");
}

// Copies that Split makes have names that nobody has written; a layer may have the same.
TEST(NetErrorsTest, CopiesAreCalledByTheBlobsName) {
  const std::string copy = "x_x_0_split_1";
  ExpectOf(
      ErrorOf([&] {
        MakeNet<float>(InputLayer("x", {2, 3}) + InputLayer("z", {2, 4}) +
                       "layer { name: 'p' type: 'Power' bottom: 'x' top: 'p' }"
                       "layer { name: '" +
                       copy + "' type: 'Eltwise' bottom: 'z' bottom: 'x' top: 'e' }");
      }),
      "layer '" + copy + "' (Eltwise)", "bottom[1] 'x': shape (2, 3), expected (2, 4)");
}

TEST(NetErrorsTest, FilesStandInFrontOfTheLayer) {
  const TemporaryFolder folder;
  const std::string path = folder / "net.prototxt";
  test::WriteBytes(path, "layer { name: 'r' type: 'ReLU' top: 'r' }");
  const Error error = ErrorOf([&] { Net<float> net(path, TEST); });
  EXPECT_EQ(error.who(), "layer 'r' (ReLU)");
  EXPECT_EQ(error.what(), path + ": layer 'r' (ReLU): got 0 bottom blob(s), expected 1");
}

TEST(LayerErrorsTest, ALayerWithoutANetIsNamed) {
  LayerParameter param;
  param.set_name("r");
  ReLULayer<float> relu(param);
  Blob<float> x({2}), y;
  ExpectOf(ErrorOf([&] { relu.SetUp({&x, &x}, {&y}); }), "layer 'r' (ReLU)",
           "got 2 bottom blob(s), expected 1");

  LayerRun<float> accuracy("name: 'a' type: 'Accuracy'", {{2, 3}, {2}});
  test::FillWith(accuracy.bottom[1], test::Half::kData, [](int) { return 3; });
  ExpectOf(ErrorOf([&] { accuracy.Forward(); }), "layer 'a' (Accuracy)",
           "bottom[1]: sample 0 has label 3");
  LayerRun<float> argmax("name: 'm' type: 'ArgMax'", {{2, 3}});
  argmax.Forward();
  ExpectOf(ErrorOf([&] { argmax.Backward(); }), "layer 'm' (ArgMax)",
           "it has no gradient");
  ExpectOf(ErrorOf([] {
             LayerRegistry<float>::CreateLayer(
                 LayerFromText("name: 'd' type: 'Data' data_param { prefetch: 0 }"));
           }),
           "layer 'd' (Data)", "prefetch is 0");
}

}  // namespace
}  // namespace caffe
