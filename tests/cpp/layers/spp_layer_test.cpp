#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string SPP(const std::string& params) {
  return "name: 's' type: 'SPP' spp_param { " + params + " }";
}

template <typename T>
class SPPLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(SPPLayerTest, Types);

// One value of a level: of the window (row, column) of an image of height x width.
double Pooled(const double* image, int height, int width, int bins, int row, int column,
              bool average) {
  const int kernel_h = (height + bins - 1) / bins, kernel_w = (width + bins - 1) / bins;
  const int pad_h = (kernel_h * bins - height + 1) / 2,
            pad_w = (kernel_w * bins - width + 1) / 2;
  double sum = 0, largest = -INFINITY;
  int size = 0;
  for (int h = row * kernel_h - pad_h; h < (row + 1) * kernel_h - pad_h; ++h) {
    for (int w = column * kernel_w - pad_w; w < (column + 1) * kernel_w - pad_w; ++w) {
      // Padding counts in averages, what is beyond it does not.
      if (h < height + pad_h && w < width + pad_w) ++size;
      if (h < 0 || w < 0 || h >= height || w >= width) continue;
      sum += image[h * width + w];
      largest = std::max(largest, image[h * width + w]);
    }
  }
  return average ? sum / size : largest;
}

TYPED_TEST(SPPLayerTest, PoolsEveryLevel) {
  const int sizes[][2] = {{9, 12}, {8, 8}, {14, 9}};
  for (const char* pool : {"MAX", "AVE"}) {
    for (const int height : {1, 2, 3}) {
      LayerRun<TypeParam> run(SPP(Str("pyramid_height: ", height, " pool: ", pool)),
                              {{2, 3, 9, 12}});
      for (const auto& size : sizes) {  // images of other sizes, the same vectors
        run.bottom[0]->Reshape({2, 3, size[0], size[1]});
        FillDistinct(run.bottom[0], 3);
        run.Forward();
        const Doubles x = run.Bottom(0);
        Doubles want;
        for (int n = 0; n < 2; ++n) {
          for (int level = 0; level < height; ++level) {
            const int bins = 1 << level;
            for (int c = 0; c < 3; ++c) {
              for (int i = 0; i < bins * bins; ++i) {
                want.push_back(Pooled(&x[(n * 3 + c) * size[0] * size[1]], size[0],
                                      size[1], bins, i / bins, i % bins,
                                      std::string(pool) == "AVE"));
              }
            }
          }
        }
        const int length = 3 * ((1 << 2 * height) - 1) / 3;
        const std::vector<int> shape =
            height == 1 ? std::vector<int>{2, 3, 1, 1} : std::vector<int>{2, length};
        EXPECT_EQ(run.top[0]->shape(), shape);
        ExpectClose(run.Top(), want,
                    ToleranceOf<TypeParam>(OpKind::kReduction, size[0] * size[1]), "top");
      }
    }
  }
}

TEST(SPPLayerTestDouble, Gradient) {
  for (const char* params :
       {"pyramid_height: 1", "pyramid_height: 2", "pyramid_height: 3 pool: AVE"}) {
    SCOPED_TRACE(params);
    LayerRun<double> run(SPP(params), {{2, 2, 4, 6}});
    FillDistinct(run.bottom[0], 3);
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
  }
}

TEST(SPPLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(SPP(""), {{2, 3, 4, 4}}, 1,
                   {"layer 's' (SPP): spp_param.pyramid_height is 0, expected 1 to 16"});
  ExpectLayerError(SPP("pyramid_height: 4000000000"), {{2, 3, 4, 4}}, 1,
                   {"pyramid_height is 4000000000"});
  ExpectLayerError(SPP("pyramid_height: 4"), {{2, 3, 4, 16}}, 1,
                   {"an image of 4 by 16 pixels cannot be divided into 8 by 8 windows"});
  ExpectLayerError(SPP("pyramid_height: 2"), {{2, 3}}, 1,
                   {"expected images (N, C, H, W)"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
