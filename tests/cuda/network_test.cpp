// SKNet-26, forward and backward, on a device against the processor; in bfloat16 with
// batch norms that use statistics of before: those of a few values would magnify its
// roundings beyond all bounds (OpKind::kNetwork).

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "caffe/device.hpp"
#include "caffe/net.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "gpu_mode.hpp"
#include "layer_test.hpp"
#include "sixteen_bits.hpp"

namespace caffe {
namespace test {
namespace {

constexpr int kImages = 2, kSize = 64;

// As generated, for smaller images; with a loss instead of the probabilities to train it.
NetParameter SkNet26(Phase phase, int images = kImages) {
  NetParameter net;
  ReadNetParamsFromTextFileOrDie(CAFFE_SOURCE_DIR "/models/sknet26/deploy.prototxt",
                                 &net);
  for (LayerParameter& layer : *net.mutable_layer()) {
    if (layer.type() == "Input") {
      BlobShape* shape = layer.mutable_input_param()->mutable_shape(0);
      const int dims[] = {images, 3, kSize, kSize};
      for (int axis = 0; axis < 4; ++axis) shape->set_dim(axis, dims[axis]);
    } else if (layer.type() == "Convolution") {
      layer.mutable_convolution_param()->mutable_weight_filler()->set_type("msra");
    } else if (layer.type() == "InnerProduct") {
      layer.mutable_inner_product_param()->set_num_output(10);
      layer.mutable_inner_product_param()->mutable_weight_filler()->set_type("msra");
    } else if (layer.type() == "Pooling" && layer.pooling_param().kernel_size() == 7) {
      layer.mutable_pooling_param()->clear_kernel_size();
      layer.mutable_pooling_param()->set_global_pooling(true);
    }
  }
  net.mutable_state()->set_phase(phase);
  if (phase == TEST) return net;
  LayerParameter* loss = net.mutable_layer(net.layer_size() - 1);
  const LayerParameter label =
      LayerFromText(Str("name: 'label' type: 'DummyData' top: 'label' "
                        "dummy_data_param { shape { dim: ",
                        images, " } data_filler { value: 3 } }"),
                    phase);
  loss->set_type("SoftmaxWithLoss");
  loss->add_bottom("label");
  loss->add_loss_weight(1);
  loss->mutable_top()->Clear();
  loss->add_top("loss");
  net.mutable_layer()->Add()->Swap(loss);
  *net.mutable_layer(net.layer_size() - 2) = label;
  return net;
}

template <typename T>
std::unique_ptr<Net<T>> Made(Phase phase) {
  Caffe::set_random_seed(5);
  auto net = std::make_unique<Net<T>>(SkNet26(phase));
  if (phase == TEST) {
    // A variance of 0, which nothing has been learnt into, would magnify without end.
    for (const auto& layer : net->layers()) {
      if (std::string(layer->type()) != "CuDNNBatchNorm") continue;
      FillWith(layer->blobs()[0].get(), Half::kData, [](int) { return 0.5; });
      FillWith(layer->blobs()[3].get(), Half::kData, [](int) { return 1; });
    }
  }
  Fill(net->input_blobs()[0], 7);
  return net;
}

// Loss and gradients, by name.
template <typename T>
std::map<std::string, Doubles> Trained(bool keep_blobs) {
  const auto net = Made<T>(TRAIN);
  net->set_keep_blobs(keep_blobs);
  net->ClearParamDiffs();
  std::map<std::string, Doubles> results;
  results["loss"] = {net->ForwardBackward()};
  for (std::size_t i = 0; i < net->params().size(); ++i) {
    results[Str("parameter ", i, " ", net->param_display_names()[i])] =
        Values(*net->params()[i], Half::kDiff);
  }
  return results;
}

template <typename T>
Doubles Classified(bool optimize) {
  const auto net = Made<T>(TEST);
  if (optimize) net->Optimize();
  return Values(*net->Forward()[0]);
}

class DeviceNetworkTest : public GpuModeTest<double> {};

// Noise of a contrast of its own in each image, as photographs have: else the means over
// images would be almost equal, and the batch norms behind them would magnify roundings.
void FillWithImages(Blob<float>* data, int case_id) {
  FillWith(data, Half::kData, [&](int i) {
    const int image = i / data->count(1);
    return Uniform(case_id, i) * Uniform(case_id + 1000, image, 0.25, 2);
  });
}

// Weights as made, and statistics of images that are not compared later. Blocks add
// little to what they get, as when training begins so (Goyal et al. 2017, section 5.1) or
// has gone on: with a scale of 1 each would magnify the roundings of those before it.
NetParameter Learned() {
  constexpr int kLearnedFrom = 16;
  Caffe::set_random_seed(5);
  NetParameter definition = SkNet26(TRAIN, kLearnedFrom);
  for (LayerParameter& layer : *definition.mutable_layer()) {
    if (layer.type() == "CuDNNBatchNorm") {
      layer.mutable_cudnn_batch_norm_param()->set_momentum(0);
    }
  }
  Net<float> net(definition);
  for (std::size_t i = 0; i < net.layers().size(); ++i) {
    if (net.layer_names()[i].find("1x1_increase/bn") == std::string::npos) continue;
    FillWith(net.layers()[i]->blobs()[0].get(), Half::kData, [](int) { return 0.125; });
  }
  FillWithImages(net.input_blobs()[0], 8);
  net.Forward();
  NetParameter learned;
  net.ToProto(&learned);
  return learned;
}

// Enough that one of the 32 ReLUs of an SK unit, which an image more or less passes,
// makes no difference that counts.
constexpr int kComparedImages = 6;

std::unique_ptr<Net<float>> Frozen(Phase phase, const NetParameter& learned,
                                   NetParameter::Precision precision) {
  NetParameter definition = SkNet26(phase, kComparedImages);
  for (LayerParameter& layer : *definition.mutable_layer()) {
    if (layer.type() == "CuDNNBatchNorm") {
      layer.mutable_cudnn_batch_norm_param()->set_frozen(true);
    }
  }
  auto net = std::make_unique<Net<float>>(definition);
  net->CopyTrainedLayersFrom(learned);
  net->set_precision(precision);
  FillWithImages(net->input_blobs()[0], 7);
  return net;
}

// Of what SKNet-26 does one behind the other. Each of its eight blocks stores results at
// 10 places on the way from its input to its output, and multiplies by rounded weights in
// 3; four more are before and behind the blocks. A gradient goes the same way back.
constexpr int kBlocks = 8, kRoundings = 13 * kBlocks + 4;
constexpr int kRelus = 3 * kBlocks + 1;
const double kEpsilon = kSixteenBits[0].epsilon();

// In double: rounding in float, magnified by batch norms over few values, would hide all
// but gross errors.
TEST_F(DeviceNetworkTest, GradientsAreThoseOfTheProcessor) {
  const auto device = Trained<double>(/*keep_blobs=*/true);
  Caffe::set_mode(Caffe::CPU);
  const auto host = Trained<double>(/*keep_blobs=*/true);
  ASSERT_EQ(device.size(), host.size());
  for (const auto& [name, want] : host) {
    ExpectClose(device.at(name), want, ToleranceOf<double>(OpKind::kNetwork), name);
  }
}

TEST_F(DeviceNetworkTest, WhatIsFreedAndComputedAgainIsTheSameToTheBit) {
  EXPECT_EQ(Trained<float>(/*keep_blobs=*/false), Trained<float>(/*keep_blobs=*/true));
}

TEST_F(DeviceNetworkTest, ClassifiesAsTheProcessor) {
  const Doubles plain = Classified<double>(false), fused = Classified<double>(true);
  Caffe::set_mode(Caffe::CPU);
  const Doubles host = Classified<double>(false);
  ExpectClose(plain, host, ToleranceOf<double>(OpKind::kNetwork), "layer by layer");
  ExpectClose(fused, host, ToleranceOf<double>(OpKind::kNetwork), "fused");
}

TEST_F(DeviceNetworkTest, GradientsInBFloat16AgreeWithFloat32OfTheProcessor) {
  Caffe::set_mode(Caffe::CPU);
  const NetParameter learned = Learned();
  const auto host = Frozen(TRAIN, learned, NetParameter::FLOAT32);
  host->ClearParamDiffs();
  const double loss = host->ForwardBackward();
  Caffe::set_mode(Caffe::GPU);
  for (const bool keep_blobs : {true, false}) {
    SCOPED_TRACE(keep_blobs ? "plain" : "as in training");
    const auto device = Frozen(TRAIN, learned, NetParameter::BF16);
    device->set_keep_blobs(keep_blobs);
    device->ClearParamDiffs();
    EXPECT_NEAR(device->ForwardBackward(), loss, loss * MostNoise(kEpsilon, kRoundings));
    int compared = 0;
    for (std::size_t i = 0; i < host->layers().size(); ++i) {
      const std::string type = host->layers()[i]->type();
      if (type != "Convolution" && type != "InnerProduct") continue;
      EXPECT_GT(Cosine(Values(*device->layers()[i]->blobs()[0], Half::kDiff),
                       Values(*host->layers()[i]->blobs()[0], Half::kDiff)),
                LeastCosine(kEpsilon, 2 * kRoundings, kRelus))
          << host->layer_names()[i];
      ++compared;
    }
    EXPECT_EQ(compared, 6 * kBlocks + 6);
  }
}

// What the probabilities of each image are a softmax of, to a constant.
Doubles Scores(Doubles probabilities) {
  const std::size_t classes = probabilities.size() / kComparedImages;
  for (std::size_t first = 0; first < probabilities.size(); first += classes) {
    double mean = 0;
    for (std::size_t i = first; i < first + classes; ++i) {
      probabilities[i] = std::log(probabilities[i]);
      mean += probabilities[i] / classes;
    }
    for (std::size_t i = first; i < first + classes; ++i) probabilities[i] -= mean;
  }
  return probabilities;
}

TEST_F(DeviceNetworkTest, ClassifiesInBFloat16AsInFloat32OnTheProcessor) {
  Caffe::set_mode(Caffe::CPU);
  const NetParameter learned = Learned();
  const auto host = Frozen(TEST, learned, NetParameter::FLOAT32);
  const Doubles want = Scores(Values(*host->Forward()[0]));
  Caffe::set_mode(Caffe::GPU);
  for (const bool optimize : {false, true}) {
    const auto device = Frozen(TEST, learned, NetParameter::BF16);
    if (optimize) device->Optimize();
    EXPECT_GT(Cosine(Scores(Values(*device->Forward()[0])), want),
              LeastCosine(kEpsilon, kRoundings, kRelus))
        << (optimize ? "optimized" : "layer by layer");
  }
}

// What training holds at its worst moment, and what it would without freeing.
TEST_F(DeviceNetworkTest, TrainingTakesLessMemoryThanAllBlobs) {
  std::size_t peaks[2];
  for (const bool keep_blobs : {false, true}) {
    const std::size_t before = device::CountMemory().used;
    device::ResetPeak();
    Trained<float>(keep_blobs);
    peaks[keep_blobs] = device::CountMemory().peak - before;
  }
  EXPECT_LT(peaks[false], peaks[true]);
}

TEST_F(DeviceNetworkTest, ASteadyStepAsksTheDriverForNoMemory) {
  const auto net = Made<float>(TRAIN);
  net->set_keep_blobs(false);
  std::size_t allocations = 0;
  for (int step = 0; step < 4; ++step) {
    if (step == 2) allocations = device::CountMemory().driver_allocations;
    net->ClearParamDiffs();
    net->ForwardBackward();
  }
  EXPECT_EQ(device::CountMemory().driver_allocations, allocations);
}

}  // namespace
}  // namespace test
}  // namespace caffe
