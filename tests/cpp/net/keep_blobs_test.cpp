#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "caffe/layers/conv_layer.hpp"
#include "caffe/net.hpp"
#include "fill.hpp"
#include "layer_test.hpp"
#include "net/net_fixture.hpp"
#include "net/sk_blocks.hpp"
#include "util/temporary_folder.hpp"

// Net::set_keep_blobs(false): what is computed stays the same to the bit, with less
// memory, and what was freed says so.

namespace caffe {
namespace test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// What a layer says of itself, against what it does.

struct LayerCase {
  std::string name, text;
  Shapes bottoms;
  int tops = 1;
};

std::vector<LayerCase> LayersThatTell() {
  const std::vector<int> shape = {2, 16, 5, 6}, scale = {2, 16};
  const std::string window =
      "num_output: 16 kernel_size: 3 weight_filler { type: 'msra' }";
  return {
      {"Axpy", "type: 'Axpy'", {scale, shape, shape}},
      {"BatchNorm", "type: 'BatchNorm'", {shape}},
      {"BatchNormGlobal",
       "type: 'BatchNorm' batch_norm_param { use_global_stats: true }",
       {shape}},
      {"Bias", "type: 'Bias'", {shape, {16}}},
      {"Concat", "type: 'Concat'", {shape, shape}},
      {"Convolution",
       "type: 'Convolution' convolution_param { " + window + " }",
       {shape}},
      {"GroupedConvolution",
       "type: 'Convolution' convolution_param { group: 4 " + window + " }",
       {shape}},
      {"CuDNNBatchNorm", "type: 'CuDNNBatchNorm'", {shape}},
      {"CuDNNBatchNormFrozen",
       "type: 'CuDNNBatchNorm' batch_norm_param { frozen: true }",
       {shape}},
      {"Dropout", "type: 'Dropout'", {shape}},
      {"EltwiseSum",
       "type: 'Eltwise' eltwise_param { coeff: 2 coeff: -1 }",
       {shape, shape}},
      {"EltwiseMax", "type: 'Eltwise' eltwise_param { operation: MAX }", {shape, shape}},
      {"EltwiseProd",
       "type: 'Eltwise' eltwise_param { operation: PROD }",
       {shape, shape}},
      {"EltwiseQuickProd",
       "type: 'Eltwise' eltwise_param { operation: PROD stable_prod_grad: false }",
       {shape, shape}},
      {"Flatten", "type: 'Flatten'", {shape}},
      {"InnerProduct",
       "type: 'InnerProduct' inner_product_param { num_output: 3 weight_filler { type: "
       "'xavier' } }",
       {shape}},
      {"PoolingMax", "type: 'Pooling' pooling_param { kernel_size: 2 }", {shape}},
      {"PoolingMaxMask", "type: 'Pooling' pooling_param { kernel_size: 2 }", {shape}, 2},
      {"PoolingAve",
       "type: 'Pooling' pooling_param { pool: AVE global_pooling: true }",
       {shape}},
      {"ReLU", "type: 'ReLU'", {shape}},
      {"LeakyReLU", "type: 'ReLU' relu_param { negative_slope: 0.25 }", {shape}},
      {"OddReLU", "type: 'ReLU' relu_param { negative_slope: -0.25 }", {shape}},
      {"Reshape", "type: 'Reshape' reshape_param { shape { dim: 0 dim: -1 } }", {shape}},
      {"Scale", "type: 'Scale' scale_param { axis: 0 }", {shape, scale}},
      {"ScaleBias", "type: 'Scale' scale_param { bias_term: true }", {shape}},
      {"Slice", "type: 'Slice'", {shape}, 2},
      {"Softmax", "type: 'Softmax'", {shape}},
      {"Split", "type: 'Split'", {shape}, 2},
  };
}

class DataUseTest : public testing::TestWithParam<LayerCase> {
 protected:
  LayerRun<float> Run() const {
    Caffe::set_random_seed(5);  // Dropout's draws
    LayerRun<float> run(GetParam().text, GetParam().bottoms, GetParam().tops);
    run.Forward();
    return run;
  }
};

INSTANTIATE_TEST_SUITE_P(Layers, DataUseTest, testing::ValuesIn(LayersThatTell()),
                         [](const auto& info) { return info.param.name; });

// Reading what was discarded throws.
TEST_P(DataUseTest, BackwardDoesWithoutWhatItClaimsNotToRead) {
  LayerRun<float> whole = Run(), lean = Run();
  whole.Backward();
  const auto free = [](Blob<float>* blob, DataUse use) {
    EXPECT_NE(use, DataUse::kUnknown);
    if (use == DataUse::kNone) blob->data()->Discard("freed by the test");
  };
  const LayerTraits traits = TraitsOf(*lean.layer);
  for (size_t i = 0; i < lean.bottom.size(); ++i) {
    free(lean.bottom[i], traits.UseOfBottom(i));
  }
  for (size_t i = 0; i < lean.top.size(); ++i) {
    // Shared with a bottom that Backward may read.
    if (lean.SharesData(lean.top[i]) && !lean.top[i]->data()->discarded()) continue;
    free(lean.top[i], traits.UseOfTop(i));
  }
  lean.Backward();
  for (size_t i = 0; i < whole.bottom.size(); ++i) {
    EXPECT_EQ(lean.BottomDiff(static_cast<int>(i)),
              whole.BottomDiff(static_cast<int>(i)));
  }
  for (size_t i = 0; i < whole.layer->blobs().size(); ++i) {
    EXPECT_EQ(Values(*lean.layer->blobs()[i], Half::kDiff),
              Values(*whole.layer->blobs()[i], Half::kDiff));
  }
}

TEST_P(DataUseTest, RecomputeWritesTheSameAndNothingElse) {
  LayerRun<float> run = Run();
  if (!TraitsOf(*run.layer).can_recompute) {
    // Those whose output is no cheap function of the input.
    EXPECT_THAT(std::string(run.layer->type()),
                testing::AnyOf("Convolution", "InnerProduct", "Pooling", "Dropout",
                               "Softmax", "Split", "Reshape", "Flatten"));
    return;
  }
  std::vector<Doubles> tops, blobs;
  for (Blob<float>* top : run.top) tops.push_back(Values(*top));
  for (const auto& blob : run.layer->blobs()) blobs.push_back(Values(*blob));
  for (Blob<float>* top : run.top) FillNaN(top);
  run.layer->Recompute(run.bottom, run.top);
  for (size_t i = 0; i < tops.size(); ++i) EXPECT_EQ(Values(*run.top[i]), tops[i]);
  for (size_t i = 0; i < blobs.size(); ++i) {
    EXPECT_EQ(Values(*run.layer->blobs()[i]), blobs[i]);
  }
}

/// A user's layer on the base of ours, with a Backward of its own.
class Derived : public ConvolutionLayer<float> {
 public:
  using ConvolutionLayer<float>::ConvolutionLayer;
};

TEST(DataUseTest, ADerivedLayerIsNotJudgedByItsBase) {
  LayerParameter param = LayerFromText(LayersThatTell()[5].text);
  EXPECT_EQ(TraitsOf(ConvolutionLayer<float>(param)).UseOfBottom(0), DataUse::kRead);
  EXPECT_EQ(TraitsOf(Derived(param)).UseOfBottom(0), DataUse::kUnknown);
  EXPECT_EQ(TraitsOf(Derived(param)).UseOfTop(0), DataUse::kUnknown);
}

// Nets.

// The blocks with all that training needs behind them.
std::string TrainedBlocks() {
  return Blocks(1) +
         "layer { name: 'label' type: 'DummyData' top: 'label' "
         "dummy_data_param { shape { dim: 2 } data_filler { value: 3 } } }\n" +
         LayerText("drop", "Dropout", {"head"}, "drop") +
         LayerText(
             "fc", "InnerProduct", {"drop"}, "fc",
             "inner_product_param { num_output: 5 weight_filler { type: 'msra' } }") +
         LayerText("loss", "SoftmaxWithLoss", {"fc", "label"}, "loss");
}

template <typename T>
std::unique_ptr<Net<T>> Lean(const std::string& text, Phase phase = TRAIN) {
  auto net = MakeNet<T>(text, phase);
  net->set_keep_blobs(false);
  return net;
}

template <typename T>
class KeepBlobsTest : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(KeepBlobsTest, Types);

TYPED_TEST(KeepBlobsTest, TrainingIsTheSameToTheBit) {
  for (const int passes : {1, 2}) {  // as iter_size has it
    SCOPED_TRACE(passes);
    const auto train = [&](bool keep) {
      const auto net = MakeNet<TypeParam>(TrainedBlocks());
      net->set_keep_blobs(keep);
      std::vector<Doubles> seen;
      for (int step = 0; step < 3; ++step) {
        for (Blob<TypeParam>* param : net->learnable_params()) {
          param->scale_diff(0);
        }
        for (int pass = 0; pass < passes; ++pass) {
          Fill(net->input_blobs()[0], 10 * step + pass);
          seen.push_back({net->ForwardBackward()});
        }
        for (Blob<TypeParam>* param : net->learnable_params()) {
          seen.push_back(Values(*param, Half::kDiff));
          param->scale_diff(TypeParam(0.125));
        }
        net->Update();
        for (const auto& param : net->params()) seen.push_back(Values(*param));
        seen.push_back(Values(*net->output_blobs()[0]));
      }
      return seen;
    };
    EXPECT_EQ(train(false), train(true));
  }
}

// Notes the most that the net holds between two layers of its backward pass.
template <typename T>
class Gauge : public Net<T>::Callback {
 public:
  explicit Gauge(Net<T>* net) : net_(net) { net->add_after_backward(this); }
  bool reads_blobs() const override { return false; }
  size_t most() const { return most_; }

 protected:
  void run(int /*layer*/) override { most_ = std::max(most_, net_->MemoryBytes()); }

 private:
  Net<T>* net_;
  size_t most_ = 0;
};

TYPED_TEST(KeepBlobsTest, HoldsLess) {
  std::string text = Blocks(1);
  text.replace(text.find("dim: 2"), 6, "dim: 32");  // activations, not parameters, count
  text.replace(text.find("dim: 9"), 6, "dim: 20");
  text += LayerText("loss", "Reduction", {"head"}, "loss", "loss_weight: 1");
  const auto kept = MakeNet<TypeParam>(text), lean = Lean<TypeParam>(text);
  Gauge<TypeParam> of_kept(kept.get()), of_lean(lean.get());
  for (int i = 0; i < 2; ++i) {
    kept->ForwardBackward();
    lean->ForwardBackward();
  }
  EXPECT_LT(2.5 * of_lean.most(), of_kept.most());
  EXPECT_LT(5 * lean->MemoryBytes(), kept->MemoryBytes()) << "between iterations";
}

TYPED_TEST(KeepBlobsTest, WhatWasFreedSaysSo) {
  const auto net = Lean<TypeParam>(TrainedBlocks());
  Fill(net->input_blobs()[0], 1);
  net->ForwardBackward();
  const auto& freed = *net->blob_by_name("sum");
  EXPECT_THAT(MessageOf<RuntimeFailure>([&] { freed.cpu_data(); }),
              AllOf(HasSubstr("data of blob 'sum'"), HasSubstr("-keep_blobs")));
  EXPECT_THAT(MessageOf<RuntimeFailure>([&] { freed.cpu_diff(); }),
              HasSubstr("diff of blob 'sum'"));
  EXPECT_THAT(MessageOf<RuntimeFailure>([&] { freed.asum_data(); }), HasSubstr("'sum'"));
  EXPECT_THROW(net->Backward(), RuntimeFailure) << "needs what the first one freed";
  // Inputs, outputs and parameters stay.
  EXPECT_NO_THROW(net->input_blobs()[0]->cpu_data());
  EXPECT_NO_THROW(net->output_blobs()[0]->cpu_data());
  for (const auto& param : net->params()) EXPECT_NO_THROW(param->cpu_diff());
  // And the next iteration runs.
  EXPECT_NO_THROW(net->ForwardBackward());
}

TYPED_TEST(KeepBlobsTest, KeepsAgainWhenAsked) {
  const auto net = Lean<TypeParam>(TrainedBlocks());
  Fill(net->input_blobs()[0], 1);
  net->ForwardBackward();
  net->set_keep_blobs(true);
  net->ForwardBackward();
  EXPECT_NO_THROW(net->blob_by_name("sum")->cpu_data());
  EXPECT_NO_THROW(net->blob_by_name("sum")->cpu_diff());
  EXPECT_NO_THROW(net->Backward());
}

TYPED_TEST(KeepBlobsTest, ACallbackThatReadsBlobsSeesThem) {
  struct Reader : Net<TypeParam>::Callback {
    explicit Reader(Net<TypeParam>* of) : net(of) {}
    void run(int) override { net->blob_by_name("sum")->cpu_data(); }
    Net<TypeParam>* net;
  };
  const auto net = Lean<TypeParam>(TrainedBlocks());
  Reader reader(net.get());
  net->add_after_backward(&reader);
  EXPECT_NO_THROW(net->ForwardBackward());
  EXPECT_NO_THROW(net->blob_by_name("sum")->cpu_diff());
}

// Of a net that has run without its blobs before.
TYPED_TEST(KeepBlobsTest, ACallbackThatComesLaterSeesThemToo) {
  struct Reader : Net<TypeParam>::Callback {
    void run(int /*layer*/) override {}
  };
  const auto run = [](bool keep) {
    const auto net = MakeNet<TypeParam>(TrainedBlocks());
    net->set_keep_blobs(keep);
    Fill(net->input_blobs()[0], 1);
    net->ForwardBackward();
    Reader reader;
    net->add_after_backward(&reader);
    net->ClearParamDiffs();
    net->ForwardBackward();
    std::vector<Doubles> seen;
    for (const auto& blob : net->blobs()) {
      seen.push_back(Values(*blob));
      seen.push_back(Values(*blob, Half::kDiff));
    }
    for (const auto& param : net->params()) {
      seen.push_back(Values(*param, Half::kDiff));
    }
    return seen;
  };
  EXPECT_EQ(run(false), run(true));
}

TYPED_TEST(KeepBlobsTest, DebugInfoSeesAllBlobs) {
  const auto net = Lean<TypeParam>(TrainedBlocks());
  net->set_debug_info(true);
  EXPECT_NO_THROW(net->ForwardBackward());
  EXPECT_NO_THROW(net->blob_by_name("sum")->cpu_data());
}

TYPED_TEST(KeepBlobsTest, RangesOfLayersKeepTheirBlobs) {
  const auto net = Lean<TypeParam>(TrainedBlocks());
  Fill(net->input_blobs()[0], 1);
  const int last = static_cast<int>(net->layers().size()) - 1;
  net->ForwardTo(last - 1);
  EXPECT_NO_THROW(net->blob_by_name("sum")->cpu_data());
  net->ForwardFrom(last);
  EXPECT_NO_THROW(net->Backward());
  // A whole run after one of a part, which took layers apart.
  EXPECT_NO_THROW(net->ForwardBackward());
}

TYPED_TEST(KeepBlobsTest, NewShapesGetNewMemory) {
  const auto net = Lean<TypeParam>(TrainedBlocks()),
             fresh = Lean<TypeParam>(TrainedBlocks());
  Fill(net->input_blobs()[0], 1);
  net->ForwardBackward();
  for (const auto& each : {net.get(), fresh.get()}) {
    each->input_blobs()[0]->Reshape({2, 16, 9, 9});
    each->Reshape();
    Fill(each->input_blobs()[0], 2);
  }
  for (const auto& param : net->learnable_params()) param->scale_diff(0);
  // One iteration behind: the same weights, but not the same draws of Dropout.
  const auto loss = [](Net<TypeParam>* of) {
    Caffe::set_random_seed(9);
    return of->ForwardBackward();
  };
  EXPECT_EQ(loss(net.get()), loss(fresh.get()));
  for (int batch : {3, 1, 2}) {
    net->input_blobs()[0]->Reshape({batch, 16, 9, 9});
    net->blob_by_name("label")->Reshape({batch});
    EXPECT_NO_THROW(net->Reshape());
  }
}

TYPED_TEST(KeepBlobsTest, InTestPhaseDataLivesUntilItsLastReader) {
  const auto kept = MakeNet<TypeParam>(Blocks(2), TEST),
             lean = Lean<TypeParam>(Blocks(2), TEST);
  for (Net<TypeParam>* net : {kept.get(), lean.get()}) {
    Fill(net->input_blobs()[0], 1);
    net->Forward();
  }
  EXPECT_EQ(Values(*lean->output_blobs()[0]), Values(*kept->output_blobs()[0]));
  EXPECT_THROW(lean->blob_by_name("sum")->cpu_data(), RuntimeFailure);
}

TYPED_TEST(KeepBlobsTest, AViewerFromOutsideKeepsItsBlob) {
  const auto net = Lean<TypeParam>(TrainedBlocks());
  Fill(net->input_blobs()[0], 1);
  const auto memory = net->blob_by_name("sum")->data();
  memory->mutable_cpu_data();
  memory->Pin();  // as an array of Python's does
  net->ForwardBackward();
  EXPECT_NO_THROW(memory->cpu_data());
  memory->Unpin();
}

}  // namespace
}  // namespace test
}  // namespace caffe
