#include <algorithm>
#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

// Upsample and Unpooling: what BaseUnpoolingLayer does.

namespace caffe {
namespace test {
namespace {

std::string Upsample(const std::string& param) {
  return "name: 'u' type: 'Upsample' bottom: 'x' bottom: 'mask' upsample_param {" +
         param + "}";
}

std::string Unpooling(const std::string& param) {
  return "name: 'u' type: 'Unpooling' bottom: 'x' unpooling_param {" + param + "}";
}

/// Different places of a plane for the values of each plane.
template <typename T>
void FillPlaces(Blob<T>* mask, int plane) {
  const int values = mask->count(2);
  for (int p = 0; p < mask->count(0, 2); ++p) {
    std::vector<int> order(plane);
    for (int i = 0; i < plane; ++i) order[i] = i;
    for (int i = plane - 1; i > 0; --i) std::swap(order[i], order[Bits(p, i) % (i + 1)]);
    for (int i = 0; i < values; ++i) {
      mask->mutable_cpu_data()[p * values + i] = static_cast<T>(order[i]);
    }
  }
}

template <typename T>
class UpsampleLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(UpsampleLayerTest, Types);

template <typename T>
void Check(const std::string& text, int height, int width,
           const std::vector<int>& shape = {2, 3, 3, 4}) {
  SCOPED_TRACE(text);
  LayerRun<T> run(text, {shape, shape});
  FillPlaces(run.bottom[1], height * width);
  run.Forward();
  run.Backward();
  ASSERT_EQ(run.top[0]->shape(), (std::vector<int>{shape[0], shape[1], height, width}));
  const int values = shape[2] * shape[3], plane = height * width;
  const Doubles x = run.Bottom(0), mask = run.Bottom(1), dy = run.TopDiff();
  Doubles y(run.top[0]->count(), 0), dx(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const int at = static_cast<int>(i) / values * plane + static_cast<int>(mask[i]);
    y[at] = x[i];
    dx[i] = dy[at];
  }
  EXPECT_EQ(run.Top(), y);
  EXPECT_EQ(run.BottomDiff(0), dx);
  EXPECT_EQ(run.BottomDiff(1), Doubles(x.size(), 0));
}

TYPED_TEST(UpsampleLayerTest, PutsValuesBack) {
  Check<TypeParam>(Upsample(""), 6, 8);
  Check<TypeParam>(Upsample("scale: 3"), 9, 12);
  Check<TypeParam>(Upsample("scale_h: 2 scale_w: 1"), 6, 4);
  Check<TypeParam>(Upsample("scale: 2 pad_out_h: true"), 5, 8);
  Check<TypeParam>(Upsample("pad_out_w: true"), 6, 7);
  Check<TypeParam>(Upsample("upsample_h: 4 upsample_w: 9"), 4, 9);
  Check<TypeParam>(Upsample(""), 90, 120, {2, 8, 45, 60});
  const std::string unpooling = Unpooling("kernel_size: 2 stride: 2 unpool_size: 9");
  Check<TypeParam>(unpooling, 9, 9);
  Check<TypeParam>(
      Unpooling("kernel_h: 2 kernel_w: 3 stride_h: 2 stride_w: 3 unpool_h: 6 "
                "unpool_w: 13"),
      6, 13);
  // max((3 - 1) 2 + 2, 3 2 + 1) and so on.
  Check<TypeParam>(Unpooling("kernel_size: 2 stride: 2"), 7, 9);
}

/// What a pooling took away comes back where it was.
TYPED_TEST(UpsampleLayerTest, UndoesAPooling) {
  LayerRun<TypeParam> pool("type: 'Pooling' pooling_param { kernel_size: 2 stride: 2 }",
                           {{1, 2, 4, 6}}, 2);
  FillDistinct(pool.bottom[0], 3);
  pool.Forward();
  LayerRun<TypeParam> run(Upsample(""), {{1, 2, 2, 3}, {1, 2, 2, 3}});
  for (int i = 0; i < 2; ++i) run.bottom[i]->CopyFrom(*pool.top[i]);
  run.Forward();
  const Doubles x = pool.Bottom(0), y = run.Top(), largest = pool.Top();
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool found = std::find(largest.begin(), largest.end(), x[i]) != largest.end();
    EXPECT_EQ(y[i], found ? x[i] : 0) << i;
  }
}

TYPED_TEST(UpsampleLayerTest, OfTwoInOnePlaceTheLastStays) {
  LayerRun<TypeParam> run(Upsample(""), {{1, 1, 1, 3}, {1, 1, 1, 3}});
  const double mask[] = {4, 4, 0};
  FillWith(run.bottom[0], Half::kData, [](int i) { return 5 + i; });
  FillWith(run.bottom[1], Half::kData, [&](int i) { return mask[i]; });
  run.Forward();
  run.Backward();
  EXPECT_EQ(run.Top(), (Doubles{7, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0}));
  const Doubles dy = run.TopDiff();
  EXPECT_EQ(run.BottomDiff(0), (Doubles{0, dy[4], dy[0]}));
}

TYPED_TEST(UpsampleLayerTest, UnpoolingWithoutPlaces) {
  LayerRun<TypeParam> run(Unpooling("kernel_size: 2 stride: 2 unpool_h: 4 unpool_w: 3"),
                          {{2, 1, 2, 2}});
  run.Forward();
  run.Backward();
  const Doubles x = run.Bottom(0), dy = run.TopDiff();
  for (int n = 0; n < 2; ++n) {
    for (int k = 0; k < 12; ++k) {
      const int i = k / 3, j = k % 3;
      const double want = i % 2 == 0 && j % 2 == 0 ? x[n * 4 + i / 2 * 2 + j / 2] : 0;
      EXPECT_EQ(run.Top()[n * 12 + k], want);
    }
    for (int v = 0; v < 4; ++v) {
      EXPECT_EQ(run.BottomDiff(0)[n * 4 + v], dy[n * 12 + v / 2 * 6 + v % 2 * 2]);
    }
  }
  // The last column lies outside and is moved in; then it is the one that stays.
  LayerRun<TypeParam> moved(Unpooling("kernel_size: 2 stride: 2 unpool_h: 1 unpool_w: 3"),
                            {{1, 1, 1, 3}});
  FillWith(moved.bottom[0], Half::kData, [](int i) { return i + 1; });
  moved.Forward();
  EXPECT_EQ(moved.Top(), (Doubles{1, 0, 3}));
}

TEST(UpsampleLayerTestDouble, Gradient) {
  LayerRun<double> run(Upsample("scale: 2"), {{2, 2, 2, 3}, {2, 2, 2, 3}});
  FillPlaces(run.bottom[1], 24);
  GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top, 0);
  LayerRun<double> starts(Unpooling("kernel_size: 3 stride: 2"), {{2, 2, 2, 3}});
  GradientChecker().CheckGradientExhaustive(starts.layer.get(), starts.bottom,
                                            starts.top);
}

TEST(UpsampleLayerTestFloat, FollowsTheBottomsShape) {
  LayerRun<float> run(Upsample(""), {{1, 1, 2, 2}, {1, 1, 2, 2}});
  FillPlaces(run.bottom[1], 16);
  run.Forward();
  for (Blob<float>* blob : run.bottom) blob->Reshape({1, 1, 3, 1});
  FillPlaces(run.bottom[1], 12);
  run.Forward();
  EXPECT_EQ(run.top[0]->shape(), (std::vector<int>{1, 1, 6, 2}));
}

TEST(UpsampleLayerTestErrors, SaysWhatIsWrong) {
  const Shapes two = {{1, 2, 2, 2}, {1, 2, 2, 2}};
  ExpectLayerError(Upsample("upsample_h: 4"), two, 1,
                   {"layer 'u' (Upsample)", "belong together"});
  ExpectLayerError(Upsample("upsample_h: 4 upsample_w: 4 scale: 2"), two, 1,
                   {"upsample_h and upsample_w and a scale"});
  ExpectLayerError(Upsample("scale: 2 scale_h: 2 scale_w: 2"), two, 1,
                   {"both scale and"});
  ExpectLayerError(Upsample("scale: 0"), two, 1, {"scales 0 and 0"});
  ExpectLayerError(Upsample("scale: 3 pad_out_h: true"), two, 1, {"a scale of 2"});
  ExpectLayerError(Upsample("upsample_h: 0 upsample_w: 3"), two, 1, {"upsample_h 0"});
  ExpectLayerError(Upsample("scale: 4294967295"), two, 1, {"the top would have"});
  ExpectLayerError(Upsample(""), {{1, 2, 2, 2}, {1, 2, 2, 3}}, 1,
                   {"bottom[1] 'mask': shape (1, 2, 2, 3)", "like bottom[0]"});
  ExpectLayerError(Upsample(""), {{2, 2}, {2, 2}}, 1, {"(N, C, H, W)"});
  ExpectLayerError(Upsample(""), {{1, 2, 2, 2}}, 1, {"expected 2: values and places"});
  ExpectLayerError(Unpooling(""), two, 1, {"layer 'u' (Unpooling)", "a kernel of 0 x 0"});
  ExpectLayerError(Unpooling("kernel_h: 2"), two, 1, {"kernel_h and kernel_w belong"});
  ExpectLayerError(Unpooling("kernel_size: 2 stride: 2 stride_h: 2 stride_w: 2"), two, 1,
                   {"stride for both axes and by axis"});
  ExpectLayerError(Unpooling("kernel_size: 2 unpool_size: 0"), two, 1,
                   {"a top of 0 x 0"});
  const auto with_place = [&](float place) {
    return ErrorOfAction([&] {
      LayerRun<float> run(Upsample(""), two);
      FillWith(run.bottom[1], Half::kData, [=](int i) { return i == 3 ? place : 0; });
      run.Forward();
    });
  };
  EXPECT_NE(with_place(16).find("at place 16, expected 0 to 15 for the top's 4 x 4"),
            std::string::npos);
  EXPECT_NE(with_place(-1).find("at place -1"), std::string::npos);
  EXPECT_NE(with_place(NAN).find("at place nan"), std::string::npos);
}

}  // namespace
}  // namespace test
}  // namespace caffe
