#include "caffe/layers/batch_norm_layer.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

// A moving average of 0.75 and an eps of 2^-10 are exact in float.
constexpr double kFraction = 0.75, kEps = 0x1p-10;

std::string BatchNorm(const std::string& param = "") {
  return "name: 'bn' type: 'BatchNorm' batch_norm_param { moving_average_fraction: 0.75 "
         "eps: 0.0009765625 " +
         param + " }";
}

struct Statistics {
  Doubles mean, variance;
};

int Channel(const std::vector<int>& shape, std::size_t i) {
  if (shape.size() == 1) return 0;
  int spatial = 1;
  for (std::size_t axis = 2; axis < shape.size(); ++axis) spatial *= shape[axis];
  return static_cast<int>(i / spatial % shape[1]);
}

int Channels(const std::vector<int>& shape) { return shape.size() == 1 ? 1 : shape[1]; }

Statistics StatisticsOf(const std::vector<int>& shape, const Doubles& x) {
  const int channels = Channels(shape);
  const double count = static_cast<double>(x.size()) / channels;
  Statistics s{Doubles(channels, 0), Doubles(channels, 0)};
  for (std::size_t i = 0; i < x.size(); ++i) s.mean[Channel(shape, i)] += x[i] / count;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double d = x[i] - s.mean[Channel(shape, i)];
    s.variance[Channel(shape, i)] += d * d / count;
  }
  return s;
}

Doubles Normalized(const std::vector<int>& shape, const Doubles& x, const Statistics& s) {
  Doubles y(x);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const int c = Channel(shape, i);
    y[i] = (x[i] - s.mean[c]) / std::sqrt(s.variance[c] + kEps);
  }
  return y;
}

template <typename T>
Doubles BlobOf(const LayerRun<T>& run, int blob) {
  return Values(*run.layer->blobs()[blob]);
}

const Shapes kInputs = {{4, 3, 5, 6}, {8, 5}, {20}, {1, 2, 300}, {3, 16, 2, 3, 2}};

template <typename T>
class BatchNormLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(BatchNormLayerTest, Types);

TYPED_TEST(BatchNormLayerTest, TrainingAccumulatesSums) {
  using T = TypeParam;
  for (const auto& shape : kInputs) {
    SCOPED_TRACE(ShapeText(shape));
    LayerRun<T> run(BatchNorm(), {shape});
    run.SetUp();
    const int channels = Channels(shape);
    ASSERT_EQ(run.layer->blobs().size(), 3u);
    for (int i = 0; i < 3; ++i)
      EXPECT_EQ(BlobOf(run, i), Doubles(i < 2 ? channels : 1, 0));
    Doubles mean(channels, 0), variance(channels, 0);
    double factor = 0;
    for (int iteration = 0; iteration < 3; ++iteration) {
      Fill(run.bottom[0], 10 + iteration);
      run.Forward();
      const Statistics batch = StatisticsOf(shape, run.Bottom(0));
      const double count = static_cast<double>(run.bottom[0]->count()) / channels;
      factor = kFraction * factor + 1;
      for (int c = 0; c < channels; ++c) {
        mean[c] = kFraction * mean[c] + batch.mean[c];
        variance[c] = kFraction * variance[c] + batch.variance[c] * count / (count - 1);
      }
      const Tolerance tolerance =
          ToleranceOf<T>(OpKind::kNormalization, static_cast<int>(count));
      ExpectClose(run.Top(), Normalized(shape, run.Bottom(0), batch), tolerance, "top");
      ExpectClose(BlobOf(run, 0), mean, tolerance, "sum of means");
      ExpectClose(BlobOf(run, 1), variance, tolerance, "sum of variances");
      ExpectClose(BlobOf(run, 2), {factor}, ToleranceOf<T>(OpKind::kElementwise),
                  "factor");
    }
  }
}

// The division by the factor makes the moving averages of the sums.
TYPED_TEST(BatchNormLayerTest, GlobalStatistics) {
  using T = TypeParam;
  for (const bool given : {false, true}) {
    LayerRun<T> run(BatchNorm(given ? "use_global_stats: true" : ""), {{2, 3, 4, 5}}, 1,
                    given ? TRAIN : TEST);
    run.SetUp();
    Fill(run.layer->blobs()[0].get(), 1);
    Fill(run.layer->blobs()[1].get(), 2, 1, 3);
    FillWith(run.layer->blobs()[2].get(), Half::kData, [](int) { return 2.5; });
    const Doubles before[] = {BlobOf(run, 0), BlobOf(run, 1), BlobOf(run, 2)};
    run.Forward();
    Statistics s{BlobOf(run, 0), BlobOf(run, 1)};
    for (int c = 0; c < 3; ++c) s.mean[c] /= 2.5, s.variance[c] /= 2.5;
    const Tolerance tolerance = ToleranceOf<T>(OpKind::kNormalization);
    ExpectClose(run.Top(), Normalized({2, 3, 4, 5}, run.Bottom(0), s), tolerance, "top");
    for (int i = 0; i < 3; ++i) EXPECT_EQ(BlobOf(run, i), before[i]) << "blob " << i;
    run.Backward();
    Doubles dx = run.TopDiff();
    for (std::size_t i = 0; i < dx.size(); ++i) {
      dx[i] /= std::sqrt(s.variance[Channel({2, 3, 4, 5}, i)] + kEps);
    }
    ExpectClose(run.BottomDiff(0), dx, tolerance, "dx");
  }
}

// Before any training the factor is 0: the statistics count as 0, not as 0/0.
TYPED_TEST(BatchNormLayerTest, UntrainedStatisticsAreZero) {
  using T = TypeParam;
  LayerRun<T> run(BatchNorm(), {{2, 3, 4, 5}}, 1, TEST);
  run.Forward();
  ExpectClose(run.Top(),
              Normalized({2, 3, 4, 5}, run.Bottom(0), {Doubles(3, 0), Doubles(3, 0)}),
              ToleranceOf<T>(OpKind::kNormalization), "top");
}

TYPED_TEST(BatchNormLayerTest, TestPhaseMayUseTheBatch) {
  using T = TypeParam;
  LayerRun<T> run(BatchNorm("use_global_stats: false"), {{2, 3, 4, 5}}, 1, TEST);
  run.Forward();
  const Statistics batch = StatisticsOf({2, 3, 4, 5}, run.Bottom(0));
  ExpectClose(run.Top(), Normalized({2, 3, 4, 5}, run.Bottom(0), batch),
              ToleranceOf<T>(OpKind::kNormalization, 40), "top");
}

TEST(BatchNormGradientTest, TrainingAndGlobal) {
  for (const auto& shape : Shapes{{3, 2, 2, 3}, {5, 3}, {6}}) {
    // The statistics are no parameters of the objective; only the input is checked.
    for (const std::string param : {"", "use_global_stats: true"}) {
      LayerRun<double> run(BatchNorm(param), {shape});
      run.SetUp();
      FillWith(run.layer->blobs()[1].get(), Half::kData, [](int) { return 1.5; });
      FillWith(run.layer->blobs()[2].get(), Half::kData, [](int) { return 1; });
      run.layer->Forward(run.bottom, run.top);
      run.Backward();
      const Doubles dx = run.BottomDiff(0), dy = run.TopDiff();
      const GradientTolerance table;
      for (int i = 0; i < run.bottom[0]->count(); ++i) {
        const auto objective = [&](double step) {
          FillWith(run.layer->blobs()[0].get(), Half::kData, [](int) { return 0; });
          FillWith(run.layer->blobs()[1].get(), Half::kData, [](int) { return 1.5; });
          FillWith(run.layer->blobs()[2].get(), Half::kData, [](int) { return 1; });
          run.bottom[0]->mutable_cpu_data()[i] += step;
          run.layer->Forward(run.bottom, run.top);
          run.bottom[0]->mutable_cpu_data()[i] -= step;
          double sum = 0;
          for (std::size_t j = 0; j < dy.size(); ++j)
            sum += dy[j] * run.top[0]->cpu_data()[j];
          return sum;
        };
        const double estimate =
            (objective(table.step) - objective(-table.step)) / (2 * table.step);
        EXPECT_NEAR(dx[i], estimate, table.threshold * std::max(1.0, std::fabs(estimate)))
            << ShapeText(shape) << " " << param << " element " << i;
      }
    }
  }
}

TYPED_TEST(BatchNormLayerTest, InPlace) {
  using T = TypeParam;
  for (const bool preserved : {false, true}) {
    for (const std::string param : {"", "use_global_stats: true"}) {
      SCOPED_TRACE(Str("top preserved: ", preserved, " ", param));
      const Shapes shapes = {{4, 3, 5, 6}};
      LayerRun<T> apart(BatchNorm(param), shapes), in_place(BatchNorm(param), shapes);
      in_place.InPlace();
      in_place.layer->Prepare({.top_preserved = {preserved}});
      Doubles top[2], diff[2];
      int which = 0;
      for (LayerRun<T>* run : {&apart, &in_place}) {
        run->SetUp();
        Fill(run->layer->blobs()[1].get(), 5, 1, 2);
        FillWith(run->layer->blobs()[2].get(), Half::kData, [](int) { return 1; });
        run->layer->Forward(run->bottom, run->top);
        top[which] = run->Top();
        // What a later in-place layer does to the top.
        if (!preserved) FillNaN(run->top[0]);
        FillDiff(run->top[0], 6);
        run->layer->Backward(run->top, {true}, run->bottom);
        diff[which++] = run->BottomDiff(0);
      }
      ExpectClose(top[1], top[0], ToleranceOf<T>(OpKind::kCopy), "top");
      ExpectClose(diff[1], diff[0], ToleranceOf<T>(OpKind::kNormalization, 120), "dx");
    }
  }
}

TEST(BatchNormPackedTest, MatchesPlain) {
  PackedCase options;
  options.kind = OpKind::kNormalization;
  options.terms = 84;
  for (const int block : {8, 16}) {
    ExpectPackedMatchesPlain(BatchNorm(), {{2, 32, 7, 6}}, options, block);
  }
}

TEST(BatchNormShapeTest, FollowsTheShapeOfItsInput) {
  LayerRun<float> run(BatchNorm(), {{4, 3, 5, 6}});
  run.InPlace();
  run.SetUp();
  run.Backward();  // before any Forward
  run.layer->Forward(run.bottom, run.top);
  for (const std::vector<int>& shape : Shapes{{1, 3, 2, 2}, {8, 3, 9, 9}, {0, 3, 4, 4}}) {
    run.bottom[0]->Reshape(shape);
    run.layer->Reshape(run.bottom, run.top);
    run.Backward();
    Fill(run.bottom[0], 9);
    run.layer->Forward(run.bottom, run.top);
    for (double value : run.Top()) EXPECT_TRUE(std::isfinite(value));
  }
}

TEST(BatchNormParamTest, StatisticsDoNotLearn) {
  LayerRun<float> run(BatchNorm(), {{2, 3, 4, 4}});
  run.SetUp();
  ASSERT_EQ(run.layer->layer_param().param_size(), 3);
  for (const ParamSpec& param : run.layer->layer_param().param())
    EXPECT_EQ(param.lr_mult(), 0);
  ExpectLayerError(BatchNorm() + " param { lr_mult: 0 } param { lr_mult: 1 }",
                   {{2, 3, 4, 4}}, 1, {"param 1", "lr_mult 1", "expected 0"});
}

TEST(BatchNormErrorTest, BadInput) {
  LayerRun<float> run(BatchNorm(), {{2, 3, 4, 4}});
  run.Forward();
  run.bottom[0]->Reshape({2, 4, 4, 4});
  const std::string message = ErrorOfAction([&] { run.Forward(); });
  EXPECT_NE(message.find("(2, 4, 4, 4), expected 3 channels"), std::string::npos)
      << message;

  LayerParameter param;
  run.layer->ToProto(&param);
  const auto set_up = [&] {
    Blob<float> bottom(std::vector<int>{2, 3, 4, 4}), top;
    LayerRegistry<float>::CreateLayer(param)->SetUp({&bottom}, {&top});
  };
  EXPECT_EQ(ErrorOfAction(set_up), "");
  Blob<float>(std::vector<int>{2}).ToProto(param.mutable_blobs(1));
  EXPECT_NE(ErrorOfAction(set_up).find("(2,), expected (3,)"), std::string::npos);
  param.mutable_blobs()->RemoveLast();
  EXPECT_NE(ErrorOfAction(set_up).find("2 weight blob"), std::string::npos);
}

}  // namespace
}  // namespace test
}  // namespace caffe
