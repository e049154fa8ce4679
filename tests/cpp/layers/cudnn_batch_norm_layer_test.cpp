#include "caffe/layers/cudnn_batch_norm_layer.hpp"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "caffe/net.hpp"
#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

// Momentum 0.75 is exact in float.
std::string BatchNorm(const std::string& param = "") {
  return "name: 'bn' type: 'CuDNNBatchNorm' cudnn_batch_norm_param { momentum: 0.75 "
         "scale_filler { type: 'uniform' min: 0.5 max: 2 } "
         "bias_filler { type: 'uniform' min: -1 max: 1 } " +
         param + " }";
}

constexpr double kEps = 1e-5;

// The layer by its definition, for (N, C, S) values.
struct Reference {
  Reference(const std::vector<int>& shape, const Doubles& values)
      : channels(shape[1]), x(values), mean(channels, 0), variance(channels, 0) {
    spatial = 1;
    for (std::size_t i = 2; i < shape.size(); ++i) spatial *= shape[i];
    per_channel = static_cast<double>(x.size()) / channels;
    for (std::size_t i = 0; i < x.size(); ++i) mean[Channel(i)] += x[i] / per_channel;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double d = x[i] - mean[Channel(i)];
      variance[Channel(i)] += d * d / per_channel;
    }
  }
  int Channel(std::size_t i) const { return static_cast<int>(i / spatial % channels); }
  double Unbiased(int c) const { return variance[c] * per_channel / (per_channel - 1); }

  Doubles Normalized(double eps = kEps) const {
    Doubles result(x);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const int c = Channel(i);
      result[i] = (x[i] - mean[c]) / std::sqrt(variance[c] + eps);
    }
    return result;
  }
  Doubles Output(const Doubles& scale, const Doubles& bias, double eps = kEps) const {
    Doubles y = Normalized(eps);
    for (std::size_t i = 0; i < y.size(); ++i) {
      y[i] = scale[Channel(i)] * y[i] + bias[Channel(i)];
    }
    return y;
  }
  // Gradients of batch normalisation (Ioffe and Szegedy, section 3).
  void Backward(const Doubles& scale, const Doubles& dy, Doubles* dscale, Doubles* dbias,
                Doubles* dx) const {
    const Doubles normalized = Normalized();
    dscale->assign(channels, 0);
    dbias->assign(channels, 0);
    for (std::size_t i = 0; i < dy.size(); ++i) {
      (*dscale)[Channel(i)] += dy[i] * normalized[i];
      (*dbias)[Channel(i)] += dy[i];
    }
    dx->resize(dy.size());
    for (std::size_t i = 0; i < dy.size(); ++i) {
      const int c = Channel(i);
      (*dx)[i] = scale[c] / std::sqrt(variance[c] + kEps) *
                 (dy[i] - (*dbias)[c] / per_channel -
                  normalized[i] * (*dscale)[c] / per_channel);
    }
  }

  int channels, spatial;
  double per_channel;
  Doubles x, mean, variance;
};

template <typename T>
Doubles BlobOf(const LayerRun<T>& run, int blob, Half half = Half::kData) {
  return Values(*run.layer->blobs()[blob], half);
}

template <typename T>
void FillStatistics(LayerRun<T>* run) {
  run->SetUp();
  Fill(run->layer->blobs()[2].get(), 31, -0.5, 0.5);
  Fill(run->layer->blobs()[3].get(), 32, 0.5, 2);
}

const Shapes kInputs = {
    {4, 3, 5, 6}, {8, 5}, {1, 2, 300}, {3, 16, 2, 3, 2}, {2, 2, 1, 1}};

template <typename T>
class CuDNNBatchNormLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(CuDNNBatchNormLayerTest, Types);

TYPED_TEST(CuDNNBatchNormLayerTest, Training) {
  using T = TypeParam;
  for (const auto& shape : kInputs) {
    SCOPED_TRACE(ShapeText(shape));
    LayerRun<T> run(BatchNorm(), {shape});
    FillStatistics(&run);
    const Doubles old_mean = BlobOf(run, 2), old_variance = BlobOf(run, 3);
    run.Forward();
    const Reference want(shape, run.Bottom(0));
    const Doubles scale = BlobOf(run, 0), bias = BlobOf(run, 1);
    const Tolerance tolerance =
        ToleranceOf<T>(OpKind::kNormalization, static_cast<int>(want.per_channel));
    ExpectClose(run.Top(), want.Output(scale, bias), tolerance, "top");
    Doubles running_mean, running_variance;
    for (int c = 0; c < want.channels; ++c) {
      running_mean.push_back(0.75 * old_mean[c] + 0.25 * want.mean[c]);
      running_variance.push_back(0.75 * old_variance[c] + 0.25 * want.Unbiased(c));
    }
    ExpectClose(BlobOf(run, 2), running_mean, tolerance, "running mean");
    ExpectClose(BlobOf(run, 3), running_variance, tolerance, "running variance");

    if (want.per_channel < 3) continue;  // dx is 0 but for rounding
    run.Backward();
    Doubles dscale, dbias, dx;
    want.Backward(scale, run.TopDiff(), &dscale, &dbias, &dx);
    ExpectClose(run.BottomDiff(0), dx, tolerance, "dx");
    ExpectClose(BlobOf(run, 0, Half::kDiff), dscale, tolerance, "dscale");
    ExpectClose(BlobOf(run, 1, Half::kDiff), dbias, tolerance, "dbias");
    for (int i : {2, 3}) EXPECT_EQ(run.layer->blobs()[i]->asum_diff(), 0) << "statistics";
  }
}

// TEST and frozen compute the same: the running values, which stay as they are.
TYPED_TEST(CuDNNBatchNormLayerTest, RunningValues) {
  using T = TypeParam;
  for (const bool frozen : {false, true}) {
    SCOPED_TRACE(frozen ? "frozen" : "TEST");
    LayerRun<T> run(BatchNorm(frozen ? "frozen: true" : ""), {{4, 3, 5, 6}}, 1,
                    frozen ? TRAIN : TEST);
    FillStatistics(&run);
    const Doubles mean = BlobOf(run, 2), variance = BlobOf(run, 3);
    run.Forward();
    Reference want({4, 3, 5, 6}, run.Bottom(0));
    want.mean = mean;
    want.variance = variance;
    const Doubles scale = BlobOf(run, 0);
    const Tolerance tolerance = ToleranceOf<T>(OpKind::kNormalization, 120);
    ExpectClose(run.Top(), want.Output(scale, BlobOf(run, 1)), tolerance, "top");
    EXPECT_EQ(BlobOf(run, 2), mean);
    EXPECT_EQ(BlobOf(run, 3), variance);
    run.Backward();
    Doubles dx = run.TopDiff();
    for (std::size_t i = 0; i < dx.size(); ++i) {
      const int c = want.Channel(i);
      dx[i] *= scale[c] / std::sqrt(variance[c] + kEps);
    }
    ExpectClose(run.BottomDiff(0), dx, tolerance, "dx");
  }
}

// The release cached the frozen scale on the first pass.
TYPED_TEST(CuDNNBatchNormLayerTest, FrozenSeesReloadedWeights) {
  using T = TypeParam;
  LayerRun<T> run(BatchNorm("frozen: true"), {{2, 3, 4, 4}});
  run.Forward();
  for (int i = 0; i < 4; ++i) Fill(run.layer->blobs()[i].get(), 40 + i, 0.5, 2);
  run.Forward();
  Reference want({2, 3, 4, 4}, run.Bottom(0));
  want.mean = BlobOf(run, 2);
  want.variance = BlobOf(run, 3);
  ExpectClose(run.Top(), want.Output(BlobOf(run, 0), BlobOf(run, 1)),
              ToleranceOf<T>(OpKind::kNormalization), "top");
}

TYPED_TEST(CuDNNBatchNormLayerTest, EpsIsNeverBelowCuDNNs) {
  using T = TypeParam;
  for (const auto& [text, eps] : std::vector<std::pair<std::string, double>>{
           {"eps: 1e-9", 1e-5}, {"eps: 0.5", 0.5}, {"", 1e-5}}) {
    LayerRun<T> run(BatchNorm(text), {{4, 2, 3, 3}});
    // So small that eps decides.
    Fill(run.bottom[0], 50, -1e-3, 1e-3);
    run.Forward();
    const Reference want({4, 2, 3, 3}, run.Bottom(0));
    ExpectClose(run.Top(), want.Output(BlobOf(run, 0), BlobOf(run, 1), eps),
                ToleranceOf<T>(OpKind::kNormalization, 36), text);
  }
}

TEST(CuDNNBatchNormParamTest, Defaults) {
  LayerRun<double> run("name: 'bn' type: 'CuDNNBatchNorm'", {{2, 3, 4, 4}});
  run.SetUp();
  ASSERT_EQ(run.layer->blobs().size(), 4u);
  const double starts[] = {1, 0, 0, 0};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(run.layer->blobs()[i]->shape(), std::vector<int>({1, 3, 1, 1}));
    EXPECT_EQ(BlobOf(run, i), Doubles(3, starts[i])) << i;
  }
  const CuDNNBatchNormParameter defaults;
  EXPECT_FALSE(defaults.frozen());
  EXPECT_EQ(defaults.momentum(), 0.999f);
  EXPECT_EQ(defaults.eps(), 1e-5f);
  run.Forward();
  const Reference want({2, 3, 4, 4}, run.Bottom(0));
  Doubles running;
  for (int c = 0; c < 3; ++c) running.push_back((1 - double{0.999f}) * want.mean[c]);
  ExpectClose(BlobOf(run, 2), running, ToleranceOf<double>(OpKind::kNormalization, 32),
              "running mean");
}

TEST(CuDNNBatchNormParamTest, FrozenStartsWithVarianceOne) {
  LayerRun<double> run(
      "name: 'bn' type: 'CuDNNBatchNorm' cudnn_batch_norm_param { frozen: true }",
      {{2, 3, 4, 4}});
  run.SetUp();
  EXPECT_EQ(BlobOf(run, 2), Doubles(3, 0));
  EXPECT_EQ(BlobOf(run, 3), Doubles(3, 1));
}

TEST(CuDNNBatchNormParamTest, StatisticsNeverLearn) {
  const std::string given =
      " param { lr_mult: 2 decay_mult: 3 } param { lr_mult: 4 } param { lr_mult: 5 }";
  for (const bool frozen : {false, true}) {
    LayerRun<float> run(BatchNorm(frozen ? "frozen: true" : "") + given, {{2, 3, 4, 4}});
    run.SetUp();
    const LayerParameter& param = run.layer->layer_param();
    ASSERT_EQ(param.param_size(), 4);
    const float lr[] = {2, 4, 0, 0}, decay[] = {3, 1, 0, 0};
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(param.param(i).lr_mult(), frozen ? 0 : lr[i]) << i;
      EXPECT_EQ(param.param(i).decay_mult(), frozen ? 0 : decay[i]) << i;
    }
  }
}

TEST(CuDNNBatchNormGradientTest, TrainingFrozenAndTest) {
  for (const auto& shape : Shapes{{3, 2, 2, 3}, {5, 3}}) {
    LayerRun<double> run(BatchNorm(), {shape});
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
  }
  for (const bool frozen : {false, true}) {
    LayerRun<double> run(BatchNorm(frozen ? "frozen: true" : ""), {{3, 2, 2, 3}}, 1,
                         frozen ? TRAIN : TEST);
    run.SetUp();
    Fill(run.layer->blobs()[3].get(), 1, 0.5, 2);
    // Of the running values there is no gradient: only scale, bias and the input.
    run.Forward();
    run.Backward();
    const Doubles dx = run.BottomDiff(0), dy = run.TopDiff();
    const Doubles analytic[] = {BlobOf(run, 0, Half::kDiff), BlobOf(run, 1, Half::kDiff),
                                dx};
    Blob<double>* blobs[] = {run.layer->blobs()[0].get(), run.layer->blobs()[1].get(),
                             run.bottom[0]};
    const GradientTolerance table;
    for (int b = 0; b < 3; ++b) {
      for (int i = 0; i < blobs[b]->count(); ++i) {
        const auto objective = [&](double step) {
          blobs[b]->mutable_cpu_data()[i] += step;
          run.layer->Forward(run.bottom, run.top);
          blobs[b]->mutable_cpu_data()[i] -= step;
          double sum = 0;
          for (std::size_t j = 0; j < dy.size(); ++j)
            sum += dy[j] * run.top[0]->cpu_data()[j];
          return sum;
        };
        const double estimate =
            (objective(table.step) - objective(-table.step)) / (2 * table.step);
        EXPECT_NEAR(analytic[b][i], estimate,
                    table.threshold * std::max(1.0, std::fabs(estimate)))
            << "blob " << b << " element " << i;
      }
    }
  }
}

// In place, in both modes of keeping what backward needs, and with channels whose
// scale of 0 (or nearly) makes the input unrecoverable from the output.
template <typename T>
void ExpectInPlaceAgrees(bool preserved, std::vector<double> scale, OpKind kind) {
  SCOPED_TRACE(Str("top preserved: ", preserved, ", first scale: ", scale[0]));
  const std::vector<int> shape = {4, static_cast<int>(scale.size()), 5, 6};
  LayerRun<T> apart(BatchNorm(), {shape}), in_place(BatchNorm(), {shape});
  in_place.InPlace();
  in_place.layer->Prepare({.top_preserved = {preserved}});
  for (LayerRun<T>* run : {&apart, &in_place}) {
    run->SetUp();
    FillWith(run->layer->blobs()[0].get(), Half::kData, [&](int i) { return scale[i]; });
    Fill(run->layer->blobs()[1].get(), 60);
    run->layer->Forward(run->bottom, run->top);
  }
  ExpectClose(in_place.Top(), apart.Top(), ToleranceOf<T>(OpKind::kCopy), "top");
  // What a later in-place layer does to the top.
  if (!preserved) FillNaN(in_place.top[0]);
  for (LayerRun<T>* run : {&apart, &in_place}) {
    if (run == &apart) FillNaN(run->bottom[0], Half::kDiff);
    FillDiff(run->top[0], 61);
    for (auto& blob : run->layer->blobs())
      FillWith(blob.get(), Half::kDiff, [](int) { return 0; });
    run->layer->Backward(run->top, {true}, run->bottom);
  }
  const Tolerance tolerance = ToleranceOf<T>(kind, 120);
  ExpectClose(in_place.BottomDiff(0), apart.BottomDiff(0), tolerance, "dx");
  for (int i : {0, 1}) {
    ExpectClose(BlobOf(in_place, i, Half::kDiff), BlobOf(apart, i, Half::kDiff),
                tolerance, Str("parameter ", i));
  }
}

TYPED_TEST(CuDNNBatchNormLayerTest, InPlace) {
  for (const bool preserved : {false, true}) {
    const OpKind kind = preserved ? OpKind::kNormalization : OpKind::kCopy;
    ExpectInPlaceAgrees<TypeParam>(preserved, {0.5, 2, -1.5}, kind);
    ExpectInPlaceAgrees<TypeParam>(preserved, {0, 2, -1.5}, kind);
    ExpectInPlaceAgrees<TypeParam>(preserved, {1e-30, 2, 0}, kind);
  }
}

TEST(CuDNNBatchNormMemoryTest, NoSecondCopyOfAnInputThatCanBeRecovered) {
  for (const bool preserved : {false, true}) {
    const std::vector<int> shape = {2, 32, 64, 64};
    LayerRun<float> run(BatchNorm(), {shape});
    run.InPlace();
    run.layer->Prepare({.top_preserved = {preserved}});
    run.SetUp();
    run.layer->Forward(run.bottom, run.top);
    // Backward reads the top only if it was promised to stay.
    FillNaN(run.top[0]);
    FillDiff(run.top[0], 70);
    run.layer->Backward(run.top, {true}, run.bottom);
    EXPECT_EQ(std::isnan(run.bottom[0]->asum_diff()), preserved);
  }
}

TEST(CuDNNBatchNormPackedTest, MatchesPlain) {
  for (const int block : {8, 16}) {
    PackedCase options;
    options.kind = OpKind::kNormalization;
    options.terms = 84;
    ExpectPackedMatchesPlain(BatchNorm(), {{2, 32, 7, 6}}, options, block);
    ExpectPackedMatchesPlain(BatchNorm("frozen: true"), {{2, 32, 7, 6}}, options, block);
  }
}

// Means far from 0: the variance must not come from a difference of large numbers.
TEST(CuDNNBatchNormPrecisionTest, ALargeMean) {
  LayerRun<float> run(BatchNorm(), {{4, 2, 16, 16}});
  Fill(run.bottom[0], 80, 1000, 1001);
  run.Forward();
  const Reference want({4, 2, 16, 16}, run.Bottom(0));
  Doubles running;
  for (int c = 0; c < 2; ++c) running.push_back(0.25 * want.Unbiased(c));
  ExpectClose(BlobOf(run, 3), running, ToleranceOf<float>(OpKind::kNormalization, 1024),
              "running variance");
}

TEST(CuDNNBatchNormShapeTest, OneValuePerChannelHasNoVariance) {
  LayerRun<double> run(BatchNorm(), {{1, 3, 1, 1}});
  // The deviation is that of eps alone.
  Fill(run.bottom[0], 85, -1e-2, 1e-2);
  run.Forward();
  ExpectClose(run.Top(), BlobOf(run, 1), ToleranceOf<double>(OpKind::kNormalization),
              "bias");
  EXPECT_EQ(BlobOf(run, 3), Doubles(3, 0));
  run.Backward();
  // dx = scale / std (dy - mean of dy), which is 0: what rounding leaves of the first.
  Doubles first = run.TopDiff();
  for (int c = 0; c < 3; ++c) first[c] *= BlobOf(run, 0)[c] / std::sqrt(kEps);
  Doubles sum = run.BottomDiff(0);
  for (int c = 0; c < 3; ++c) sum[c] += first[c];
  ExpectClose(sum, first, ToleranceOf<double>(OpKind::kReduction, 3), "dx");
}

TEST(CuDNNBatchNormShapeTest, FollowsTheShapeOfItsInput) {
  LayerRun<float> run(BatchNorm(), {{4, 3, 5, 6}});
  run.InPlace();
  run.SetUp();
  run.Backward();  // before any Forward: nothing to go by, and nothing breaks
  run.layer->Forward(run.bottom, run.top);
  for (const std::vector<int>& shape : Shapes{{1, 3, 2, 2}, {8, 3, 9, 9}, {0, 3, 4, 4}}) {
    run.bottom[0]->Reshape(shape);
    run.layer->Reshape(run.bottom, run.top);
    run.Backward();
    Fill(run.bottom[0], 90);
    run.layer->Forward(run.bottom, run.top);
    for (double value : run.Top()) EXPECT_TRUE(std::isfinite(value));
  }
}

TEST(CuDNNBatchNormErrorTest, BadInput) {
  ExpectLayerError(BatchNorm(), {{5}}, 1, {"(5,)", "(N, C, ...)"});
  ExpectLayerError(
      "name: 'bn' type: 'CuDNNBatchNorm' cudnn_batch_norm_param { momentum: 1.5 }",
      {{2, 3, 4, 4}}, 1, {"momentum is 1.5"});
  ExpectLayerError(BatchNorm(), {{2, 3, 4, 4}, {2, 3, 4, 4}}, 1, {"expected 1"});
  LayerRun<float> run(BatchNorm(), {{2, 3, 4, 4}});
  run.Forward();
  run.bottom[0]->Reshape({2, 4, 4, 4});
  const std::string message = ErrorOfAction([&] { run.Forward(); });
  EXPECT_NE(message.find("(2, 4, 4, 4), expected 3 channels"), std::string::npos)
      << message;
  LayerParameter param;
  run.layer->ToProto(&param);
  param.mutable_blobs()->RemoveLast();
  Blob<float> bottom(std::vector<int>{2, 3, 4, 4}), top;
  EXPECT_NE(ErrorOfAction([&] {
              LayerRegistry<float>::CreateLayer(param)->SetUp({&bottom}, {&top});
            }).find("3 weight blob"),
            std::string::npos);
}

// A net with two units, whose ReLUs are absorbed when they are in place.
template <typename T>
std::unique_ptr<Net<T>> ReluNet(bool in_place, Phase phase = TRAIN) {
  const std::string relu = in_place ? "bn" : "relu";
  const std::string text =
      "layer { name: 'data' type: 'Input' top: 'data' input_param { shape { dim: 3 dim: "
      "4 dim: 6 "
      "dim: 5 } } }"
      "layer { name: 'conv' type: 'Convolution' bottom: 'data' top: 'conv' "
      "convolution_param { "
      "num_output: 16 kernel_size: 3 pad: 1 } }" +
      ("layer { " + BatchNorm() + " bottom: 'conv' top: 'bn' }") +
      "layer { name: 'relu' type: 'ReLU' bottom: 'bn' top: '" + relu +
      "' }"
      "layer { name: 'conv2' type: 'Convolution' bottom: '" +
      relu +
      "' top: 'conv2' "
      "convolution_param { num_output: 3 kernel_size: 3 } }"
      "layer { name: 'loss' type: 'Reduction' bottom: 'conv2' top: 'loss' loss_weight: 1 "
      "reduction_param { operation: SUMSQ } }";
  NetParameter param;
  if (!google::protobuf::TextFormat::ParseFromString(text, &param)) {
    throw ValueError("a test has a wrong net text: " + text);
  }
  param.set_force_backward(true);
  param.mutable_state()->set_phase(phase);
  auto net = std::make_unique<Net<T>>(param);
  for (std::size_t i = 0; i < net->params().size(); ++i) {
    const bool variance = i == 5;  // conv: 0, 1; scale, bias, mean, variance: 2 to 5
    Fill(net->params()[i].get(), 200 + i, variance ? 0.5 : -0.7, variance ? 2 : 0.7);
  }
  Fill(net->blob_by_name("data").get(), 300);
  return net;
}

TYPED_TEST(CuDNNBatchNormLayerTest, AnAbsorbedReluChangesNothing) {
  using T = TypeParam;
  for (const Phase phase : {TRAIN, TEST}) {
    SCOPED_TRACE(Phase_Name(phase));
    const auto absorbed = ReluNet<T>(true, phase), apart = ReluNet<T>(false, phase);
    const Tolerance tolerance = ToleranceOf<T>(OpKind::kNormalization, 16 * 9);
    for (int iteration = 0; iteration < 2; ++iteration) {
      for (Net<T>* net : {absorbed.get(), apart.get()}) {
        net->ClearParamDiffs();
        net->ForwardBackward();
      }
      ExpectClose(Values(*absorbed->blob_by_name("loss")),
                  Values(*apart->blob_by_name("loss")), tolerance, "loss");
      for (std::size_t i = 0; i < absorbed->params().size(); ++i) {
        ExpectClose(Values(*absorbed->params()[i]), Values(*apart->params()[i]),
                    tolerance, Str("parameter ", i));
        if (i == 4 || i == 5) continue;  // statistics have no gradient
        // A bias before batch norm has no effect: its gradient is rounding.
        if (i == 1 && phase == TRAIN) continue;
        ExpectClose(Values(*absorbed->params()[i], Half::kDiff),
                    Values(*apart->params()[i], Half::kDiff), tolerance,
                    Str("diff of parameter ", i));
      }
      ExpectClose(Values(*absorbed->blob_by_name("data"), Half::kDiff),
                  Values(*apart->blob_by_name("data"), Half::kDiff), tolerance,
                  "diff of data");
    }
    ExpectClose(Values(*absorbed->blob_by_name("bn")),
                Values(*apart->blob_by_name("relu")), tolerance, "activations");
  }
}

// A run that has diverged must show it, absorbed ReLU or not.
TEST(CuDNNBatchNormAbsorbTest, NaNIsNotHidden) {
  for (const bool in_place : {false, true}) {
    const auto net = ReluNet<float>(in_place);
    net->blob_by_name("data")->mutable_cpu_data()[0] =
        std::numeric_limits<float>::quiet_NaN();
    float loss = 0;
    net->Forward(&loss);
    EXPECT_TRUE(std::isnan(loss)) << (in_place ? "in place" : "apart");
  }
}

}  // namespace
}  // namespace test
}  // namespace caffe
