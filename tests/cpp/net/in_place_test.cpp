#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "caffe/net.hpp"
#include "captured_log.hpp"
#include "fill.hpp"
#include "layer_test.hpp"
#include "net/net_fixture.hpp"
#include "tolerance.hpp"

// Bottom and top of one name, over all layer types and all pairs of them.

namespace caffe {

/// y = exp(x), whose Backward reads the top; it tells a net nothing, like a layer from a
/// plugin.
template <typename Dtype>
class UnsaidExpLayer : public Layer<Dtype> {
 public:
  explicit UnsaidExpLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  void Reshape(const vector<Blob<Dtype>*>& bottom,
               const vector<Blob<Dtype>*>& top) override {
    top[0]->ReshapeLike(*bottom[0]);
  }
  const char* type() const override { return "UnsaidExp"; }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top) override {
    for (int i = 0; i < bottom[0]->count(); ++i) {
      top[0]->mutable_cpu_data()[i] = std::exp(bottom[0]->cpu_data()[i]);
    }
  }
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override {
    if (!propagate_down[0]) return;
    for (int i = 0; i < bottom[0]->count(); ++i) {
      bottom[0]->mutable_cpu_diff()[i] = top[0]->cpu_diff()[i] * top[0]->cpu_data()[i];
    }
  }
};
INSTANTIATE_CLASS(UnsaidExpLayer);
REGISTER_LAYER_CLASS(UnsaidExp);

namespace {

using test::ExpectClose;
using test::Half;
using test::InputLayer;
using test::MakeNet;
using test::NetError;
using test::OpKind;
using test::ToleranceOf;
using test::Values;
using testing::AllOf;
using testing::HasSubstr;

/// How a layer stands in the nets of this file: the rest of its text, bottoms beside
/// 'pre' (of shape 6x16x3x3), tops beside 'y'.
struct Variant {
  std::string type;
  std::string text;
  std::string more_bottoms = "";
  std::string more_tops = "";
};

constexpr int kValues = 6 * 16 * 3 * 3;

const std::string kFillers = "weight_filler { type: 'gaussian' std: 0.5 } ";

// Layers with a gradient, in all forms that treat their data differently.
std::vector<Variant> Layers() {
  return {
      {"AbsVal", ""},
      {"Axpy", "", "bottom: 'pre2'"},
      {"BN", ""},
      {"BN", "bn_param { bn_mode: INFERENCE }"},
      {"BNLL", ""},
      {"BatchNorm", ""},
      {"BatchNorm", "batch_norm_param { use_global_stats: true }"},
      {"Bias", "bias_param { filler { type: 'gaussian' } }"},
      {"Clip", "clip_param { min: -0.5 max: 0.7 }"},
      {"Concat", "", "bottom: 'pre2'"},
      {"Convolution",
       "convolution_param { num_output: 16 kernel_size: 3 pad: 1 " + kFillers + "}"},
      {"Convolution",
       "convolution_param { num_output: 7 kernel_size: 1 " + kFillers + "}"},
      {"Convolution",
       "convolution_param { num_output: 16 kernel_size: 3 pad: 1 group: 4 " + kFillers +
           "}"},
      {"Crop", "", "bottom: 'pre2'"},
      {"CuDNNBatchNorm", ""},
      {"CuDNNBatchNorm", "cudnn_batch_norm_param { frozen: true }"},
      {"CuDNNBatchNorm",
       "cudnn_batch_norm_param { scale_filler { type: 'constant' value: 0 } }"},
      {"Deconvolution",
       "convolution_param { num_output: 16 kernel_size: 3 pad: 1 " + kFillers + "}"},
      {"Dropout", ""},
      {"ELU", ""},
      {"ELU", "elu_param { alpha: -0.5 }"},
      {"Eltwise", "", "bottom: 'pre2'"},
      {"Eltwise", "eltwise_param { coeff: 2 coeff: -1 }", "bottom: 'pre2'"},
      {"Eltwise", "eltwise_param { operation: PROD }", "bottom: 'pre2'"},
      {"Eltwise", "eltwise_param { operation: PROD stable_prod_grad: false }",
       "bottom: 'pre2'"},
      {"Eltwise", "eltwise_param { operation: MAX }", "bottom: 'pre2'"},
      {"Exp", "exp_param { scale: 0.3 }"},
      {"Flatten", ""},
      {"Im2col", "convolution_param { kernel_size: 3 }"},
      {"InnerProduct", "inner_product_param { num_output: 144 " + kFillers + "}"},
      {"Interp", "interp_param { zoom_factor: 2 }"},
      {"L2Normalize", ""},
      {"LRN", "lrn_param { alpha: 1 }"},
      {"LRN", "lrn_param { alpha: 1 norm_region: WITHIN_CHANNEL local_size: 3 }"},
      {"Log", "log_param { shift: 9 }"},
      {"MVN", ""},
      {"MVN", "mvn_param { normalize_variance: false }"},
      {"Normalize", ""},
      {"PReLU", ""},
      {"Permute", "permute_param { order: 0 order: 1 order: 3 order: 2 }"},
      {"Pooling", "pooling_param { pool: MAX kernel_size: 3 stride: 1 pad: 1 }"},
      {"Pooling", "pooling_param { pool: AVE kernel_size: 2 stride: 2 }"},
      {"Power", "power_param { power: 2 shift: 0.5 }"},
      {"Power", "power_param { scale: -3 shift: 0.5 }"},
      {"ReLU", ""},
      {"ReLU", "relu_param { negative_slope: 0.3 }"},
      {"ReLU", "relu_param { negative_slope: -0.3 }"},
      {"ReLU6", ""},
      {"Reduction", "reduction_param { axis: 1 }"},
      {"Reduction", "reduction_param { axis: 1 operation: SUMSQ }"},
      {"Reshape", "reshape_param { shape { dim: 6 dim: 144 } }"},
      {"Reverse", "reverse_param { axis: 1 }"},
      {"SPP", "spp_param { pyramid_height: 2 }"},
      {"Scale", "scale_param { filler { type: 'gaussian' } bias_term: true }"},
      {"ShuffleChannel", "shuffle_channel_param { group: 4 }"},
      {"Sigmoid", ""},
      {"Slice", "slice_param { axis: 1 }", "", "top: 'rest'"},
      {"Softmax", ""},
      {"Swish", ""},
      {"TanH", ""},
      {"Tile", "tile_param { tiles: 2 }"},
      {"Unpooling", "unpooling_param { kernel_size: 2 stride: 2 }"},
      {"UnsaidExp", ""},
  };
}

// Types that have no gradient, no bottom, or a loss for a top.
const std::set<std::string> kOthers = {
    "Accuracy",
    "ArgMax",
    "BatchReindex",
    "EuclideanLoss",
    "Filter",
    "HingeLoss",
    "MultinomialLogisticLoss",
    "SigmoidCrossEntropyLoss",
    "SmoothL1Loss",
    "SoftmaxWithLoss",
    "Split",
    "Upsample",
};

// Types that have no bottom, no top, parameters without a default, or more bottoms than
// the nets of this file give; Threshold, which works in place, refuses to go backward.
const std::set<std::string> kUntried = {
    "AnnotatedData", "CenterLoss",   "ContrastiveLoss", "Data",       "DetectionOutput",
    "DummyData",     "Embed",        "HDF5Data",        "HDF5Output", "ImageData",
    "ImageSegData",  "InfogainLoss", "Input",           "LSTM",       "LSTMUnit",
    "MemoryData",    "MultiBoxLoss", "Parameter",       "PriorBox",   "RNN",
    "ROIPooling",    "ScriptedLoss", "Silence",         "Threshold",  "WindowData",
};

// All that work in place; of Eltwise only a SUM, of Axpy only y (bottom 2).
const std::set<std::string> kInPlace = {
    "AbsVal",  "BN",      "BNLL",  "BatchNorm", "Bias",  "CuDNNBatchNorm",
    "Clip",    "Dropout", "ELU",   "Eltwise",   "Exp",   "Log",
    "MVN",     "PReLU",   "Power", "ReLU",      "ReLU6", "Scale",
    "Sigmoid", "Softmax", "Swish", "TanH",
};

// In place, these get their input back from the output.
bool Normalizes(const std::string& type) {
  return type == "BN" || type.find("BatchNorm") != std::string::npos;
}

bool WorksInPlace(const Variant& layer) {
  return kInPlace.count(layer.type) && layer.text.find("operation") == std::string::npos;
}

std::string LayerText(const std::string& name, const Variant& layer,
                      const std::string& bottom, const std::string& top) {
  const std::string first =
      layer.type == "Axpy" ? "bottom: 'a' bottom: '" + bottom : "bottom: '" + bottom;
  return "layer { name: '" + name + "' type: '" + layer.type + "' " + first + "' " +
         layer.more_bottoms + " top: '" + top + "' " + layer.more_tops + " " +
         layer.text + " }\n";
}

/// data -> pre, pre2 -> `middle` -> z.
std::string NetText(const std::string& middle, const std::string& last) {
  return "force_backward: true\n" + InputLayer("data", {6, 16, 3, 3}) +
         InputLayer("data2", {6, 16, 3, 3}) + InputLayer("a", {6, 16}) +
         "layer { name: 'p' type: 'Power' bottom: 'data' top: 'pre' }\n"
         "layer { name: 'p2' type: 'Power' bottom: 'data2' top: 'pre2' }\n" +
         middle + "layer { name: 'z' type: 'Power' bottom: '" + last +
         "' top: 'z' power_param { scale: 1.5 } }\n";
}

/// Runs forward and backward; returns outputs and all gradients, by name.
template <typename T>
std::map<std::string, std::vector<double>> RunOnce(Net<T>* net) {
  for (int i = 0; i < net->num_inputs(); ++i) test::Fill(net->input_blobs()[i], 20 + i);
  net->ClearParamDiffs();
  Caffe::set_random_seed(5);
  net->Forward();
  test::FillDiff(net->blob_by_name("z").get(), 50);
  net->Backward();
  std::map<std::string, std::vector<double>> results;
  results["z"] = Values(*net->blob_by_name("z"));
  for (const char* name : {"data", "data2", "a"}) {
    results[std::string("gradient of ") + name] =
        Values(*net->blob_by_name(name), Half::kDiff);
  }
  for (size_t i = 0; i < net->params().size(); ++i) {
    results["gradient of parameter " + std::to_string(i)] =
        Values(*net->params()[i], Half::kDiff);
    results["parameter " + std::to_string(i)] = Values(*net->params()[i]);
  }
  return results;
}

struct Way {
  Phase phase;
  bool keep_blobs;
};

template <typename T>
void ExpectEqualNets(const std::string& got_text, const std::string& want_text, Way way,
                     test::Tolerance tolerance) {
  SCOPED_TRACE(got_text);
  const auto got = MakeNet<T>(got_text, way.phase);
  const auto want = MakeNet<T>(want_text, way.phase);
  got->set_keep_blobs(way.keep_blobs);
  const auto got_results = RunOnce(got.get()), want_results = RunOnce(want.get());
  std::vector<double> all_got, all_want;
  for (const auto& [name, values] : want_results) {
    const std::vector<double>& others = got_results.at(name);
    all_got.insert(all_got.end(), others.begin(), others.end());
    all_want.insert(all_want.end(), values.begin(), values.end());
    if (tolerance.absolute == 0) ExpectClose(others, values, tolerance, name);
  }
  // Together: the gradient of what a batch norm takes away is 0 but for rounding.
  ExpectClose(all_got, all_want, tolerance, "all results");
}

TEST(InPlaceTest, EveryTypeIsListedHere) {
  std::set<std::string> listed = kOthers;
  listed.insert(kUntried.begin(), kUntried.end());
  for (const Variant& layer : Layers()) listed.insert(layer.type);
  const vector<string> types = LayerRegistry<float>::LayerTypeList();
  EXPECT_EQ(listed, std::set<std::string>(types.begin(), types.end()));
}

TEST(InPlaceTest, EveryTypeWorksInPlaceOrRefuses) {
  std::vector<Variant> all = Layers();
  for (const std::string& type : kOthers) {
    all.push_back(
        {type, "", type == "Split" || type == "ArgMax" ? "" : "bottom: 'pre2'"});
  }
  for (const Variant& layer : all) {
    SCOPED_TRACE(layer.type + " " + layer.text);
    const std::string in_place = NetText(LayerText("x", layer, "pre", "pre"), "pre");
    if (layer.type == "Axpy") continue;  // of its bottoms only the third can be its top
    if (!WorksInPlace(layer)) {
      EXPECT_THAT(NetError(in_place),
                  AllOf(HasSubstr("layer 'x' (" + layer.type + ")"),
                        HasSubstr("top[0] is bottom[0] 'pre'"),
                        HasSubstr("cannot work in place"), HasSubstr("top: \"x\"")));
      continue;
    }
    const std::string apart = NetText(LayerText("x", layer, "pre", "y"), "y");
    const OpKind kind = Normalizes(layer.type) ? OpKind::kNormalization : OpKind::kCopy;
    for (const Phase phase : {TRAIN, TEST}) {
      ExpectEqualNets<double>(in_place, apart, {phase, true},
                              ToleranceOf<double>(kind, kValues));
      ExpectEqualNets<float>(in_place, apart, {phase, true},
                             ToleranceOf<float>(kind, kValues));
    }
  }
}

TEST(InPlaceTest, LayersRefuseItWithoutANetToo) {
  test::LayerRun<float> run(
      "type: 'Convolution' convolution_param { num_output: 4 "
      "kernel_size: 1 }",
      {{2, 4, 3, 3}});
  run.InPlace();
  EXPECT_THAT(test::ErrorOfAction([&] { run.SetUp(); }),
              AllOf(HasSubstr("layer 'under_test' (Convolution)"),
                    HasSubstr("cannot work in place")));
  test::LayerRun<float> axpy("type: 'Axpy'", {{2, 4}, {2, 4, 3, 3}, {2, 4, 3, 3}});
  axpy.InPlace(1);
  EXPECT_THAT(
      test::ErrorOfAction([&] { axpy.SetUp(); }),
      HasSubstr("top[0] is bottom[1], but this layer cannot work in place, only of "
                "bottom[2] (y)"));
}

// What follows in place leaves the gradient of the layer before as it is.
TEST(InPlaceTest, FollowersDoNotChangeTheGradient) {
  for (const Variant& first : Layers()) {
    for (const Variant& second : Layers()) {
      if (!WorksInPlace(second)) continue;
      for (const bool first_in_place : {false, true}) {
        if (first_in_place && !WorksInPlace(first)) continue;
        const std::string y = first_in_place ? "pre" : "y";
        const std::string first_text = LayerText("first", first, "pre", y);
        const std::string apart =
            NetText(first_text + LayerText("second", second, y, "own"), "own");
        const std::string in_place =
            NetText(first_text + LayerText("second", second, y, y), y);
        if (!NetError(apart).empty()) continue;  // the shapes do not fit
        const bool normalizes =
            Normalizes(second.type) || (first_in_place && Normalizes(first.type));
        const OpKind kind = normalizes ? OpKind::kNormalization : OpKind::kCopy;
        for (const Way way : {Way{TRAIN, true}, Way{TRAIN, false}, Way{TEST, true}}) {
          SCOPED_TRACE(way.phase == TRAIN ? "TRAIN" : "TEST");
          ExpectEqualNets<float>(in_place, apart, way, ToleranceOf<float>(kind, kValues));
          if (way.keep_blobs) {
            ExpectEqualNets<double>(in_place, apart, way,
                                    ToleranceOf<double>(kind, kValues));
          }
        }
        if (testing::Test::HasFailure()) return;
      }
    }
  }
}

std::string Unary(const std::string& name, const std::string& type,
                  const std::string& bottom, const std::string& top,
                  const std::string& more = "") {
  return LayerText(name, {type, more}, bottom, top);
}

// Each of three layers in place needs the data as it left it.
TEST(InPlaceTest, ChainsKeepEveryVersionThatIsRead) {
  const std::string power = "power_param { power: 2 shift: 0.5 }";
  const std::string apart =
      NetText(Unary("s", "Sigmoid", "pre", "v1") + Unary("t", "TanH", "v1", "v2") +
                  Unary("e", "Exp", "v2", "v3") + Unary("q", "Power", "v3", "v4", power),
              "v4");
  const std::string in_place =
      NetText(Unary("s", "Sigmoid", "pre", "y") + Unary("t", "TanH", "y", "y") +
                  Unary("e", "Exp", "y", "y") + Unary("q", "Power", "y", "y", power),
              "y");
  for (const bool keep_blobs : {true, false}) {
    ExpectEqualNets<float>(in_place, apart, {TRAIN, keep_blobs},
                           ToleranceOf<float>(OpKind::kCopy));
  }
  // Afterwards the blob shows what the net computed last.
  const auto got = MakeNet<float>(in_place), want = MakeNet<float>(apart);
  RunOnce(got.get());
  RunOnce(want.get());
  EXPECT_EQ(Values(*got->blob_by_name("y")), Values(*want->blob_by_name("v4")));
}

// Flatten shares its bottom's data.
TEST(InPlaceTest, DataIsKeptUnderItsOtherNames) {
  const std::string sigmoid = Unary("s", "Sigmoid", "pre", "y");
  const std::string flatten = Unary("f", "Flatten", "y", "flat");
  const std::string scale = "power_param { scale: -2 }";
  ExpectEqualNets<float>(
      NetText(sigmoid + flatten + Unary("q", "Power", "flat", "flat", scale), "flat"),
      NetText(sigmoid + flatten + Unary("q", "Power", "flat", "own", scale), "own"),
      {TRAIN, true}, ToleranceOf<float>(OpKind::kCopy));
}

TEST(InPlaceTest, WhatALaterLayerReadsUnderAnotherNameIsNotChanged) {
  const std::string text =
      NetText(Unary("f", "Flatten", "pre", "flat") + Unary("r", "ReLU", "flat", "flat") +
                  "layer { name: 'sum' type: 'Flatten' bottom: 'pre' top: 'again' }\n"
                  "layer { name: 'cat' type: 'Concat' bottom: 'again' bottom: 'flat' "
                  "top: 'y' }\n",
              "y");
  EXPECT_THAT(
      NetError(text),
      AllOf(HasSubstr("layer 'r' (ReLU): it works in place on data that layer 'cat' "
                      "(Concat) reads as 'pre' afterwards"),
            HasSubstr("give its top its own name")));
}

/// Its top is its parameter, as that of Caffe's layer Parameter.
template <typename Dtype>
class OwnValuesLayer : public Layer<Dtype> {
 public:
  explicit OwnValuesLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>& top) override {
    this->blobs_.push_back(std::make_shared<Blob<Dtype>>(vector<int>{2, 3}));
    top[0]->Reshape({2, 3});
    top[0]->ShareData(*this->blobs_[0]);
  }
  void Reshape(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>&) override {}
  const char* type() const override { return "OwnValues"; }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>&) override {}
  void Backward_cpu(const vector<Blob<Dtype>*>&, const vector<bool>&,
                    const vector<Blob<Dtype>*>&) override {}
};

TEST(InPlaceTest, ParametersAreNotChangedInPlace) {
  LayerRegistry<double>::AddCreator(
      "OwnValues", [](const LayerParameter& param) -> shared_ptr<Layer<double>> {
        return std::make_shared<OwnValuesLayer<double>>(param);
      });
  const std::string text =
      "layer { name: 'own' type: 'OwnValues' top: 'w' }\n"
      "layer { name: 'r' type: 'ReLU' bottom: 'w' top: '";
  EXPECT_EQ(NetError(text + "y' }"), "");
  EXPECT_THAT(
      NetError(text + "w' }"),
      HasSubstr("layer 'r' (ReLU): it works in place on 'w', which is a parameter"));
}

TEST(InPlaceTest, InputsThatAreChangedInPlaceAreWarnedOf) {
  const std::string text =
      InputLayer("data", {2, 3}) + "layer { name: 'r' type: 'ReLU' bottom: 'data' top: '";
  for (const std::string top : {"y", "data"}) {
    const test::CapturedLog log;
    MakeNet<float>(text + top + "' }");
    EXPECT_EQ(log.Texts("layer 'r' (ReLU) works in place on input 'data'").size(),
              top == "data" ? 1u : 0u);
  }
}

TEST(InPlaceTest, ConstantDataIsFilledAnewWhereALayerChangesIt) {
  const std::string data =
      "layer { name: 'd' type: 'DummyData' top: 'u' top: 'v' dummy_data_param { "
      "shape { dim: 2 dim: 3 } data_filler { type: 'constant' value: 3 } } }\n";
  const auto net = MakeNet<float>(data +
                                  "layer { name: 'q' type: 'Power' bottom: 'v' top: 'v' "
                                  "power_param { scale: 2 } }\n");
  for (int i = 0; i < 3; ++i) {
    net->Forward();
    EXPECT_EQ(Values(*net->blob_by_name("v")), std::vector<double>(6, 6)) << i;
  }
  // What no layer changes is the caller's.
  test::Fill(net->blob_by_name("u").get(), 1);
  const std::vector<double> own = Values(*net->blob_by_name("u"));
  net->Forward();
  EXPECT_EQ(Values(*net->blob_by_name("u")), own);
}

}  // namespace
}  // namespace caffe
