#include "caffe/ops/channels_last.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "caffe/net.hpp"
#include "caffe/ops/branches.hpp"
#include "caffe/ops/convolution/engines.hpp"
#include "caffe/ops/onednn.hpp"
#include "caffe/ops/pooling.hpp"
#include "caffe/util/zero_denormals.hpp"
#include "layer_test.hpp"
#include "ops/bfloat16.hpp"
#include "ops/convolution_results.hpp"
#include "ops/problems.hpp"

namespace caffe {
namespace test {
namespace {

using Shape = std::vector<int>;

Doubles Rounded(Doubles values) {
  for (double& value : values) value = RoundedToBfloat16(value);
  return values;
}

// Gives a blob random values, rounded, and leaves them in bfloat16 with channels last.
Doubles FillChannelsLast(Blob<float>* blob, std::uint64_t seed) {
  Fill(blob, seed);
  const Doubles plain = Rounded(Values(*blob));
  Bfloat16* to = WriteChannelsLast(DataOf(blob));
  const int n = blob->shape(0), c = blob->shape(1);
  const int spatial = blob->count() / (n * c);
  for (int i = 0; i < n; ++i) {
    for (int k = 0; k < c; ++k) {
      for (int s = 0; s < spatial; ++s) {
        to[(i * spatial + s) * c + k] =
            ToBfloat16(static_cast<float>(plain[(i * c + k) * spatial + s]));
      }
    }
  }
  return plain;
}

const Shape kShapes[] = {{2, 32, 3, 5}, {1, 3, 4, 7}, {3, 17, 1, 1}, {1, 80, 9, 2}};

TEST(ChannelsLastTest, IsPlainFloatForThoseWhoAsk) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(ShapeText(shape));
    Blob<float> blob(shape);
    const Doubles want = FillChannelsLast(&blob, 1);
    EXPECT_NE(ChannelsLast(DataOf(&blob)), nullptr);
    EXPECT_EQ(DataOf(&blob).block(), 1);
    EXPECT_EQ(Values(blob), want);
    // Writing ends it.
    blob.mutable_cpu_data();
    EXPECT_EQ(ChannelsLast(DataOf(&blob)), nullptr);
  }
}

TEST(ChannelsLastTest, CopiesOfEveryLayoutAreEqual) {
  for (const Shape& shape : kShapes) {
    for (const int block : {1, 8, 16}) {
      if (shape[1] % block != 0 || (block > 1 && shape[2] * shape[3] == 1)) continue;
      SCOPED_TRACE(Str(ShapeText(shape), " in blocks of ", block));
      Blob<float> blob(shape);
      Fill(&blob, 2);
      const Doubles want = Rounded(Values(blob));
      if (block > 1) FillPacked(&blob, Values(blob), block);
      std::vector<Bfloat16> copy(blob.count());
      const std::int64_t before = ChannelsLastCopies();
      CopyChannelsLast(DataOf(&blob), copy.data());
      EXPECT_EQ(ChannelsLastCopies(), before + 1);
      const int channels = shape[1], spatial = shape[2] * shape[3];
      for (int i = 0; i < blob.count(); ++i) {
        const int n = i / (channels * spatial), c = i / spatial % channels;
        const int at = (n * spatial + i % spatial) * channels + c;
        ASSERT_EQ(FromBfloat16(copy[at]), want[i]) << i;
      }
    }
  }
}

TEST(ChannelsLastTest, BranchesAreAddedUp) {
  for (const Shape& shape : {Shape{2, 32, 3, 5}, {1, 80, 20, 19}, {2, 128, 7, 7}}) {
    SCOPED_TRACE(ShapeText(shape));
    Blob<float> x(shape), y(shape), sum(shape), mean(Shape{shape[0], shape[1]});
    const Doubles xs = FillChannelsLast(&x, 3), ys = FillChannelsLast(&y, 4);
    AverageOfSum<float>({DataOf(&x), DataOf(&y)}, mean.mutable_cpu_data());
    const int spatial = shape[2] * shape[3];
    Doubles want(mean.count());
    for (std::size_t i = 0; i < xs.size(); ++i) want[i / spatial] += xs[i] + ys[i];
    for (double& value : want) value /= spatial;
    ExpectClose(Values(mean), want, ToleranceOf<float>(OpKind::kReduction, 2 * spatial),
                "mean");

    Blob<float> a(mean.shape()), b(mean.shape());
    Fill(&a, 5);
    Fill(&b, 6);
    Doubles weighted(xs.size());
    for (std::size_t i = 0; i < xs.size(); ++i) {
      weighted[i] = a.cpu_data()[i / spatial] * xs[i] + b.cpu_data()[i / spatial] * ys[i];
    }
    for (const bool leaves : {false, true}) {
      WeightedSum(a.cpu_data(), DataOf(&x), b.cpu_data(), DataOf(&y), DataOf(&sum),
                  leaves);
      EXPECT_EQ(ChannelsLast(DataOf(&sum)) != nullptr, leaves);
      ExpectClose(Values(sum), weighted,
                  ToleranceOf<float>(leaves ? OpKind::kBfloat16 : OpKind::kElementwise),
                  "sum");
    }
  }
}

TEST(ChannelsLastTest, PoolingsAreThoseOfFloat) {
  const PoolingProblem window{3, 3, 2, 2, 1, 1};
  Blob<float> x(Shape{2, 32, 7, 8}), plain(x.shape());
  const Doubles values = FillChannelsLast(&x, 7);
  FillWith(&plain, Half::kData, [&](int i) { return values[i]; });
  Blob<float> got(Shape{2, 32, 4, 5}), want(got.shape());
  MaxPool<float>(window, DataOf(&x), DataOf(&got), nullptr);
  MaxPool<float>(window, DataOf(&plain), DataOf(&want), nullptr);
  EXPECT_NE(ChannelsLast(DataOf(&got)), nullptr);
  EXPECT_EQ(Values(got), Values(want));
  FillChannelsLast(&x, 7);
  got.Reshape(Shape{2, 32, 1, 1});
  want.Reshape(got.shape());
  const PoolingProblem whole{7, 8, 1, 1, 0, 0};
  AveragePool<float>(whole, DataOf(&x), DataOf(&got));
  AveragePool<float>(whole, DataOf(&plain), DataOf(&want));
  ExpectClose(Values(got), Values(want), ToleranceOf<float>(OpKind::kReduction, 56),
              "mean");
}

// Convolutions of inference.
class ChannelsLastConvolutionTest : public ::testing::TestWithParam<ConvolutionCase> {
 protected:
  void SetUp() override {
    if (!onednn::HasMatrixUnits()) GTEST_SKIP() << "this CPU has no AMX";
    problem_ = GetParam().problem;
    problem_.training = false;
    problem_.precision = NetParameter::BF16;
    problem_.leaves_bfloat16 = true;
    problem_.relu = true;
  }
  // Null where the engine declines, which then has a reason.
  std::unique_ptr<ConvolutionOp<float>> Make() const {
    std::string why;
    auto op = MakeChannelsLastConvolution(problem_, &why);
    EXPECT_EQ(op == nullptr, !why.empty());
    return op;
  }
  ConvolutionProblem problem_;
};

TEST_P(ChannelsLastConvolutionTest, IsTheDefinitionOfRoundedOperands) {
  const ZeroDenormals zero_denormals;
  for (const bool add : {false, true}) {
    problem_.addend = add;
    const auto op = Make();
    if (!op) return;
    ConvolutionBlobs<float> blobs(problem_, 11), rounded(problem_, 11);
    for (Blob<float>* blob : {&rounded.x, &rounded.w}) {
      const Doubles values = Rounded(Values(*blob));
      FillWith(blob, Half::kData, [&](int i) { return values[i]; });
    }
    ConvolutionCase c = GetParam();
    Doubles want = Expected(c, rounded).y;
    Blob<float> addend(problem_.dst);
    const Doubles added = FillChannelsLast(&addend, 12);
    for (std::size_t i = 0; i < want.size(); ++i) {
      want[i] = std::max(0.0, want[i] + (add ? added[i] : 0));
    }
    const std::int64_t terms =
        problem_.src[1] / problem_.group * Product(problem_.kernel) + 2;
    // From plain float, and from what another convolution has left.
    for (const bool left : {false, true}) {
      SCOPED_TRACE(Str(op->name(), " on ", problem_.Text(), left ? " left" : " plain"));
      if (left) {
        Bfloat16* to = WriteChannelsLast(DataOf(&blobs.x));
        CopyChannelsLast(DataOf(&rounded.x), to);
      }
      op->Forward(DataOf(&blobs.x), DataOf(&blobs.w), blobs.bias(), DataOf(&blobs.y),
                  add ? &addend : nullptr);
      EXPECT_NE(ChannelsLast(DataOf(&blobs.y)), nullptr);
      ExpectClose(Values(blobs.y), want, ToleranceOf<float>(OpKind::kBfloat16, terms),
                  "y");
    }
  }
}

TEST_P(ChannelsLastConvolutionTest, SeesChangedWeights) {
  const auto op = Make();
  if (!op || problem_.bias) return;
  ConvolutionBlobs<float> blobs(problem_, 13);
  const auto run = [&] {
    op->Forward(DataOf(&blobs.x), DataOf(&blobs.w), nullptr, DataOf(&blobs.y), nullptr);
    return Values(blobs.y);
  };
  Doubles want = run();
  for (double& value : want) value *= 2;
  blobs.w.scale_data(2);
  EXPECT_EQ(run(), want);
}

// What is no finite number stays in its group, though groups are multiplied together.
TEST_P(ChannelsLastConvolutionTest, GroupsDoNotMeet) {
  const ZeroDenormals zero_denormals;
  const auto op = Make();
  if (!op) return;
  ConvolutionProblem exact = problem_;
  exact.precision = NetParameter::FLOAT32;
  exact.leaves_bfloat16 = false;
  const auto reference = MakeReferenceConvolution<float>(exact, nullptr);
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    ConvolutionBlobs<float> blobs(problem_, 14);
    blobs.x.mutable_cpu_data()[0] = value;
    reference->Forward(DataOf(&blobs.x), DataOf(&blobs.w), blobs.bias(), DataOf(&blobs.y),
                       nullptr);
    const Doubles want = Values(blobs.y);
    op->Forward(DataOf(&blobs.x), DataOf(&blobs.w), blobs.bias(), DataOf(&blobs.y),
                nullptr);
    const Doubles got = Values(blobs.y);
    for (std::size_t i = 0; i < want.size(); ++i) {
      ASSERT_EQ(std::isnan(got[i]), std::isnan(want[i])) << value << " at " << i;
      ASSERT_EQ(std::isinf(got[i]), std::isinf(want[i])) << value << " at " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Small, ChannelsLastConvolutionTest,
                         ::testing::ValuesIn(SmallConvolutions()),
                         [](const auto& info) { return info.param.name; });
INSTANTIATE_TEST_SUITE_P(
    Grouped, ChannelsLastConvolutionTest,
    ::testing::Values(MakeCase("of4", {2, 64, 7, 9}, 64, {{3}, {1}, {1}}, 16),
                      MakeCase("of8_dilated", {1, 64, 9, 8}, 64, {{3}, {1}, {2}, {2}}, 8,
                               true),
                      MakeCase("of16_strided", {1, 64, 9, 8}, 64, {{3}, {2}, {1}}, 4),
                      MakeCase("of32", {1, 64, 6, 6}, 64, {{3}, {1}, {1}}, 2)),
    [](const auto& info) { return info.param.name; });

TEST(ChannelsLastConvolutionSelectionTest, ThoseOfSkNet50UseTheUnits) {
  if (!onednn::HasMatrixUnits()) GTEST_SKIP() << "this CPU has no AMX";
  for (const ConvolutionCase& c : SkNet50Convolutions()) {
    ConvolutionProblem problem = c.problem;
    problem.training = false;
    problem.relu = true;
    problem.precision = NetParameter::BF16;
    EXPECT_EQ(MakeConvolution<float>(problem)->name().find("channels-last"),
              std::string::npos)
        << "never unasked";
    problem.leaves_bfloat16 = true;
    if (!FitsChannelsLast(problem.dst)) continue;
    EXPECT_NE(MakeConvolution<float>(problem)->name().find("amx"), std::string::npos)
        << problem.Text();
  }
}

}  // namespace
}  // namespace test
}  // namespace caffe
