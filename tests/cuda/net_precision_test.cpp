// Nets with activations of 16 bits on a GPU, against float32 on the host.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "caffe/gpu/tensor.hpp"
#include "caffe/net.hpp"
#include "gpu_mode.hpp"
#include "net/sk_blocks.hpp"
#include "sixteen_bits.hpp"

namespace caffe {
namespace test {
namespace {

constexpr int kChannels = 32;

std::string SkNet(int stride) {
  return InputLayer("data", {8, 16, 9, 9}) + SkUnit("data", kChannels, 8, stride);
}

// A net in one mode and precision; all have the same weights and the same data.
std::unique_ptr<Net<float>> NetIn(Caffe::Brew mode, NetParameter::Precision precision,
                                  const std::string& text, Phase phase) {
  Caffe::set_mode(mode);
  auto net = MakeNet<float>(text, phase);
  net->set_precision(precision);
  for (int i = 0; i < net->num_inputs(); ++i) Fill(net->input_blobs()[i], 10 + i);
  // Statistics as of a net that was trained: those of a new one are 0.
  for (const auto& layer : net->layers()) {
    if (std::string(layer->type()) != "CuDNNBatchNorm") continue;
    Fill(layer->blobs()[2].get(), 20, -0.5, 0.5);
    Fill(layer->blobs()[3].get(), 21, 0.5, 2);
  }
  return net;
}

using NetPrecisionTest = GpuModeTest<float>;

// Layers between input and output, each of which rounds twice at most.
constexpr int kRoundings = 20, kRelus = 3;

TEST_F(NetPrecisionTest, OutputsOfInferenceAgreeWithFloat32) {
  for (const SixteenBits& bits : kSixteenBits) {
    for (const int stride : {1, 2}) {
      for (const bool optimize : {false, true}) {
        SCOPED_TRACE(Str(bits.name, ", stride ", stride, optimize ? ", optimized" : ""));
        const auto want = NetIn(Caffe::CPU, NetParameter::FLOAT32, SkNet(stride), TEST);
        want->Forward();
        const auto got = NetIn(Caffe::GPU, bits.precision, SkNet(stride), TEST);
        if (optimize) got->Optimize();
        got->Forward();
        EXPECT_GT(
            Cosine(Values(*got->output_blobs()[0]), Values(*want->output_blobs()[0])),
            LeastCosine(bits.epsilon(), kRoundings));
      }
    }
  }
}

// From the input on, images stay as they are: the unit's layers take them from each
// other.
TEST_F(NetPrecisionTest, AnSkUnitConvertsItsInputAlone) {
  for (const SixteenBits& bits : kSixteenBits) {
    SCOPED_TRACE(bits.name);
    const auto net = NetIn(Caffe::GPU, bits.precision, SkNet(1), TEST);
    net->Optimize();
    net->Forward();
    Fill(net->input_blobs()[0], 5);
    const std::int64_t before = FormatConversionCount();
    net->Forward();
    EXPECT_EQ(FormatConversionCount(), before + 1);
    EXPECT_EQ(DeviceDataOf(net->output_blobs()[0]).format(), bits.format());
  }
}

TEST_F(NetPrecisionTest, GradientsAgreeWithFloat32) {
  const std::string text = SkNet(1) + InputLayer("target", {8, 5, 4, 4}) +
                           Conv("head", "axpy", 5, "kernel_size: 3 stride: 2", true) +
                           LossLayer("loss", "head", "target");
  for (const SixteenBits& bits : kSixteenBits) {
    SCOPED_TRACE(bits.name);
    const auto want = NetIn(Caffe::CPU, NetParameter::FLOAT32, text, TRAIN);
    want->ClearParamDiffs();
    want->ForwardBackward();
    const auto got = NetIn(Caffe::GPU, bits.precision, text, TRAIN);
    got->ClearParamDiffs();
    got->ForwardBackward();
    for (const std::string layer : {"a", "b", "fc1", "fc2", "head"}) {
      EXPECT_GT(Cosine(Values(*got->layer_by_name(layer)->blobs()[0], Half::kDiff),
                       Values(*want->layer_by_name(layer)->blobs()[0], Half::kDiff)),
                LeastCosine(bits.epsilon(), 2 * kRoundings, kRelus))
          << layer;
    }
  }
}

TEST_F(NetPrecisionTest, Float32IsTheSameBeforeAndAfter) {
  const auto net = NetIn(Caffe::GPU, NetParameter::FLOAT32, SkNet(1), TEST);
  net->Forward();
  const Doubles first = Values(*net->output_blobs()[0]);
  net->set_precision(NetParameter::BF16);
  net->Forward();
  EXPECT_NE(Values(*net->output_blobs()[0]), first);
  net->set_precision(NetParameter::FLOAT32);
  net->Forward();
  EXPECT_EQ(DeviceDataOf(net->output_blobs()[0]).format().type, DeviceType::kOwn);
  ExpectClose(Values(*net->output_blobs()[0]), first,
              ToleranceOf<float>(OpKind::kReduction, kChannels * 9), "output");
}

}  // namespace
}  // namespace test
}  // namespace caffe
