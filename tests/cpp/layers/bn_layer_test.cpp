#include <cmath>
#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string BN(const std::string& param, int rates = 0) {
  std::string text = "name: 'b' type: 'BN' bottom: 'x' bn_param {" + param + "}";
  for (int i = 0; i < rates; ++i) text += " param { lr_mult: 1 }";
  return text;
}

const std::vector<int> kShape = {3, 4, 2, 5};
constexpr int kChannels = 4, kSpatial = 10, kCount = 30;

struct Statistics {
  Doubles mean = Doubles(kChannels, 0), variance = Doubles(kChannels, 0);
};

Statistics OfBatch(const Doubles& x) {
  Statistics s;
  for (std::size_t i = 0; i < x.size(); ++i) {
    s.mean[i / kSpatial % kChannels] += x[i] / kCount;
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double d = x[i] - s.mean[i / kSpatial % kChannels];
    s.variance[i / kSpatial % kChannels] += d * d / kCount;
  }
  return s;
}

/// A layer whose scale, shift, and running values if it has some, are not the defaults.
template <typename T>
struct Run : LayerRun<T> {
  Run(const std::string& text, Phase phase, std::size_t blobs)
      : LayerRun<T>(text, {kShape}, 1, phase) {
    this->SetUp();
    EXPECT_EQ(this->layer->blobs().size(), blobs);
    for (std::size_t i = 0; i < this->layer->blobs().size(); ++i) {
      EXPECT_EQ(this->layer->blobs()[i]->shape(), (std::vector<int>{1, kChannels, 1, 1}));
      Fill(this->layer->blobs()[i].get(), 40 + i, 0.5, 2);
    }
  }
  Doubles Weights(int i, Half half = Half::kData) const {
    return Values(*this->layer->blobs()[i], half);
  }

  /// Against loops, with these statistics; those of the batch if `batch`.
  void Check(const Statistics& s, double eps, bool batch) {
    const Doubles scale = Weights(0), shift = Weights(1);
    this->Forward();
    this->Backward();
    const Doubles x = this->Bottom(0), dy = this->TopDiff();
    Doubles y, normal, sum(kChannels, 0), product(kChannels, 0), dx;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const int c = static_cast<int>(i) / kSpatial % kChannels;
      normal.push_back((x[i] - s.mean[c]) / std::sqrt(s.variance[c] + eps));
      y.push_back(scale[c] * normal[i] + shift[c]);
      sum[c] += dy[i];
      product[c] += dy[i] * normal[i];
    }
    for (std::size_t i = 0; i < x.size(); ++i) {
      const int c = static_cast<int>(i) / kSpatial % kChannels;
      const double through =
          batch ? dy[i] - sum[c] / kCount - normal[i] * product[c] / kCount : dy[i];
      dx.push_back(scale[c] / std::sqrt(s.variance[c] + eps) * through);
    }
    const Tolerance tolerance = ToleranceOf<T>(OpKind::kNormalization, kCount);
    ExpectClose(this->Top(), y, tolerance, "top");
    ExpectClose(this->BottomDiff(0), dx, tolerance, "dx");
    ExpectClose(Weights(0, Half::kDiff), product, tolerance, "dscale");
    ExpectClose(Weights(1, Half::kDiff), sum, tolerance, "dshift");
  }

  void ExpectRunning(const Doubles& mean, const Doubles& variance) {
    const Tolerance tolerance = ToleranceOf<T>(OpKind::kNormalization, kCount);
    ExpectClose(Weights(2), mean, tolerance, "running mean");
    ExpectClose(Weights(3), variance, tolerance, "running variance");
  }
};

/// momentum old + (1 - momentum) batch, the variance unbiased.
void ExpectUpdated(const Doubles& before, const Doubles& batch, double momentum,
                   double factor, Doubles* want) {
  for (int c = 0; c < kChannels; ++c) {
    want->push_back(momentum * before[c] + (1 - momentum) * factor * batch[c]);
  }
}

template <typename T>
class BNLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(BNLayerTest, Types);

TYPED_TEST(BNLayerTest, SegNet) {
  for (const char* param : {"", "scale_filler { value: 1 } shift_filler { value: 0.001 }",
                            "bn_mode: LEARN"}) {
    for (const Phase phase : {TRAIN, TEST}) {
      SCOPED_TRACE(Str(param, ", phase ", static_cast<int>(phase)));
      Run<TypeParam> run(BN(param), phase, 2);
      run.Check(OfBatch(run.Bottom(0)), 1e-9, true);
    }
  }
  for (const Phase phase : {TRAIN, TEST}) {
    Run<TypeParam> run(BN("bn_mode: INFERENCE"), phase, 2);
    run.Check({Doubles(kChannels, 0), Doubles(kChannels, 1)}, 0, false);
  }
}

TYPED_TEST(BNLayerTest, PspNet) {
  const std::string moving = "scale_filler { value: 1 } moving_average: true decay: 0.25";
  Run<TypeParam> train(BN(moving, 4), TRAIN, 4);
  const Statistics batch = OfBatch(train.Bottom(0));
  Doubles mean, variance;
  ExpectUpdated(train.Weights(2), batch.mean, 0.75, 1, &mean);
  ExpectUpdated(train.Weights(3), batch.variance, 0.75, 30.0 / 29, &variance);
  train.Check(batch, 1e-10, true);
  train.ExpectRunning(mean, variance);

  Run<TypeParam> test(BN(moving), TEST, 4);
  const Statistics running = {test.Weights(2), test.Weights(3)};
  test.Check(running, 1e-10, false);
  test.ExpectRunning(running.mean, running.variance);
  // Without moving_average TEST sees its own batch, and keeps nothing of it. Four rates
  // say that there are four blobs.
  Run<TypeParam> own(BN("", 4), TEST, 4);
  const Doubles kept[] = {own.Weights(2), own.Weights(3)};
  own.Check(OfBatch(own.Bottom(0)), 1e-10, true);
  own.ExpectRunning(kept[0], kept[1]);
  Run<TypeParam> eps(BN("var_eps: 0.5"), TRAIN, 4);
  eps.Check(OfBatch(eps.Bottom(0)), 0.5, true);
}

TYPED_TEST(BNLayerTest, Yjxiong) {
  const std::string plain = "slope_filler { value: 1 } bias_filler { value: 0 } ";
  Run<TypeParam> train(BN(plain), TRAIN, 4);
  const Statistics batch = OfBatch(train.Bottom(0));
  Doubles mean, variance;
  ExpectUpdated(train.Weights(2), batch.mean, 0.9f, 1, &mean);
  ExpectUpdated(train.Weights(3), batch.variance, 0.9f, 30.0 / 29, &variance);
  train.Check(batch, 1e-5f, true);
  train.ExpectRunning(mean, variance);

  Run<TypeParam> test(BN(plain + "eps: 0.25"), TEST, 4);
  test.Check({test.Weights(2), test.Weights(3)}, 0.25, false);
  Run<TypeParam> frozen(BN("frozen: true"), TRAIN, 4);
  frozen.Check({frozen.Weights(2), frozen.Weights(3)}, 1e-5f, false);
  for (const ParamSpec& rate : frozen.layer->layer_param().param()) {
    EXPECT_EQ(rate.lr_mult(), 0);
  }
}

TEST(BNLayerTestDouble, BlobsStartByTheirFillers) {
  const auto starts = [](const std::string& param, int rates) {
    LayerRun<double> run(BN(param, rates), {{2, 1, 2, 2}});
    run.SetUp();
    Doubles values;
    for (const auto& blob : run.layer->blobs()) values.push_back(blob->cpu_data()[0]);
    return values;
  };
  EXPECT_EQ(starts("", 0), (Doubles{1, 0}));
  EXPECT_EQ(starts("scale_filler { value: 2 } shift_filler { value: 3 }", 0),
            (Doubles{2, 3}));
  EXPECT_EQ(starts("", 4), (Doubles{1, 0, 0, 0}));
  EXPECT_EQ(starts("slope_filler { value: 2 } bias_filler { value: 3 } frozen: true", 0),
            (Doubles{2, 3, 0, 1}));
  LayerRun<double> run(BN("", 4), {{2, 1, 2, 2}});
  run.SetUp();
  const LayerParameter& param = run.layer->layer_param();
  EXPECT_EQ(param.param(1).lr_mult(), 1);
  EXPECT_EQ(param.param(2).lr_mult(), 0);
  EXPECT_EQ(param.param(3).lr_mult(), 0);
}

TEST(BNLayerTestDouble, Gradient) {
  for (const char* param :
       {"", "bn_mode: INFERENCE", "decay: 0.5", "slope_filler { value: 1.5 }"}) {
    SCOPED_TRACE(param);
    // The running values have no gradient: check what is learned by its own loops above.
    LayerRun<double> run(BN(param), {{3, 2, 2}});
    run.SetUp();
    for (std::size_t i = 2; i < run.layer->blobs().size(); ++i) {
      run.layer->set_param_propagate_down(static_cast<int>(i), false);
    }
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top, 0);
  }
}

TEST(BNLayerTestFloat, InPlace) {
  for (const char* param : {"", "bn_mode: INFERENCE", "decay: 0.5"}) {
    LayerRun<float> apart(BN(param), {kShape}), in_place(BN(param), {kShape});
    in_place.InPlace();
    for (LayerRun<float>* run : {&apart, &in_place}) {
      run->SetUp();
      run->layer->Forward(run->bottom, run->top);
    }
    EXPECT_EQ(in_place.Top(), apart.Top());
    for (LayerRun<float>* run : {&apart, &in_place}) {
      FillDiff(run->top[0], 100);
      run->layer->Backward(run->top, {true}, run->bottom);
    }
    ExpectClose(in_place.BottomDiff(0), apart.BottomDiff(0),
                ToleranceOf<float>(OpKind::kNormalization, kCount), "dx");
  }
}

TEST(BNLayerTestFloat, Packed) {
  PackedCase options;
  options.kind = OpKind::kNormalization;
  options.terms = 30;
  ExpectPackedMatchesPlain(BN("decay: 0.5"), {{2, 32, 3, 5}}, options);
}

TEST(BNLayerTestErrors, SaysWhatIsWrong) {
  const Shapes shapes = {{2, 3, 2, 2}};
  ExpectLayerError(BN("scale_filler { } slope_filler { }"), shapes, 1,
                   {"layer 'b' (BN)", "two fillers for one blob"});
  ExpectLayerError(BN("bn_mode: LEARN frozen: true"), shapes, 1,
                   {"fields of several Caffes' layers"});
  ExpectLayerError(BN("decay: 0.1 momentum: 0.9"), shapes, 1, {"several Caffes'"});
  ExpectLayerError(BN("axis: 2"), shapes, 1, {"axis is 2"});
  ExpectLayerError(BN(""), {{3}}, 1, {"(N, C, ...)"});
  ExpectLayerError(BN("bn_mode: LEARN") + " blobs { data: 1 shape { dim: 1 } }", shapes,
                   1, {"got 1 weight blob(s), expected 2: scale and shift"});
  ExpectLayerError(
      BN("bn_mode: LEARN") +
          " blobs { data: 1 shape { dim: 1 } } blobs { data: 1 shape { dim: 1 } "
          "}",
      shapes, 1, {"weights of shape (1,)", "(1, 3, 1, 1)"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
