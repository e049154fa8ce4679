#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "caffe/net.hpp"
#include "caffe/ops/layout.hpp"
#include "fill.hpp"
#include "net/net_fixture.hpp"
#include "net/reference_layers.hpp"
#include "tolerance.hpp"
#include "util/temporary_folder.hpp"

// Net::Optimize: the plain net, layer by layer, is what it is compared with; that one
// is checked against independent references elsewhere.

namespace caffe {
namespace test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string Layer(const std::string& name, const std::string& type,
                  const std::vector<std::string>& bottoms, const std::string& top,
                  const std::string& param = "") {
  std::string text =
      "layer { name: '" + name + "' type: '" + type + "' top: '" + top + "'";
  for (const std::string& bottom : bottoms) text += " bottom: '" + bottom + "'";
  return text + " " + param + " }\n";
}

std::string Conv(const std::string& name, const std::string& bottom, int outputs,
                 const std::string& param, bool bias = false) {
  return Layer(name, "Convolution", {bottom}, name,
               Str("convolution_param { num_output: ", outputs,
                   " weight_filler { type: 'msra' } bias_term: ", bias ? "true" : "false",
                   " bias_filler { type: 'gaussian' } ", param, " }"));
}

std::string NormRelu(const std::string& bottom) {
  const std::string name = bottom + "/bn";
  return Layer(name, "CuDNNBatchNorm", {bottom}, name) +
         Layer(name + "/relu", "ReLU", {name}, name);
}

// An SK unit of two branches behind `bottom`, with the release's layers; top "axpy".
std::string SkUnit(const std::string& bottom, int channels, int groups, int stride) {
  const std::string window = Str("kernel_size: 3 group: ", groups, " stride: ", stride);
  return Conv("a", bottom, channels, window + " pad: 1") + NormRelu("a") +
         Conv("b", bottom, channels, window + " pad: 2 dilation: 2") + NormRelu("b") +
         Layer("sum", "Eltwise", {"a/bn", "b/bn"}, "sum") +
         Layer("gap", "Pooling", {"sum"}, "gap",
               "pooling_param { pool: AVE global_pooling: true }") +
         Conv("fc1", "gap", 16, "kernel_size: 1") + NormRelu("fc1") +
         Conv("fc2", "fc1/bn", 2 * channels, "kernel_size: 1") +
         Layer("re", "Reshape", {"fc2"}, "re",
               "reshape_param { shape { dim: 0 dim: 2 dim: -1 dim: 0 } }") +
         Layer("softmax", "Softmax", {"re"}, "softmax", "softmax_param { axis: 1 }") +
         "layer { name: 'slice' type: 'Slice' bottom: 'softmax' top: 's0' top: 's1' "
         "slice_param { axis: 1 slice_point: 1 } }\n" +
         Layer("w1", "Reshape", {"s1"}, "w1",
               Str("reshape_param { shape { dim: 0 dim: ", channels, " dim: -1 dim: 0 } }")) +
         Layer("w0", "Reshape", {"s0"}, "w0",
               Str("reshape_param { shape { dim: 0 dim: ", channels, " } }")) +
         Layer("scale", "Scale", {"a/bn", "w0"}, "scale", "scale_param { axis: 0 }") +
         Layer("axpy", "Axpy", {"w1", "b/bn", "scale"}, "axpy");
}

// A bottleneck with an SK unit and a projected shortcut, then one with BatchNorm, Scale
// and Bias in place and an identity shortcut.
std::string Blocks(int stride) {
  return InputLayer("data", {2, 16, 9, 9}) + SkUnit("data", 32, 8, stride) +
         Conv("increase", "axpy", 48, "kernel_size: 1") +
         Layer("increase/bn", "CuDNNBatchNorm", {"increase"}, "increase/bn") +
         Conv("proj", "data", 48, Str("kernel_size: 1 stride: ", stride)) +
         Layer("proj/bn", "CuDNNBatchNorm", {"proj"}, "proj/bn") +
         Layer("block1", "Eltwise", {"increase/bn", "proj/bn"}, "block1") +
         Layer("block1/relu", "ReLU", {"block1"}, "block1") +
         Conv("c", "block1", 48, "kernel_size: 3 pad: 1", true) +
         Layer("c/bn", "BatchNorm", {"c"}, "c") +
         Layer("c/scale", "Scale", {"c"}, "c", "scale_param { bias_term: true }") +
         Layer("c/bias", "Bias", {"c"}, "c") +
         Layer("block2", "Eltwise", {"c", "block1"}, "block2") +
         Layer("block2/relu", "ReLU", {"block2"}, "block2") +
         Conv("head", "block2", 5, "kernel_size: 2", true) +
         Layer("head/relu", "ReLU", {"head"}, "head");
}

// Values such as training leaves, variances above 0.
template <typename T>
void FillParameters(Net<T>* net, std::uint64_t seed) {
  for (const auto& layer : net->layers()) {
    const std::string type = layer->type();
    for (size_t i = 0; i < layer->blobs().size(); ++i) {
      Blob<T>* blob = layer->blobs()[i].get();
      const bool positive = (type == "CuDNNBatchNorm" && (i == 0 || i == 3)) ||
                            (type == "BatchNorm" && i > 0);
      if (type != "Convolution") Fill(blob, ++seed, positive ? 0.5 : -1, positive ? 2 : 1);
    }
  }
}

template <typename T>
struct Pair {
  explicit Pair(const std::string& text) : plain(MakeNet<T>(text, TEST)) {
    FillParameters(plain.get(), 100);
    optimized = MakeNet<T>(text, TEST);
    CopyWeights();
    optimized->Optimize();
    FillInput(7);
  }
  void CopyWeights() {
    NetParameter weights;
    plain->ToProto(&weights);
    optimized->CopyTrainedLayersFrom(weights);
  }
  void FillInput(std::uint64_t seed) {
    for (Net<T>* net : {plain.get(), optimized.get()}) {
      for (Blob<T>* blob : net->input_blobs()) Fill(blob, seed);
    }
  }
  // `layers` reductions of `terms` terms each lie between input and output.
  void ExpectEqual(const std::string& what, std::int64_t terms = 6 * 48 * 9) {
    SCOPED_TRACE(what);
    const auto& want = plain->Forward();
    const auto& got = optimized->Forward();
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) {
      EXPECT_EQ(got[i]->shape(), want[i]->shape());
      ExpectClose(Values(*got[i]), Values(*want[i]),
                  ToleranceOf<T>(OpKind::kNormalization, terms), "output");
    }
  }
  std::unique_ptr<Net<T>> plain, optimized;
};

template <typename T>
class NetOptimizeTest : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(NetOptimizeTest, Types);

TYPED_TEST(NetOptimizeTest, EqualsThePlainNet) {
  for (const int stride : {1, 2}) {
    Pair<TypeParam> nets(Blocks(stride));
    EXPECT_TRUE(nets.optimized->optimized());
    nets.ExpectEqual(Str("stride ", stride));
    nets.FillInput(8);
    nets.ExpectEqual("a second batch");
  }
}

TYPED_TEST(NetOptimizeTest, SeesChangedWeights) {
  Pair<TypeParam> nets(Blocks(1));
  nets.ExpectEqual("at first");
  FillParameters(nets.plain.get(), 900);
  for (const char* name : {"a", "fc1", "increase", "c"}) {
    Fill(nets.plain->layer_by_name(name)->blobs()[0].get(), 31);
  }
  nets.CopyWeights();
  nets.ExpectEqual("all changed");
  // One at a time, by pointers that were taken before.
  for (const char* name : {"b", "b/bn", "proj/bn", "c/bn", "c/scale", "c/bias", "head"}) {
    Blob<TypeParam>* from = nets.plain->layer_by_name(name)->blobs().back().get();
    Blob<TypeParam>* to = nets.optimized->layer_by_name(name)->blobs().back().get();
    Fill(from, 77, 0.5, 2);
    Fill(to, 77, 0.5, 2);
    nets.ExpectEqual(name);
  }
  // A pinned memory is written without telling.
  Blob<TypeParam>* weights = nets.optimized->layer_by_name("c")->blobs()[0].get();
  weights->data()->Pin();
  TypeParam* view = weights->mutable_cpu_data();
  nets.ExpectEqual("pinned");
  nets.plain->layer_by_name("c")->blobs()[0]->mutable_cpu_data()[5] = 3;
  view[5] = 3;
  nets.ExpectEqual("written through a view");
  weights->data()->Unpin();
}

TYPED_TEST(NetOptimizeTest, FollowsTheInputsShape) {
  Pair<TypeParam> nets(Blocks(2));
  for (const int size : {9, 14, 5}) {
    for (Net<TypeParam>* net : {nets.plain.get(), nets.optimized.get()}) {
      net->input_blobs()[0]->Reshape({3, 16, size, size});
    }
    nets.FillInput(size);
    nets.ExpectEqual(Str("size ", size));
  }
}

TYPED_TEST(NetOptimizeTest, WhatIsNotKeptSaysSo) {
  Pair<TypeParam> nets(Blocks(1));
  for (int run = 0; run < 2; ++run) {
    for (const char* name : {"a", "increase/bn", "sum", "scale", "block1"}) {
      if (run == 0 && std::string(name) == "block1") continue;  // nothing ran yet
      EXPECT_THAT(MessageOf<RuntimeFailure>(
                      [&] { nets.optimized->blob_by_name(name)->cpu_data(); }),
                  AllOf(HasSubstr("blob '"), HasSubstr("optimize=True")))
          << name;
    }
    nets.optimized->Forward();
  }
  EXPECT_THAT(MessageOf<RuntimeFailure>([&] { nets.optimized->ForwardFromTo(0, 3); }),
              AllOf(HasSubstr("layers 0 to 3"), HasSubstr("optimize=True")));
  EXPECT_THAT(MessageOf<RuntimeFailure>([&] { nets.optimized->Backward(); }),
              HasSubstr("Backward"));
  nets.ExpectEqual("still whole");
}

TYPED_TEST(NetOptimizeTest, TrainingIsRefused) {
  const auto net = MakeNet<TypeParam>(Blocks(1), TRAIN);
  EXPECT_THAT(MessageOf<ValueError>([&] { net->Optimize(); }), HasSubstr("TRAIN"));
}

TYPED_TEST(NetOptimizeTest, WhoWatchesGetsThePlainNet) {
  struct Counter : Net<TypeParam>::Callback {
    void run(int) override { ++calls; }
    int calls = 0;
  } counter;
  Pair<TypeParam> nets(Blocks(1));
  nets.optimized->Forward();
  nets.optimized->add_after_forward(&counter);
  EXPECT_FALSE(nets.optimized->optimized());
  nets.ExpectEqual("with a callback");
  EXPECT_EQ(counter.calls, static_cast<int>(nets.optimized->layers().size()));
  EXPECT_EQ(Values(*nets.optimized->blob_by_name("sum")),
            Values(*nets.plain->blob_by_name("sum")));
}

// Where fusing would change what is computed, the layers stay apart.
TYPED_TEST(NetOptimizeTest, LeavesWhatItMustNotFuse) {
  const std::string conv = Conv("c", "data", 16, "kernel_size: 3 pad: 1");
  const std::string input = InputLayer("data", {2, 16, 5, 5});
  const std::string bn = Layer("bn", "CuDNNBatchNorm", {"c"}, "bn");
  const std::vector<std::pair<std::string, std::string>> nets = {
      {"coefficients", conv + Layer("e", "Eltwise", {"c", "data"}, "e",
                                    "eltwise_param { coeff: 1 coeff: -1 }")},
      {"product", conv + Layer("e", "Eltwise", {"c", "data"}, "e",
                               "eltwise_param { operation: PROD }")},
      {"twice the same", conv + Layer("e", "Eltwise", {"c", "c"}, "e")},
      {"leaky", conv + Layer("r", "ReLU", {"c"}, "c", "relu_param { negative_slope: 0.1 }")},
      {"batch statistics",
       conv + Layer("n", "BatchNorm", {"c"}, "n",
                    "batch_norm_param { use_global_stats: false }")},
      {"one scale for all", conv + Layer("s", "Scale", {"c"}, "s", "scale_param { num_axes: 0 }")},
      {"scale of places", conv + Layer("s", "Scale", {"c"}, "s",
                                       "scale_param { axis: 2 num_axes: 2 }")},
      {"read twice", conv + bn + Layer("p", "Power", {"c"}, "p", "power_param { shift: 1 }")},
      {"input changed in place before the sum",
       // By way of a view: a blob that was read already cannot be named in place.
       conv + bn + Layer("v", "Reshape", {"data"}, "v", "reshape_param { num_axes: 0 shape { } }") +
           Layer("r", "ReLU", {"v"}, "v") + Layer("e", "Eltwise", {"bn", "data"}, "e")},
      {"maximum pooled",
       conv + Layer("e", "Eltwise", {"c", "data"}, "e") +
           Layer("p", "Pooling", {"e"}, "p", "pooling_param { global_pooling: true }")},
      {"sum after relu", conv + Layer("r", "ReLU", {"c"}, "c") + Layer("e", "Eltwise", {"c", "data"}, "e")},
      {"norm after sum", conv + Layer("e", "Eltwise", {"c", "data"}, "e") +
                             Layer("bn", "CuDNNBatchNorm", {"e"}, "e")},
  };
  for (const auto& [what, text] : nets) {
    Pair<TypeParam>(input + text).ExpectEqual(what);
  }
}

TYPED_TEST(NetOptimizeTest, LossesAddUp) {
  const std::string text = InputLayer("data", {2, 16, 5, 5}) + InputLayer("label", {2}) +
                           Conv("c", "data", 8, "kernel_size: 5") + NormRelu("c") +
                           Layer("loss", "SoftmaxWithLoss", {"c/bn", "label"}, "loss");
  Pair<TypeParam> nets(text);
  for (auto* net : {nets.plain.get(), nets.optimized.get()}) {
    FillIntegers(net->input_blobs()[1], 3, 0, 7);
  }
  TypeParam want = 0, got = 0;
  nets.plain->Forward(&want);
  nets.optimized->Forward(&got);
  EXPECT_GT(want, 0);
  ExpectClose({got}, {want}, ToleranceOf<TypeParam>(OpKind::kLoss, 16 * 25), "loss");
}

// The whole of SKNet-50: fewer operations, no reorder, and memory that is used again.
TEST(NetOptimizeSkNet50Test, FusesAndReusesMemory) {
  NetParameter param = NetFromReference(
      ReadReferenceLayers(CAFFE_TEST_DATA "/reference/sknet50_layers.csv"), "SKNet-50");
  param.mutable_state()->set_phase(TEST);
  for (auto& layer : *param.mutable_layer()) {
    if (layer.type() != "Input") continue;
    for (auto& shape : *layer.mutable_input_param()->mutable_shape()) shape.set_dim(0, 1);
  }
  Net<float> plain(param), optimized(param);
  FillParameters(&plain, 50);
  for (size_t i = 0; i < plain.layers().size(); ++i) {
    // Sums of 16 blocks grow without it.
    if (std::string(plain.layers()[i]->type()) == "CuDNNBatchNorm") {
      plain.layers()[i]->blobs()[0]->scale_data(0.3f);
    }
  }
  NetParameter weights;
  plain.ToProto(&weights);
  optimized.CopyTrainedLayersFrom(weights);
  optimized.Optimize();
  for (Net<float>* net : {&plain, &optimized}) {
    Fill(net->input_blobs()[0], 5);
    FillIntegers(net->input_blobs()[1], 6, 0, 999);
  }
  const auto& want = plain.Forward();
  const auto& got = optimized.Forward();
  for (size_t i = 0; i < want.size(); ++i) {
    ExpectClose(Values(*got[i]), Values(*want[i]),
                ToleranceOf<float>(OpKind::kNormalization, 2048 * 50), "output");
  }
  const std::size_t bytes = optimized.MemoryBytes();
  const std::int64_t reorders = ReorderCount();
  optimized.Forward();
  // The image itself is plain, as its three channels are.
  EXPECT_EQ(ReorderCount(), reorders);
  EXPECT_EQ(optimized.MemoryBytes(), bytes);
  // Parameters (110 MB), input and outputs are all that is left.
  EXPECT_LT(bytes, plain.MemoryBytes() / 3);
}

}  // namespace
}  // namespace test
}  // namespace caffe
