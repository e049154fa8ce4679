#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "caffe/net.hpp"
#include "caffe/ops/channels_last.hpp"
#include "caffe/ops/layout.hpp"
#include "caffe/ops/onednn.hpp"
#include "fill.hpp"
#include "net/net_fixture.hpp"
#include "net/reference_layers.hpp"
#include "net/sk_blocks.hpp"
#include "tolerance.hpp"
#include "util/temporary_folder.hpp"

// Net::Optimize: the plain net, layer by layer, is what it is compared with; that one
// is checked against independent references elsewhere.

namespace caffe {
namespace test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Values such as training leaves, variances above 0.
template <typename T>
void FillParameters(Net<T>* net, std::uint64_t seed) {
  for (const auto& layer : net->layers()) {
    const std::string type = layer->type();
    for (size_t i = 0; i < layer->blobs().size(); ++i) {
      Blob<T>* blob = layer->blobs()[i].get();
      const bool positive = (type == "CuDNNBatchNorm" && (i == 0 || i == 3)) ||
                            (type == "BatchNorm" && i > 0);
      if (type != "Convolution")
        Fill(blob, ++seed, positive ? 0.5 : -1, positive ? 2 : 1);
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
  const std::string bn = LayerText("bn", "CuDNNBatchNorm", {"c"}, "bn");
  const std::vector<std::pair<std::string, std::string>> nets = {
      {"coefficients", conv + LayerText("e", "Eltwise", {"c", "data"}, "e",
                                        "eltwise_param { coeff: 1 coeff: -1 }")},
      {"product", conv + LayerText("e", "Eltwise", {"c", "data"}, "e",
                                   "eltwise_param { operation: PROD }")},
      {"twice the same", conv + LayerText("e", "Eltwise", {"c", "c"}, "e")},
      {"leaky",
       conv + LayerText("r", "ReLU", {"c"}, "c", "relu_param { negative_slope: 0.1 }")},
      {"batch statistics",
       conv + LayerText("n", "BatchNorm", {"c"}, "n",
                        "batch_norm_param { use_global_stats: false }")},
      {"one scale for all",
       conv + LayerText("s", "Scale", {"c"}, "s", "scale_param { num_axes: 0 }")},
      {"scale of places",
       conv + LayerText("s", "Scale", {"c"}, "s", "scale_param { axis: 2 num_axes: 2 }")},
      {"read twice",
       conv + bn + LayerText("p", "Power", {"c"}, "p", "power_param { shift: 1 }")},
      {"input changed in place before the sum",
       // By way of a view: a blob that was read already cannot be named in place.
       conv + bn +
           LayerText("v", "Reshape", {"data"}, "v",
                     "reshape_param { num_axes: 0 shape { } }") +
           LayerText("r", "ReLU", {"v"}, "v") +
           LayerText("e", "Eltwise", {"bn", "data"}, "e")},
      {"maximum pooled", conv + LayerText("e", "Eltwise", {"c", "data"}, "e") +
                             LayerText("p", "Pooling", {"e"}, "p",
                                       "pooling_param { global_pooling: true }")},
      {"sum after relu", conv + LayerText("r", "ReLU", {"c"}, "c") +
                             LayerText("e", "Eltwise", {"c", "data"}, "e")},
      {"norm after sum", conv + LayerText("e", "Eltwise", {"c", "data"}, "e") +
                             LayerText("bn", "CuDNNBatchNorm", {"e"}, "e")},
  };
  for (const auto& [what, text] : nets) {
    Pair<TypeParam>(input + text).ExpectEqual(what);
  }
}

TYPED_TEST(NetOptimizeTest, LossesAddUp) {
  const std::string text =
      InputLayer("data", {2, 16, 5, 5}) + InputLayer("label", {2}) +
      Conv("c", "data", 8, "kernel_size: 5") + NormRelu("c") +
      LayerText("loss", "SoftmaxWithLoss", {"c/bn", "label"}, "loss");
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

  // With AMX activations stay bfloat16 from the image, which is copied, to the mean
  // before the classifier: the last pooling reads what the last convolution has left.
  optimized.set_precision(NetParameter::BF16);
  optimized.Forward();
  const std::int64_t copies = ChannelsLastCopies();
  optimized.Forward();
  const bool uses_units = onednn::HasMatrixUnits() && Caffe::mode() == Caffe::CPU;
  EXPECT_EQ(ChannelsLastCopies() - copies, uses_units ? 1 : 0);
  EXPECT_EQ(ReorderCount(), reorders);
}

}  // namespace
}  // namespace test
}  // namespace caffe
