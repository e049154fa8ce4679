#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "caffe/net.hpp"
#include "caffe/net/schedule.hpp"
#include "captured_log.hpp"
#include "fill.hpp"
#include "net/net_fixture.hpp"
#include "tolerance.hpp"
#include "util/temporary_folder.hpp"

// Running a Net: ranges, new shapes, callbacks, debug lines, memory.

namespace caffe {
namespace {

using test::ExpectClose;
using test::Half;
using test::InputLayer;
using test::IpLayer;
using test::LossLayer;
using test::MakeNet;
using test::MessageOf;
using test::OpKind;
using test::ToleranceOf;
using test::Values;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string PowerLayer(const std::string& name, const std::string& bottom, double scale,
                       double shift) {
  return Str("layer { name: '", name, "' type: 'Power' bottom: '", bottom, "' top: '",
             name, "' power_param { scale: ", scale, " shift: ", shift, " } }\n");
}

// x -> a = 2 x -> b = a + 1 -> c = 3 b; layer 0 is the input.
const std::string kChain = InputLayer("x", {1, 2}) + PowerLayer("a", "x", 2, 0) +
                           PowerLayer("b", "a", 1, 1) + PowerLayer("c", "b", 3, 0);

void SetX(Net<double>* net, double value) {
  test::FillWith(net->input_blobs()[0], Half::kData, [&](int) { return value; });
}

double First(const Net<double>& net, const std::string& blob) {
  return net.blob_by_name(blob)->cpu_data()[0];
}

TEST(NetRunTest, RangesRunBothEnds) {
  const auto net = MakeNet<double>(kChain);
  SetX(net.get(), 5);
  net->ForwardTo(2);
  EXPECT_EQ(First(*net, "b"), 11);
  EXPECT_EQ(First(*net, "c"), 0);
  net->ForwardFrom(3);
  EXPECT_EQ(First(*net, "c"), 33);
  SetX(net.get(), 7);
  net->ForwardFromTo(2, 3);
  EXPECT_EQ(First(*net, "c"), 33) << "a was not run";
  net->ForwardFromTo(1, 1);
  EXPECT_EQ(First(*net, "a"), 14);
  EXPECT_EQ(First(*net, "b"), 11);
  EXPECT_THAT(MessageOf<ValueError>([&] { net->ForwardFromTo(-1, 2); }),
              HasSubstr("first layer has index 0"));
  EXPECT_THAT(MessageOf<ValueError>([&] { net->ForwardTo(4); }),
              HasSubstr("no such layer"));
  EXPECT_THROW(net->BackwardFrom(4), ValueError);
  EXPECT_THROW(net->BackwardTo(-1), ValueError);
}

TEST(NetRunTest, BackwardInTwoRangesIsBackward) {
  const std::string text = InputLayer("x", {3, 4}) + InputLayer("t", {3, 2}) +
                           IpLayer("ip1", "x", 5) + IpLayer("ip2", "ip1", 2) +
                           LossLayer("loss", "ip2", "t");
  std::vector<std::vector<double>> diffs;
  for (const bool halves : {false, true}) {
    const auto net = MakeNet<double>(text);
    for (int i = 0; i < 2; ++i) test::Fill(net->input_blobs()[i], i);
    net->Forward();
    net->ClearParamDiffs();
    if (halves) {
      net->BackwardTo(3);
      net->BackwardFrom(2);
    } else {
      net->Backward();
    }
    diffs.push_back(Values(*net->params()[0], Half::kDiff));
  }
  EXPECT_EQ(diffs[0], diffs[1]);
  EXPECT_NE(diffs[0], std::vector<double>(20, 0));
}

TEST(NetRunTest, ForwardReturnsOutputsAndLoss) {
  const auto net = MakeNet<double>(kChain);
  SetX(net.get(), 1);
  double loss = -1;
  const auto& outputs = net->Forward(&loss);
  ASSERT_EQ(outputs.size(), 1u);
  EXPECT_EQ(outputs[0]->cpu_data()[1], 9);
  EXPECT_EQ(loss, 0);
  EXPECT_EQ(&net->ForwardPrefilled(), &outputs);

  Blob<double> given({1, 2});
  test::FillWith(&given, Half::kData, [](int) { return 2; });
  EXPECT_EQ(net->Forward({&given})[0]->cpu_data()[0], 15);
  EXPECT_THROW(net->Forward({&given, &given}), ValueError);
}

TEST(NetRunTest, NewInputShapesReachEveryBlob) {
  const auto net = MakeNet<double>(kChain);
  net->input_blobs()[0]->Reshape({4, 3});
  net->Reshape();
  EXPECT_EQ(net->blob_by_name("c")->shape(), (std::vector<int>{4, 3}));
  // Forward alone does it as well.
  net->input_blobs()[0]->Reshape({5, 1});
  SetX(net.get(), 0);
  net->Forward();
  EXPECT_EQ(net->blob_by_name("c")->shape(), (std::vector<int>{5, 1}));
}

TEST(NetRunTest, ErrorsOfARunNameTheLayer) {
  const auto net =
      MakeNet<double>(InputLayer("x", {2, 3}) + IpLayer("classifier", "x", 2));
  net->input_blobs()[0]->Reshape({2, 4});
  EXPECT_THAT(MessageOf<ValueError>([&] { net->Reshape(); }),
              HasSubstr("layer 'classifier' (InnerProduct)"));
  EXPECT_THAT(MessageOf<ValueError>([&] { net->Forward(); }),
              HasSubstr("layer 'classifier' (InnerProduct)"));
}

/// Notes which layer it was called for.
class Notes : public Net<double>::Callback {
 public:
  Notes(std::string when, std::vector<std::string>* log)
      : when_(std::move(when)), log_(log) {}

 protected:
  void run(int layer) override { log_->push_back(when_ + std::to_string(layer)); }

 private:
  std::string when_;
  std::vector<std::string>* log_;
};

TEST(NetRunTest, CallbacksSurroundEveryLayer) {
  const auto net = MakeNet<double>(kChain);
  std::vector<std::string> log;
  Notes before("<f", &log), after("f>", &log), before_backward("<b", &log),
      after_backward("b>", &log);
  net->add_before_forward(&before);
  net->add_after_forward(&after);
  net->add_before_backward(&before_backward);
  net->add_after_backward(&after_backward);
  EXPECT_THAT(net->after_forward(), ElementsAre(&after));
  net->ForwardFromTo(1, 2);
  EXPECT_THAT(log, ElementsAre("<f1", "f>1", "<f2", "f>2"));
  log.clear();
  net->BackwardFromTo(3, 2);
  EXPECT_THAT(log, ElementsAre("<b3", "b>3", "<b2", "b>2"));
}

// With x = 1, w = 1/2, b = 0: y = 3/2, loss = 4 (3/2)² / (2 · 2), dy = (3/2) / 2.
TEST(NetRunTest, DebugInfoPrintsCaffesLines) {
  const std::string ip =
      "layer { name: 'ip' type: 'InnerProduct' bottom: 'x' top: 'y' inner_product_param {"
      " num_output: 2 weight_filler { value: 0.5 } } }";
  const auto net =
      MakeNet<double>("debug_info: true " + InputLayer("x", {2, 3}) +
                      InputLayer("t", {2, 2}) + ip + LossLayer("loss", "y", "t"));
  SetX(net.get(), 1);
  net->ClearParamDiffs();
  test::CapturedLog log;
  net->ForwardBackward();
  EXPECT_THAT(log.Texts("[Forward]"),
              ElementsAre("    [Forward] Layer x, top blob x data: 1",
                          "    [Forward] Layer t, top blob t data: 0",
                          "    [Forward] Layer ip, top blob y data: 1.5",
                          "    [Forward] Layer ip, param blob 0 data: 0.5",
                          "    [Forward] Layer ip, param blob 1 data: 0",
                          "    [Forward] Layer loss, top blob loss data: 2.25"));
  EXPECT_THAT(
      log.Texts("[Backward]"),
      ElementsAre("    [Backward] Layer loss, bottom blob y diff: 0.75",
                  "    [Backward] Layer ip, param blob 0 diff: 1.5",
                  "    [Backward] Layer ip, param blob 1 diff: 1.5",
                  "    [Backward] All net params (data, diff): L1 norm = (3, 12); "
                  "L2 norm = (1.22474, 4.24264)"));
}

TEST(NetRunTest, SetDebugInfoStartsAndEndsThem) {
  const auto net = MakeNet<double>(kChain);
  test::CapturedLog log;
  net->Forward();
  EXPECT_TRUE(log.Texts("[Forward]").empty());
  net->set_debug_info(true);
  net->Forward();
  EXPECT_EQ(log.Texts("[Forward]").size(), 4u);
  net->set_debug_info(false);
  net->Forward();
  EXPECT_EQ(log.Texts("[Forward]").size(), 4u);
}

TEST(NetRunTest, ATestNetHoldsNoDiffs) {
  const auto net = MakeNet<double>(
      InputLayer("x", {2, 3, 8, 8}) +
          "layer { name: 'conv' type: 'Convolution' bottom: 'x' top: 'conv' "
          "convolution_param {"
          " num_output: 4 kernel_size: 3 weight_filler { type: 'msra' } } }"
          "layer { name: 'relu' type: 'ReLU' bottom: 'conv' top: 'conv' }"
          "layer { name: 'pool' type: 'Pooling' bottom: 'conv' top: 'pool'"
          " pooling_param { pool: AVE global_pooling: true } }" +
          IpLayer("ip", "pool", 5) + IpLayer("other", "pool", 5) +
          "layer { name: 'prob' type: 'Softmax' bottom: 'ip' top: 'prob' }",
      TEST);
  net->Forward();
  std::set<const SyncedMemory*> memories;
  size_t bytes = 0;
  const auto check = [&](const std::string& name, const Blob<double>& blob) {
    EXPECT_EQ(blob.diff()->head(), SyncedMemory::UNINITIALIZED) << name;
    EXPECT_EQ(blob.diff()->allocated_bytes(), 0u) << name;
    if (memories.insert(blob.data().get()).second) bytes += blob.count() * sizeof(double);
  };
  for (size_t i = 0; i < net->blobs().size(); ++i)
    check(net->blob_names()[i], *net->blobs()[i]);
  for (const auto& blob : net->params()) check("parameter", *blob);
  EXPECT_EQ(net->MemoryBytes(), bytes) << "copies of a split count once";
}

// What a view shows after a run is what the net computed, and the reverse.
TEST(NetRunTest, PinnedBlobsAreSettled) {
  const auto net = MakeNet<float>(
      InputLayer("x", {1, 16, 6, 6}) +
          "layer { name: 'conv' type: 'Convolution' bottom: 'x' top: 'conv' "
          "convolution_param {"
          " num_output: 16 kernel_size: 3 pad: 1 weight_filler { type: 'msra' } } }"
          "layer { name: 'relu' type: 'ReLU' bottom: 'conv' top: 'relu' }",
      TEST);
  Blob<float>* conv = net->blob_by_name("conv").get();
  float* view = conv->mutable_cpu_data();
  conv->data()->Pin();
  test::Fill(net->input_blobs()[0], 1);
  net->Forward();
  EXPECT_EQ(conv->cpu_data(), view);
  std::vector<double> want(view, view + conv->count());
  EXPECT_NE(want, std::vector<double>(want.size(), 0));
  for (int i = 0; i < conv->count(); ++i) {
    view[i] = -view[i];
    want[i] = std::max(-want[i], 0.0);
  }
  net->ForwardFrom(2);
  EXPECT_EQ(Values(*net->blob_by_name("relu")), want);
  conv->data()->Unpin();
}

const std::string kNormalized =
    "force_backward: true " + InputLayer("x", {4, 8, 5, 5}) +
    InputLayer("t", {4, 8, 5, 5}) +
    "layer { name: 'bn' type: 'CuDNNBatchNorm' bottom: 'x' top: 'bn' }"
    "layer { name: 'relu' type: 'ReLU' bottom: 'bn' top: 'bn' }"
    "layer { name: 'out' type: 'Power' bottom: 'bn' top: 'out' power_param { scale: 2 } "
    "}" +
    LossLayer("loss", "out", "t");
constexpr int kBn = 2, kRelu = 3;

int CountNegative(const Net<double>& net) {
  int count = 0;
  for (double v : Values(*net.blob_by_name("bn"))) count += v < 0;
  return count;
}

std::vector<double> Gradients(Net<double>* net) {
  for (int i = 0; i < 2; ++i) test::Fill(net->input_blobs()[i], i);
  net->ClearParamDiffs();
  net->ForwardBackward();
  auto all = Values(*net->blob_by_name("x"), Half::kDiff);
  for (int i = 0; i < 2; ++i) {
    const auto diff = Values(*net->params()[i], Half::kDiff);
    all.insert(all.end(), diff.begin(), diff.end());
  }
  return all;
}

bool IsFused(Net<double>& net) {
  const Schedule<double>& schedule = net.schedule();
  for (int i = 0; i < schedule.size(); ++i) {
    if (schedule.step(i).layers == std::vector<int>{kBn, kRelu}) return true;
  }
  return false;
}

// Two layers in one pass over memory compute what the two compute.
TEST(FusedLayersTest, EqualsTheSeparateOnes) {
  const auto fused = MakeNet<double>(kNormalized),
             separate = MakeNet<double>(kNormalized);
  EXPECT_TRUE(IsFused(*fused));
  test::CapturedLog quiet;
  separate->set_debug_info(true);
  EXPECT_FALSE(IsFused(*separate));
  ExpectClose(Gradients(fused.get()), Gradients(separate.get()),
              ToleranceOf<double>(OpKind::kNormalization, 100), "gradients");
  EXPECT_EQ(Values(*fused->blob_by_name("out")), Values(*separate->blob_by_name("out")));
  EXPECT_TRUE(IsFused(*fused)) << "a whole run looks at nothing in between";
}

// Who stops between the two sees what Caffe shows there.
TEST(FusedLayersTest, ARangeThatEndsInBetweenSeparatesThem) {
  const auto net = MakeNet<double>(kNormalized), other = MakeNet<double>(kNormalized);
  const auto want = Gradients(other.get());
  test::Fill(net->input_blobs()[0], 0);
  net->ForwardTo(kBn);
  EXPECT_GT(CountNegative(*net), 0);
  net->ForwardFromTo(kRelu, kRelu);
  EXPECT_EQ(CountNegative(*net), 0);
  ExpectClose(Gradients(net.get()), want,
              ToleranceOf<double>(OpKind::kNormalization, 100), "gradients");

  // Even between forward and backward.
  const auto late = MakeNet<double>(kNormalized);
  for (int i = 0; i < 2; ++i) test::Fill(late->input_blobs()[i], i);
  late->ClearParamDiffs();
  late->Forward();
  late->BackwardTo(kRelu);
  late->BackwardFrom(kBn);
  auto got = Values(*late->blob_by_name("x"), Half::kDiff);
  for (int i = 0; i < 2; ++i) {
    const auto diff = Values(*late->params()[i], Half::kDiff);
    got.insert(got.end(), diff.begin(), diff.end());
  }
  ExpectClose(got, want, ToleranceOf<double>(OpKind::kNormalization, 100), "gradients");
}

TEST(FusedLayersTest, ACallbackSeparatesThem) {
  const auto net = MakeNet<double>(kNormalized);
  std::vector<std::string> log;
  Notes notes("", &log);
  net->add_after_forward(&notes);
  EXPECT_FALSE(IsFused(*net));
}

}  // namespace
}  // namespace caffe
