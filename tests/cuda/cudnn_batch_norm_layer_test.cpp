// CuDNNBatchNorm's device code, run by an emulation or on a GPU: built once with cuDNN's
// calls and once without.

#include "caffe/layers/cudnn_batch_norm_layer.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "gpu_mode.hpp"
#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

template <typename T>
class BatchNormDeviceTest : public GpuModeTest<T> {};
TYPED_TEST_SUITE(BatchNormDeviceTest, FloatAndDouble);

std::string Text(const std::string& parameters = "", const std::string& top = "y") {
  return "type: 'CuDNNBatchNorm' bottom: 'x' top: '" + top +
         "' cudnn_batch_norm_param { momentum: 0.75 " + parameters + " }";
}

constexpr double kMomentum = 0.75;
constexpr double kEps = 1e-5;

/// Gives the four blobs values that no default has. The variances are positive.
template <typename T>
void FillParameters(LayerRun<T>* run) {
  run->SetUp();
  auto& blobs = run->layer->blobs();
  Fill(blobs[0].get(), 11, 0.5, 2);
  Fill(blobs[1].get(), 12);
  Fill(blobs[2].get(), 13);
  Fill(blobs[3].get(), 14, 0.5, 2);
}

/// Forward and backward of one channel at a time, in double.
struct Reference {
  Reference(const std::vector<int>& shape, Doubles x, Doubles dy,
            const std::vector<Doubles>& blobs, bool use_running, bool relu)
      : x(x),
        y(x.size()),
        dx(x.size()),
        dscale(shape[1]),
        dbias(shape[1]),
        running_mean(blobs[2]),
        running_variance(blobs[3]) {
    const int channels = shape[1];
    const int spatial = static_cast<int>(x.size()) / shape[0] / channels;
    for (int c = 0; c < channels; ++c) {
      std::vector<int> indices;
      for (int n = 0; n < shape[0]; ++n) {
        for (int s = 0; s < spatial; ++s) {
          indices.push_back((n * channels + c) * spatial + s);
        }
      }
      const double count = static_cast<double>(indices.size());
      double mean = 0, variance = 0;
      for (const int i : indices) mean += x[i] / count;
      for (const int i : indices) variance += (x[i] - mean) * (x[i] - mean) / count;
      if (use_running) {
        mean = blobs[2][c];
        variance = blobs[3][c];
      } else {
        const double unbiased = count > 1 ? variance * count / (count - 1) : variance;
        running_mean[c] = kMomentum * running_mean[c] + (1 - kMomentum) * mean;
        running_variance[c] =
            kMomentum * running_variance[c] + (1 - kMomentum) * unbiased;
      }
      const double deviation = std::sqrt(variance + kEps);
      const double scale = blobs[0][c];
      for (const int i : indices) {
        y[i] = scale * (x[i] - mean) / deviation + blobs[1][c];
        if (relu && y[i] < 0) y[i] = dy[i] = 0;
        dbias[c] += dy[i];
        dscale[c] += dy[i] * (x[i] - mean) / deviation;
      }
      // The chain rule through mean and variance, term by term.
      double dvariance = 0, dmean = 0;
      for (const int i : indices) {
        const double dunit = dy[i] * scale;
        dvariance -= dunit * (x[i] - mean) / (2 * deviation * deviation * deviation);
        dmean -= dunit / deviation;
      }
      for (const int i : indices) {
        dx[i] = dy[i] * scale / deviation;
        if (!use_running) dx[i] += dvariance * 2 * (x[i] - mean) / count + dmean / count;
      }
    }
  }

  Doubles x, y, dx, dscale, dbias, running_mean, running_variance;
};

/// Runs the layer and the reference and compares everything.
template <typename T>
void ExpectMatchesReference(LayerRun<T>* run, bool use_running, bool relu = false) {
  const std::vector<int> shape = run->bottom[0]->shape();
  const int terms = run->bottom[0]->count() / shape[1];
  std::vector<Doubles> before;
  for (const auto& blob : run->layer->blobs()) before.push_back(Values(*blob));
  const Doubles x = run->Bottom(0);
  run->layer->Forward(run->bottom, run->top);
  const Doubles y = run->Top();
  if (run->bottom[0] != run->top[0]) FillNaN(run->bottom[0], Half::kDiff);
  FillDiff(run->top[0], 100);
  const Doubles dy = run->TopDiff();
  for (auto& blob : run->layer->blobs()) {
    FillWith(blob.get(), Half::kDiff, [](int) { return 0; });
  }
  run->layer->Backward(run->top, {true}, run->bottom);

  const Reference want(shape, x, dy, before, use_running, relu);
  const Tolerance tolerance = ToleranceOf<T>(OpKind::kNormalization, terms);
  const auto& blobs = run->layer->blobs();
  ExpectClose(y, want.y, tolerance, "top");
  ExpectClose(Values(*blobs[2]), want.running_mean, tolerance, "running mean");
  ExpectClose(Values(*blobs[3]), want.running_variance, tolerance, "running variance");
  ExpectClose(run->BottomDiff(0), want.dx, tolerance, "dx");
  ExpectClose(Values(*blobs[0], Half::kDiff), want.dscale, tolerance, "dscale");
  ExpectClose(Values(*blobs[1], Half::kDiff), want.dbias, tolerance, "dbias");
}

// Not two values per channel: their dx all but cancels, whatever the arithmetic.
const Shapes& InputShapes() {
  static const Shapes shapes = {
      {4, 3, 1, 1}, {7, 5}, {3, 4, 7, 7}, {2, 2, 23, 29}, {2, 3, 2, 3, 4}};
  return shapes;
}

TYPED_TEST(BatchNormDeviceTest, Training) {
  for (const auto& shape : InputShapes()) {
    SCOPED_TRACE(ShapeText(shape));
    LayerRun<TypeParam> run(Text(), {shape});
    FillParameters(&run);
    ExpectMatchesReference(&run, false);
  }
}

TYPED_TEST(BatchNormDeviceTest, TrainingOnOneValuePerChannel) {
  LayerRun<TypeParam> run(Text(), {{1, 3, 1, 1}});
  FillParameters(&run);
  ExpectMatchesReference(&run, false);
}

TYPED_TEST(BatchNormDeviceTest, Frozen) {
  for (const auto& shape : InputShapes()) {
    SCOPED_TRACE(ShapeText(shape));
    LayerRun<TypeParam> run(Text("frozen: true"), {shape});
    FillParameters(&run);
    ExpectMatchesReference(&run, true);
  }
}

TYPED_TEST(BatchNormDeviceTest, TestPhase) {
  LayerRun<TypeParam> run(Text(), {{2, 3, 5, 4}}, 1, TEST);
  FillParameters(&run);
  ExpectMatchesReference(&run, true);
}

TYPED_TEST(BatchNormDeviceTest, InPlaceRecoversTheInput) {
  LayerRun<TypeParam> run(Text("", "x"), {{3, 4, 7, 7}});
  run.InPlace();
  run.layer->Prepare({.top_preserved = {true}});
  FillParameters(&run);
  ExpectMatchesReference(&run, false);
}

TYPED_TEST(BatchNormDeviceTest, InPlaceKeepsTheInputOfAVanishingScale) {
  LayerRun<TypeParam> run(Text("", "x"), {{3, 4, 7, 7}});
  run.InPlace();
  run.layer->Prepare({.top_preserved = {true}});
  FillParameters(&run);
  run.layer->blobs()[0]->mutable_cpu_data()[2] = 0;
  ExpectMatchesReference(&run, false);
}

TYPED_TEST(BatchNormDeviceTest, InPlaceUnderALayerThatOverwritesItsTop) {
  LayerRun<TypeParam> run(Text("", "x"), {{3, 4, 7, 7}});
  run.InPlace();
  run.layer->Prepare({.top_preserved = {false}});
  FillParameters(&run);
  ExpectMatchesReference(&run, false);
}

TYPED_TEST(BatchNormDeviceTest, FrozenInPlace) {
  LayerRun<TypeParam> run(Text("frozen: true", "x"), {{3, 4, 7, 7}});
  run.InPlace();
  run.layer->Prepare({.top_preserved = {true}});
  FillParameters(&run);
  ExpectMatchesReference(&run, true);
}

TYPED_TEST(BatchNormDeviceTest, DoesTheWorkOfTheReluBehindIt) {
  for (const char* parameters : {"", "frozen: true"}) {
    SCOPED_TRACE(parameters);
    LayerRun<TypeParam> run(Text(parameters), {{3, 4, 7, 7}});
    FillParameters(&run);
    dynamic_cast<CuDNNBatchNormLayer<TypeParam>&>(*run.layer).set_relu(true);
    ExpectMatchesReference(&run, *parameters != 0, true);
    int zeros = 0;
    for (const double value : run.Top()) zeros += value == 0;
    EXPECT_GT(zeros, 0);
  }
}

TYPED_TEST(BatchNormDeviceTest, RunningValuesAreReadAgainEveryTime) {
  LayerRun<TypeParam> run(Text("frozen: true"), {{2, 3, 5, 4}});
  for (int round = 0; round < 2; ++round) {
    FillParameters(&run);
    run.layer->blobs()[0]->mutable_cpu_data()[0] = 1 + round;
    run.layer->blobs()[3]->mutable_cpu_data()[1] = 3 + round;
    ExpectMatchesReference(&run, true);
  }
}

TYPED_TEST(BatchNormDeviceTest, SkipsWhatIsNotAskedFor) {
  for (const int learned : {0, 1}) {
    LayerRun<TypeParam> run(Text(), {{2, 3, 5, 4}});
    FillParameters(&run);
    run.layer->set_param_propagate_down(1 - learned, false);
    run.Forward();
    run.Backward({false});
    for (const double diff : run.BottomDiff(0)) EXPECT_TRUE(std::isnan(diff));
    for (const double diff : Values(*run.layer->blobs()[1 - learned], Half::kDiff)) {
      EXPECT_EQ(diff, 0);
    }
    for (const double diff : Values(*run.layer->blobs()[learned], Half::kDiff)) {
      EXPECT_NE(diff, 0);
    }
  }
}

TYPED_TEST(BatchNormDeviceTest, Gradient) {
  LayerRun<double> run(Text(), {{3, 2, 2, 2}});
  FillParameters(&run);
  GradientChecker checker;
  checker.CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
  EXPECT_GT(checker.compared(), 0);
}

}  // namespace
}  // namespace test
}  // namespace caffe
