// Device code of layers where it goes other ways than the tests in tests/cpp/layers lead:
// long sums, long rows, long lists, and what must be equal on host and device.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gpu_mode.hpp"
#include "gradient_checker.hpp"
#include "layouts.hpp"

namespace caffe {
namespace test {
namespace {

template <typename T>
class PointwiseDeviceTest : public GpuModeTest<T> {};
TYPED_TEST_SUITE(PointwiseDeviceTest, FloatAndDouble);

// Sums that are split among blocks: few coefficients with many terms, one coefficient,
// and side by side.
TYPED_TEST(PointwiseDeviceTest, GradientsOfFewCoefficients) {
  for (const std::vector<int>& shape :
       {std::vector<int>{3, 2, 67, 71}, {1, 1, 150, 131}, {1500, 3}, {2, 40, 31, 33}}) {
    for (const bool channels_last : {false, true}) {
      SCOPED_TRACE(ShapeText(shape) + (channels_last ? " channels last" : ""));
      LayerRun<TypeParam> run(
          "type: 'Scale' scale_param { bias_term: true filler { value: 2 } }", {shape});
      run.SetUp();
      if (channels_last) PutChannelsLast(run.bottom[0], Half::kData);
      run.layer->Forward(run.bottom, run.top);
      FillDiff(run.top[0], 100);
      const Doubles x = run.Bottom(0), dy = run.TopDiff();
      if (channels_last) PutChannelsLast(run.top[0], Half::kDiff);
      const double before = 0.5;
      for (auto& blob : run.layer->blobs()) {
        FillWith(blob.get(), Half::kDiff, [=](int) { return before; });
      }
      run.layer->Backward(run.top, {true}, run.bottom);
      const int channels = shape[1], spatial = run.bottom[0]->count(2);
      Doubles da(channels, before), db(channels, before);
      for (std::size_t i = 0; i < x.size(); ++i) {
        da[i / spatial % channels] += dy[i] * x[i];
        db[i / spatial % channels] += dy[i];
      }
      const Tolerance sum =
          ToleranceOf<TypeParam>(OpKind::kReduction, x.size() / channels);
      ExpectClose(Values(*run.layer->blobs()[0], Half::kDiff), da, sum, "da");
      ExpectClose(Values(*run.layer->blobs()[1], Half::kDiff), db, sum, "db");
    }
  }
}

TYPED_TEST(PointwiseDeviceTest, ReductionOfALongRow) {
  for (const int axis : {0, 1}) {
    LayerRun<TypeParam> run(
        Str("type: 'Reduction' reduction_param { operation: SUMSQ axis: ", axis, " }"),
        {{2, 25013}});
    run.Forward();
    const Doubles x = run.Bottom(0);
    Doubles want(axis == 0 ? 1 : 2, 0);
    for (std::size_t i = 0; i < x.size(); ++i) {
      want[axis == 0 ? 0 : i / 25013] += x[i] * x[i];
    }
    ExpectClose(run.Top(), want, ToleranceOf<TypeParam>(OpKind::kReduction, x.size()),
                "sums");
  }
}

// More bottoms, and tops, than a kernel takes among its parameters.
TYPED_TEST(PointwiseDeviceTest, LongLists) {
  constexpr int kBlobs = 60;
  const Shapes shapes(kBlobs, {2, 3});
  const Tolerance sum = ToleranceOf<TypeParam>(OpKind::kReduction, kBlobs);
  const Tolerance copy = ToleranceOf<TypeParam>(OpKind::kCopy);
  for (const char* operation : {"SUM", "MAX"}) {
    SCOPED_TRACE(operation);
    LayerRun<TypeParam> run(
        std::string("type: 'Eltwise' eltwise_param { operation: ") + operation + " }",
        shapes);
    run.Forward();
    run.Backward();
    const bool adds = operation == std::string("SUM");
    Doubles want = run.Bottom(0);
    std::vector<int> winners(want.size(), 0);
    for (int b = 1; b < kBlobs; ++b) {
      const Doubles x = run.Bottom(b);
      for (std::size_t i = 0; i < x.size(); ++i) {
        if (!adds && x[i] > want[i]) winners[i] = b;
        want[i] = adds ? want[i] + x[i] : std::max(want[i], x[i]);
      }
    }
    ExpectClose(run.Top(), want, adds ? sum : copy, "top");
    for (int b = 0; b < kBlobs; ++b) {
      Doubles dx = run.TopDiff();
      for (std::size_t i = 0; i < dx.size(); ++i) dx[i] *= adds || winners[i] == b;
      ExpectClose(run.BottomDiff(b), dx, copy, Str("diff of bottom ", b));
    }
  }
  LayerRun<TypeParam> split("type: 'Split'", {{2, 3}}, kBlobs);
  split.Forward();
  split.Backward();
  Doubles want(6, 0);
  for (int t = 0; t < kBlobs; ++t) {
    const Doubles dy = split.TopDiff(t);
    for (std::size_t i = 0; i < dy.size(); ++i) want[i] += dy[i];
  }
  ExpectClose(split.BottomDiff(0), want, sum, "diff of what is split");
}

// A run of training can change its device: the mask is one function of the seed.
TYPED_TEST(PointwiseDeviceTest, DropoutMasksAreTheHosts) {
  const std::string text = "type: 'Dropout' dropout_param { dropout_ratio: 0.3 }";
  for (const std::vector<int>& shape :
       {std::vector<int>{3, 5, 7, 9}, {2, 33, 2, 1}, {1001}}) {
    for (const int draws_before : {0, 1, 6}) {
      Doubles top[3], diff[3];
      for (int i = 0; i < 3; ++i) {
        LayerRun<TypeParam> run(text, {shape});
        Caffe::set_mode(i == 0 ? Caffe::CPU : Caffe::GPU);
        Caffe::set_random_seed(11);
        caffe_rng()->discard(draws_before);
        run.SetUp();
        if (i == 2) PutChannelsLast(run.bottom[0], Half::kData);
        run.layer->Forward(run.bottom, run.top);
        top[i] = run.Top();
        FillDiff(run.top[0], 4);
        if (i == 2) PutChannelsLast(run.top[0], Half::kDiff);
        run.layer->Backward(run.top, {true}, run.bottom);
        diff[i] = run.BottomDiff(0);
        EXPECT_EQ(caffe_rng()->counter(),
                  static_cast<std::uint64_t>(draws_before + run.bottom[0]->count()));
      }
      for (int i = 1; i < 3; ++i) {
        EXPECT_EQ(top[i], top[0]) << ShapeText(shape) << ", run " << i;
        EXPECT_EQ(diff[i], diff[0]) << ShapeText(shape) << ", run " << i;
      }
    }
  }
}

Doubles SoftmaxOf(const Doubles& x) {
  double sum = 0;
  for (const double value : x) sum += std::exp(value);
  Doubles y;
  for (const double value : x) y.push_back(std::exp(value) / sum);
  return y;
}

// A thread's row, a warp's, and such that a block walks several times.
TYPED_TEST(PointwiseDeviceTest, SoftmaxOfRowsOfAnyLength) {
  for (const int length : {1, 31, 32, 33, 1000, 5000}) {
    SCOPED_TRACE(length);
    LayerRun<TypeParam> run("type: 'Softmax'", {{3, length}});
    Fill(run.bottom[0], 1, -20, 20);
    run.Forward();
    run.Backward();
    const Doubles x = run.Bottom(0), dy = run.TopDiff();
    Doubles top, dx;
    for (int row = 0; row < 3; ++row) {
      const auto first = x.begin() + row * length;
      const Doubles y = SoftmaxOf(Doubles(first, first + length));
      double dot = 0;
      for (int i = 0; i < length; ++i) dot += y[i] * dy[row * length + i];
      for (int i = 0; i < length; ++i) {
        top.push_back(y[i]);
        dx.push_back(y[i] * (dy[row * length + i] - dot));
      }
    }
    const Tolerance tolerance = ToleranceOf<TypeParam>(OpKind::kLoss, length);
    ExpectClose(run.Top(), top, tolerance, "top");
    ExpectClose(run.BottomDiff(0), dx, tolerance, "dx");
  }
}

// Rows with NaN or an infinity are lost, and only those; -inf is a probability of 0.
TYPED_TEST(PointwiseDeviceTest, SoftmaxOfWhatIsNotFinite) {
  using Limits = std::numeric_limits<TypeParam>;
  for (const int length : {4, 100}) {
    for (const int place : {0, length - 1}) {
      SCOPED_TRACE(Str("length ", length, ", place ", place));
      LayerRun<TypeParam> run("type: 'Softmax'", {{4, length}});
      TypeParam* x = run.bottom[0]->mutable_cpu_data();
      x[place] = Limits::quiet_NaN();
      x[length + place] = Limits::infinity();
      x[2 * length + place] = -Limits::infinity();
      const Doubles given = run.Bottom(0);
      run.Forward();
      const Doubles y = run.Top();
      for (int i = 0; i < length; ++i) {
        EXPECT_TRUE(std::isnan(y[i]));
        EXPECT_TRUE(std::isnan(y[length + i]));
      }
      for (int row : {2, 3}) {
        const auto first = given.begin() + row * length;
        const auto got = y.begin() + row * length;
        ExpectClose(Doubles(got, got + length), SoftmaxOf(Doubles(first, first + length)),
                    ToleranceOf<TypeParam>(OpKind::kLoss, length), "top");
      }
    }
  }
}

TYPED_TEST(PointwiseDeviceTest, WrongLabelsAreNamed) {
  for (const double wrong : {-1.0, 5.0, 1e30, std::nan("")}) {
    LayerRun<TypeParam> run(
        "name: 'loss' type: 'SoftmaxWithLoss' bottom: 'score' bottom: 'label'",
        {{3, 5, 2}, {3, 2}});
    FillIntegers(run.bottom[1], 1, 0, 4);
    run.bottom[1]->mutable_cpu_data()[3] = static_cast<TypeParam>(wrong);
    run.bottom[1]->mutable_cpu_data()[5] = 7;
    const std::string message = ErrorOfAction([&] { run.Forward(); });
    EXPECT_NE(message.find("layer 'loss' (SoftmaxWithLoss): bottom[1] 'label': sample 1, "
                           "position 1 has label"),
              std::string::npos)
        << message;
  }
}

// Far from 0, where the sum of squares would lose the variance.
TYPED_TEST(PointwiseDeviceTest, BatchNormFarFromZero) {
  constexpr double kEps = 0x1p-10, kCentre = 4096;
  constexpr int kSpatial = 31 * 33, kCount = 4 * kSpatial;
  const auto channel = [](std::size_t i) { return i / kSpatial % 3; };
  for (const bool channels_last : {false, true}) {
    LayerRun<TypeParam> run("type: 'BatchNorm' batch_norm_param { eps: 0.0009765625 }",
                            {{4, 3, 31, 33}});
    // Exact in float.
    FillWith(run.bottom[0], Half::kData,
             [](int i) { return kCentre + std::floor(Uniform(5, i, -32, 32)) / 16; });
    const Doubles x = run.Bottom(0);
    run.SetUp();
    if (channels_last) PutChannelsLast(run.bottom[0], Half::kData);
    run.layer->Forward(run.bottom, run.top);
    Doubles mean(3, kCentre), variance(3, 0);
    for (std::size_t i = 0; i < x.size(); ++i) {
      mean[channel(i)] += (x[i] - kCentre) / kCount;
    }
    for (std::size_t i = 0; i < x.size(); ++i) {
      variance[channel(i)] += std::pow(x[i] - mean[channel(i)], 2) / kCount;
    }
    const Doubles got = run.Top();
    for (std::size_t i = 0; i < x.size(); ++i) {
      const int c = channel(i);
      const double deviation = std::sqrt(variance[c] + kEps);
      // The product with the input and the shift, which cancel, are that large; the mean
      // here is a sum of kCount terms.
      ASSERT_TRUE(IsClose(got[i], (x[i] - mean[c]) / deviation, kCentre / deviation,
                          ToleranceOf<TypeParam>(OpKind::kReduction, kCount)))
          << i << ": " << got[i];
    }
    ExpectClose(Values(*run.layer->blobs()[0]), mean,
                ToleranceOf<TypeParam>(OpKind::kReduction, kCount), "mean");
    for (double& value : variance) value *= kCount / (kCount - 1.0);
    ExpectClose(Values(*run.layer->blobs()[1]), variance,
                ToleranceOf<TypeParam>(OpKind::kReduction, kCount), "variance");
  }
}

TYPED_TEST(PointwiseDeviceTest, BatchNormIsRecomputedBitForBit) {
  LayerRun<TypeParam> run("type: 'BatchNorm'", {{3, 5, 7, 9}});
  run.Forward();
  const Doubles top = run.Top(), mean = Values(*run.layer->blobs()[0]);
  FillNaN(run.top[0]);
  run.layer->Recompute(run.bottom, run.top);
  EXPECT_EQ(run.Top(), top);
  EXPECT_EQ(Values(*run.layer->blobs()[0]), mean) << "statistics are counted once";
}

// A test does not change weights, which may be in use in another form.
TYPED_TEST(PointwiseDeviceTest, BatchNormLeavesItsSumsInATest) {
  LayerRun<TypeParam> run("type: 'BatchNorm'", {{2, 3, 4, 5}}, 1, TEST);
  run.Forward();
  const std::uint64_t version = run.layer->blobs()[1]->data()->version();
  run.Forward();
  EXPECT_EQ(run.layer->blobs()[1]->data()->version(), version);
}

TYPED_TEST(PointwiseDeviceTest, NothingToDo) {
  const std::vector<int> none = {0, 3, 4, 4};
  for (const char* text :
       {"type: 'Scale' scale_param { bias_term: true }", "type: 'Bias'", "type: 'PReLU'",
        "type: 'Dropout'", "type: 'Softmax'", "type: 'BatchNorm'", "type: 'Split'",
        "type: 'Tile' tile_param { tiles: 2 }", "type: 'Reduction'",
        "type: 'Interp' interp_param { zoom_factor: 2 }"}) {
    SCOPED_TRACE(text);
    LayerRun<TypeParam> run(text, {none});
    run.Forward();
    run.Backward();
    for (const auto& blob : run.layer->blobs()) {
      EXPECT_EQ(Values(*blob, Half::kDiff), Doubles(blob->count(), 0));
    }
  }
  for (const char* text : {"type: 'Eltwise'", "type: 'Concat'"}) {
    SCOPED_TRACE(text);
    LayerRun<TypeParam> run(text, {none, none});
    run.Forward();
    run.Backward();
  }
  LayerRun<TypeParam> sum("type: 'Reduction'", {none});
  sum.Forward();
  EXPECT_EQ(sum.Top(), Doubles(1, 0));
}

// Blobs of other shapes share the memory, in whichever layout it is.
TYPED_TEST(PointwiseDeviceTest, ReshapeAndFlattenShareMemoryOfBothLayouts) {
  for (const char* text : {"type: 'Reshape' reshape_param { shape { dim: 0 dim: -1 } }",
                           "type: 'Flatten'"}) {
    for (const bool channels_last : {false, true}) {
      SCOPED_TRACE(Str(text, channels_last ? ", channels last" : ""));
      LayerRun<TypeParam> run(text, {{2, 6, 3, 4}});
      const Doubles x = run.Bottom(0);
      run.SetUp();
      if (channels_last) PutChannelsLast(run.bottom[0], Half::kData);
      run.layer->Forward(run.bottom, run.top);
      EXPECT_EQ(run.Top(), x);
      FillDiff(run.top[0], 9);
      const Doubles dy = run.TopDiff();
      run.top[0]->gpu_diff();
      run.layer->Backward(run.top, {true}, run.bottom);
      EXPECT_EQ(run.BottomDiff(0), dy);
    }
  }
}

// Layers that compute on the host take what a device left.
TYPED_TEST(PointwiseDeviceTest, HostLayersReadWhatTheDeviceLeft) {
  LayerRun<TypeParam> run("type: 'ArgMax' argmax_param { axis: 1 }", {{2, 3, 2, 2}});
  FillDistinct(run.bottom[0], 3);
  const Doubles x = run.Bottom(0);
  run.SetUp();
  PutChannelsLast(run.bottom[0], Half::kData);
  run.layer->Forward(run.bottom, run.top);
  Doubles want;
  for (int n = 0; n < 2; ++n) {
    for (int s = 0; s < 4; ++s) {
      int best = 0;
      for (int c = 1; c < 3; ++c) {
        if (x[(n * 3 + c) * 4 + s] > x[(n * 3 + best) * 4 + s]) best = c;
      }
      want.push_back(best);
    }
  }
  EXPECT_EQ(run.Top(), want);
}

}  // namespace
}  // namespace test
}  // namespace caffe
