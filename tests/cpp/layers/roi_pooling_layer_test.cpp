#include <cmath>
#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string RoiPooling(const std::string& param) {
  return "name: 'r' type: 'ROIPooling' bottom: 'maps' bottom: 'rois' roi_pooling_param "
         "{" +
         param + "}";
}

/// Rows (image, x1, y1, x2, y2).
template <typename T>
void SetRegions(Blob<T>* blob, const std::vector<double>& rows) {
  blob->Reshape({static_cast<int>(rows.size() / 5), 5});
  FillWith(blob, Half::kData, [&](int i) { return rows[i]; });
}

// Whole ones, parts, one pixel, beyond the edges, outside, with swapped corners.
const std::vector<double> kRegions = {0, 0,   0,   6,   4,   //
                                      1, 1,   2,   4,   3,   //
                                      0, 3,   3,   3,   3,   //
                                      1, -2,  -3,  9,   8,   //
                                      0, 20,  20,  25,  25,  //
                                      1, 5,   3,   2,   1,   //
                                      1, 0.4, 1.5, 5.6, 3.4};

template <typename T>
class ROIPoolingLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(ROIPoolingLayerTest, Types);

template <typename T>
void Check(int pooled_h, int pooled_w, double scale,
           const std::vector<double>& regions = kRegions,
           const std::vector<int>& shape = {2, 3, 5, 7}) {
  SCOPED_TRACE(Str(pooled_h, " x ", pooled_w, ", ", scale));
  LayerRun<T> run(RoiPooling(Str("pooled_h: ", pooled_h, " pooled_w: ", pooled_w,
                                 " spatial_scale: ", scale)),
                  {shape, {1, 5}});
  FillDistinct(run.bottom[0], 3);
  SetRegions(run.bottom[1], regions);
  run.Forward();
  run.Backward({true, false});
  const int count = static_cast<int>(regions.size() / 5);
  const int channels = shape[1], height = shape[2], width = shape[3];
  ASSERT_EQ(run.top[0]->shape(), (std::vector<int>{count, channels, pooled_h, pooled_w}));
  const Doubles x = run.Bottom(0), dy = run.TopDiff();
  Doubles y(run.top[0]->count(), 0), dx(x.size(), 0);
  for (int r = 0; r < count; ++r) {
    const double* region = &regions[r * 5];
    const int x1 = static_cast<int>(std::round(region[1] * scale));
    const int y1 = static_cast<int>(std::round(region[2] * scale));
    const int w = std::max(static_cast<int>(std::round(region[3] * scale)) - x1 + 1, 1);
    const int h = std::max(static_cast<int>(std::round(region[4] * scale)) - y1 + 1, 1);
    for (int c = 0; c < channels; ++c) {
      const int plane = (static_cast<int>(region[0]) * channels + c) * height * width;
      for (int i = 0; i < pooled_h; ++i) {
        for (int j = 0; j < pooled_w; ++j) {
          // Whole numbers: i h / pooled_h down, (i + 1) h / pooled_h up.
          const int top = y1 + i * h / pooled_h, left = x1 + j * w / pooled_w;
          const int bottom = y1 + ((i + 1) * h + pooled_h - 1) / pooled_h;
          const int right = x1 + ((j + 1) * w + pooled_w - 1) / pooled_w;
          int best = -1;
          for (int v = std::max(top, 0); v < std::min(bottom, height); ++v) {
            for (int u = std::max(left, 0); u < std::min(right, width); ++u) {
              const int at = plane + v * width + u;
              if (best < 0 || x[at] > x[best]) best = at;
            }
          }
          const int cell = ((r * channels + c) * pooled_h + i) * pooled_w + j;
          if (best < 0) continue;
          y[cell] = x[best];
          dx[best] += dy[cell];
        }
      }
    }
  }
  ExpectClose(run.Top(), y, ToleranceOf<T>(OpKind::kCopy), "top");
  ExpectClose(run.BottomDiff(0), dx,
              ToleranceOf<T>(OpKind::kReduction, count * pooled_h * pooled_w), "dx");
}

TYPED_TEST(ROIPoolingLayerTest, AgainstLoops) {
  Check<TypeParam>(2, 2, 1);
  Check<TypeParam>(1, 1, 1);
  Check<TypeParam>(2, 4, 1);
  Check<TypeParam>(2, 2, 0.5);
  Check<TypeParam>(1, 4, 0.0625);
  Check<TypeParam>(4, 4, 1, {1, 0, 0, 3, 3, 0, 2, 1, 9, 8}, {2, 16, 19, 23});
}

/// The layer's cells when they are more than the pixels.
TEST(ROIPoolingLayerTestDouble, PixelsSpreadOverCells) {
  LayerRun<double> run(RoiPooling("pooled_h: 1 pooled_w: 4"), {{1, 1, 1, 2}, {1, 5}});
  SetRegions(run.bottom[1], {0, 0, 0, 1, 0});
  FillWith(run.bottom[0], Half::kData, [](int i) { return 5 + i; });
  run.Forward();
  EXPECT_EQ(run.Top(), (Doubles{5, 5, 6, 6}));
}

TEST(ROIPoolingLayerTestDouble, Gradient) {
  LayerRun<double> run(RoiPooling("pooled_h: 2 pooled_w: 2 spatial_scale: 0.5"),
                       {{2, 2, 5, 4}, {1, 5}});
  FillDistinct(run.bottom[0], 3);
  SetRegions(run.bottom[1], {0, 0, 0, 7, 9, 1, 2, 2, 4, 8, 1, 0, 0, 5, 5});
  GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top, 0);
}

TEST(ROIPoolingLayerTestFloat, TakesRegionsWithFourAxes) {
  LayerRun<float> run(RoiPooling("pooled_h: 2 pooled_w: 2"),
                      {{1, 2, 4, 4}, {3, 5, 1, 1}});
  FillWith(run.bottom[1], Half::kData, [](int i) { return i % 5 == 0 ? 0 : 1; });
  run.Forward();
  EXPECT_EQ(run.top[0]->shape(0), 3);
  run.Backward({true, false});
}

TEST(ROIPoolingLayerTestErrors, SaysWhatIsWrong) {
  const std::string good = RoiPooling("pooled_h: 2 pooled_w: 2");
  const Shapes shapes = {{1, 2, 4, 4}, {1, 5}};
  ExpectLayerError(RoiPooling("pooled_w: 2"), shapes, 1,
                   {"layer 'r' (ROIPooling)", "pooled_h 0 and pooled_w 2"});
  ExpectLayerError(RoiPooling("pooled_h: 2 pooled_w: 2 spatial_scale: 0"), shapes, 1,
                   {"spatial_scale is 0"});
  ExpectLayerError(good, {{2, 4, 4}, {1, 5}}, 1, {"bottom[0] 'maps'", "(N, C, H, W)"});
  ExpectLayerError(good, {{1, 2, 4, 4}, {1, 4}}, 1, {"bottom[1] 'rois'", "(R, 5)"});
  const auto with = [&](const std::vector<double>& region) {
    return ErrorOfAction([&] {
      LayerRun<float> run(good, shapes);
      SetRegions(run.bottom[1], region);
      run.Forward();
    });
  };
  EXPECT_NE(with({1, 0, 0, 2, 2}).find("region 0 is of image 1, expected 0 to 0"),
            std::string::npos);
  EXPECT_NE(with({-1, 0, 0, 2, 2}).find("image -1"), std::string::npos);
  EXPECT_NE(with({0, 0, 0, NAN, 2}).find("a corner at nan"), std::string::npos);
  EXPECT_NE(with({0, 0, -1e30, 2, 2}).find("a corner at -1e+30"), std::string::npos);
  EXPECT_NE(ErrorOfAction([&] {
              LayerRun<float> run(good, shapes);
              SetRegions(run.bottom[1], {0, 0, 0, 2, 2});
              run.Forward();
              run.Backward({true, true});
            }).find("regions have no gradient"),
            std::string::npos);
}

}  // namespace
}  // namespace test
}  // namespace caffe
