#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "caffe/net.hpp"
#include "caffe/ops/layout.hpp"
#include "fill.hpp"

// Neighbouring layers hand packed data on as it is: no conversions inside a net.

namespace caffe {
namespace test {
namespace {

NetParameter NetFromText(const std::string& text) {
  NetParameter param;
  if (!google::protobuf::TextFormat::ParseFromString(text, &param)) {
    throw ValueError("a test has a wrong net text: " + text);
  }
  param.mutable_state()->set_phase(TRAIN);
  return param;
}

std::string Conv(const std::string& name, const std::string& bottom,
                 const std::string& param) {
  return "layer { name: '" + name + "' type: 'Convolution' bottom: '" + bottom +
         "' top: '" + name +
         "' convolution_param { bias_term: false weight_filler { type: 'msra' } " +
         param + " } }\n";
}

// Batch norm, and a ReLU in place behind it.
std::string NormRelu(const std::string& bottom, bool relu = true) {
  const std::string name = bottom + "/bn";
  std::string text = "layer { name: '" + name + "' type: 'CuDNNBatchNorm' bottom: '" +
                     bottom + "' top: '" + name + "' }\n";
  if (relu) {
    text += "layer { name: '" + bottom + "/relu' type: 'ReLU' bottom: '" + name +
            "' top: '" + name + "' }\n";
  }
  return text;
}

std::string Layer(const std::string& name, const std::string& type,
                  const std::vector<std::string>& bottoms,
                  const std::string& param = "") {
  std::string text =
      "layer { name: '" + name + "' type: '" + type + "' top: '" + name + "'";
  for (const std::string& bottom : bottoms) text += " bottom: '" + bottom + "'";
  return text + " " + param + " }\n";
}

std::string Input(const std::string& shape) {
  return "layer { name: 'data' type: 'Input' top: 'data' input_param { shape { " + shape +
         " } } }\n";
}

std::string Loss(const std::string& bottom) {
  return Layer("pool_end", "Pooling", {bottom},
               "pooling_param { pool: AVE global_pooling: true }") +
         Layer("classes", "InnerProduct", {"pool_end"},
               "inner_product_param { num_output: 5 weight_filler { type: 'xavier' } }") +
         Layer("loss", "Reduction", {"classes"}, "loss_weight: 1");
}

// Conversions of an iteration after the first: none is expected in the whole net;
// returned are those of one more, by layer.
std::vector<std::string> Reorders(const std::string& text) {
  Net<float> net(NetFromText(text));
  Fill(net.blob_by_name("data").get(), 1);
  net.ForwardBackward();
  std::vector<std::string> found;
  // As a solver does between two iterations, so that packed weights get old.
  net.Update();
  net.ClearParamDiffs();
  Fill(net.blob_by_name("data").get(), 2);
  const std::int64_t before = ReorderCount();
  net.ForwardBackward();
  EXPECT_EQ(ReorderCount(), before) << "in the whole net";
  const int layers = static_cast<int>(net.layers().size());
  const auto record = [&](const char* pass, int layer, auto run) {
    const std::int64_t before = ReorderCount();
    run();
    for (std::int64_t i = before; i < ReorderCount(); ++i) {
      found.push_back(net.layer_names()[layer] + " " + pass);
    }
  };
  for (int i = 0; i < layers; ++i) record("forward", i, [&] { net.ForwardFromTo(i, i); });
  for (int i = layers - 1; i >= 0; --i)
    record("backward", i, [&] { net.BackwardFromTo(i, i); });
  return found;
}

TEST(ReordersTest, NoneInASmallNet) {
  const std::string text =
      Input("dim: 2 dim: 3 dim: 20 dim: 20") +
      Conv("conv1", "data", "num_output: 32 kernel_size: 3 pad: 1 stride: 2") +
      NormRelu("conv1") +
      Conv("conv2", "conv1/bn", "num_output: 32 kernel_size: 3 pad: 1 group: 8") +
      NormRelu("conv2", false) + Layer("sum", "Eltwise", {"conv1/bn", "conv2/bn"}) +
      "layer { name: 'sum/relu' type: 'ReLU' bottom: 'sum' top: 'sum' }\n" +
      Layer("pool", "Pooling", {"sum"},
            "pooling_param { pool: MAX kernel_size: 3 stride: 2 }") +
      Conv("conv3", "pool", "num_output: 64 kernel_size: 1") + NormRelu("conv3") +
      Loss("conv3/bn");
  EXPECT_EQ(Reorders(text), std::vector<std::string>());
}

// One residual unit with its two branches, as in a SKNet file.
std::string SelectiveKernelUnit(const std::string& in, int width, int outputs) {
  const std::string w = std::to_string(width);
  const std::string grouped = "num_output: " + w + " kernel_size: 3 group: 32 ";
  return Conv("reduce", in, "kernel_size: 1 num_output: " + w) + NormRelu("reduce") +
         Conv("branch1", "reduce/bn", grouped + "pad: 1") + NormRelu("branch1") +
         Conv("branch2", "reduce/bn", grouped + "pad: 2 dilation: 2") +
         NormRelu("branch2") + Layer("both", "Eltwise", {"branch1/bn", "branch2/bn"}) +
         Layer("global", "Pooling", {"both"},
               "pooling_param { pool: AVE global_pooling: true engine: CAFFE }") +
         Conv("fc1", "global", "kernel_size: 1 num_output: 32") + NormRelu("fc1") +
         Conv("fc2", "fc1/bn",
              "kernel_size: 1 num_output: " + std::to_string(2 * width)) +
         Layer("re", "Reshape", {"fc2"},
               "reshape_param { shape { dim: 0 dim: 2 dim: -1 dim: 0 } }") +
         Layer("softmax", "Softmax", {"re"}, "softmax_param { axis: 1 }") +
         "layer { name: 'slice' type: 'Slice' bottom: 'softmax' top: 'slice0' top: "
         "'slice1'"
         " slice_param { axis: 1 slice_point: 1 } }\n" +
         Layer("weight1", "Reshape", {"slice1"},
               "reshape_param { shape { dim: 0 dim: " + w + " dim: -1 dim: 0 } }") +
         Layer("weight0", "Reshape", {"slice0"},
               "reshape_param { shape { dim: 0 dim: " + w + " dim: -1 dim: 0 } }") +
         Layer("weight0/flat", "Reshape", {"weight0"},
               "reshape_param { shape { dim: 0 dim: 0 } }") +
         Layer("scale", "Scale", {"branch1/bn", "weight0/flat"},
               "scale_param { axis: 0 bias_term: false }") +
         Layer("axpy", "Axpy", {"weight1", "branch2/bn", "scale"}) +
         Conv("increase", "axpy",
              "kernel_size: 1 num_output: " + std::to_string(outputs)) +
         NormRelu("increase", false) +
         Conv("proj", in, "kernel_size: 1 num_output: " + std::to_string(outputs)) +
         NormRelu("proj", false) + Layer("unit", "Eltwise", {"increase/bn", "proj/bn"}) +
         "layer { name: 'unit/relu' type: 'ReLU' bottom: 'unit' top: 'unit' }\n";
}

TEST(ReordersTest, NoneInASelectiveKernelUnit) {
  const std::string text =
      Input("dim: 2 dim: 3 dim: 32 dim: 32") +
      Conv("conv1", "data", "num_output: 64 kernel_size: 7 pad: 3 stride: 2") +
      NormRelu("conv1") +
      Layer("pool1", "Pooling", {"conv1/bn"},
            "pooling_param { pool: MAX kernel_size: 3 stride: 2 }") +
      SelectiveKernelUnit("pool1", 128, 256) + Loss("unit");
  EXPECT_EQ(Reorders(text), std::vector<std::string>());
}

}  // namespace
}  // namespace test
}  // namespace caffe
