// SKNet-26, forward and backward, on a device against the processor.

#include <gtest/gtest.h>

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

namespace caffe {
namespace test {
namespace {

constexpr int kImages = 2, kSize = 64;

// As generated, for smaller images; with a loss instead of the probabilities to train it.
NetParameter SkNet26(Phase phase) {
  NetParameter net;
  ReadNetParamsFromTextFileOrDie(CAFFE_SOURCE_DIR "/models/sknet26/deploy.prototxt",
                                 &net);
  for (LayerParameter& layer : *net.mutable_layer()) {
    if (layer.type() == "Input") {
      BlobShape* shape = layer.mutable_input_param()->mutable_shape(0);
      const int dims[] = {kImages, 3, kSize, kSize};
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
  const LayerParameter label = LayerFromText(
      "name: 'label' type: 'DummyData' top: 'label' "
      "dummy_data_param { shape { dim: 2 } data_filler { value: 3 } }",
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
