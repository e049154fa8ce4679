#include "caffe/layers/lrn_layer.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string Lrn(const std::string& param) {
  return "name: 'n' type: 'LRN' lrn_param { " + param + " }";
}

struct LayerCase {
  std::string param;
  bool across;
  int size;
  double alpha, beta, k;
};

const LayerCase kCases[] = {
    {"", true, 5, 1, 0.75, 1},
    {"local_size: 3 alpha: 0.5 beta: 0.25 k: 2", true, 3, 0.5, 0.25, 2},
    {"local_size: 1 alpha: 2", true, 1, 2, 0.75, 1},
    // Wider than the image has channels.
    {"local_size: 15 alpha: 4 beta: 0.5", true, 15, 4, 0.5, 1},
    {"norm_region: WITHIN_CHANNEL local_size: 3", false, 3, 1, 0.75, 1},
    {"norm_region: WITHIN_CHANNEL local_size: 5 alpha: 2 beta: 0.5", false, 5, 2, 0.5, 1},
    // k belongs to ACROSS_CHANNELS only.
    {"norm_region: WITHIN_CHANNEL local_size: 3 k: 7", false, 3, 1, 0.75, 1},
    {"norm_region: WITHIN_CHANNEL local_size: 11", false, 11, 1, 0.75, 1},
};

// Each value over (k + alpha · mean of the squares around it)^beta, what lies outside
// counting as 0 in the mean.
Doubles Reference(const LayerCase& c, const std::vector<int>& shape, const Doubles& x) {
  const int channels = shape[1], height = shape[2], width = shape[3], reach = c.size / 2;
  const auto at = [&](int n, int k, int h, int w) -> double {
    if (k < 0 || k >= channels || h < 0 || h >= height || w < 0 || w >= width) return 0;
    return x[((n * channels + k) * height + h) * width + w];
  };
  Doubles y;
  for (int n = 0; n < shape[0]; ++n) {
    for (int k = 0; k < channels; ++k) {
      for (int h = 0; h < height; ++h) {
        for (int w = 0; w < width; ++w) {
          double squares = 0;
          for (int i = -reach; i <= reach; ++i) {
            if (c.across) {
              squares += at(n, k + i, h, w) * at(n, k + i, h, w);
              continue;
            }
            for (int j = -reach; j <= reach; ++j) {
              squares += at(n, k, h + i, w + j) * at(n, k, h + i, w + j);
            }
          }
          const double mean = squares / (c.across ? c.size : c.size * c.size);
          y.push_back(at(n, k, h, w) / std::pow(c.k + c.alpha * mean, c.beta));
        }
      }
    }
  }
  return y;
}

template <typename T>
class LRNLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(LRNLayerTest, Types);

TYPED_TEST(LRNLayerTest, Forward) {
  using T = TypeParam;
  for (const LayerCase& c : kCases) {
    for (const std::vector<int>& shape :
         Shapes{{2, 7, 5, 4}, {1, 3, 1, 1}, {3, 1, 6, 2}}) {
      SCOPED_TRACE(Str(c.param, " on ", ShapeText(shape)));
      LayerRun<T> run(Lrn(c.param), {shape});
      Fill(run.bottom[0], 1, -3, 3);
      run.Forward();
      ExpectClose(run.Top(), Reference(c, shape, run.Bottom(0)),
                  ToleranceOf<T>(OpKind::kTranscendental), "top");
    }
  }
}

TEST(LRNGradientTest, BothRegions) {
  for (const LayerCase& c : kCases) {
    SCOPED_TRACE(c.param);
    LayerRun<double> run(Lrn(c.param), {{2, 6, 3, 3}});
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
  }
}

TEST(LRNFloatTest, MatchesDouble) {
  for (const LayerCase& c : kCases) {
    ExpectFloatMatchesDouble(Lrn(c.param), {{2, 7, 5, 4}}, OpKind::kNormalization,
                             c.size * c.size);
  }
}

TEST(LRNPackedTest, MatchesPlain) {
  PackedCase options;
  options.stays_packed = false;
  for (const LayerCase& c : kCases) {
    ExpectPackedMatchesPlain(Lrn(c.param), {{2, 16, 5, 4}}, options);
  }
}

TEST(LRNErrorTest, BadInput) {
  for (const char* size : {"0", "4", "4294967295", "4294967294"}) {
    ExpectLayerError(Lrn(std::string("local_size: ") + size), {{1, 2, 3, 3}}, 1,
                     {std::string("local_size is ") + size, "odd"});
  }
  ExpectLayerError(Lrn(""), {{1, 2, 3}}, 1, {"(1, 2, 3)", "4 axes"});
  LayerRun<float> run(Lrn(""), {{1, 2, 3, 3}});
  run.InPlace();
  EXPECT_NE(ErrorOfAction([&] { run.SetUp(); }).find("in place"), std::string::npos);
}

}  // namespace
}  // namespace test
}  // namespace caffe
