#include "caffe/layers/pooling_layer.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string Pooling(const std::string& param) {
  return "name: 'p' type: 'Pooling' pooling_param { " + param + " }";
}

// One axis of Caffe's pooling, by its rules.
struct Axis {
  int size, kernel, stride, pad;
  bool floor = false;

  int Outputs() const {
    const double steps = double(size + 2 * pad - kernel) / stride;
    int outputs = static_cast<int>(floor ? std::floor(steps) : std::ceil(steps)) + 1;
    // The last window must start inside the image or the padding before it.
    if ((outputs - 1) * stride >= size + pad) --outputs;
    return outputs;
  }
  int First(int o) const { return o * stride - pad; }
  // What AVE counts: the window up to the end of the padding.
  int Counted(int o) const { return std::min(First(o) + kernel, size + pad) - First(o); }
};

struct Window {
  Axis h, w;
};

struct Pooled {
  Doubles values, mask;
};

Pooled Reference(const Window& window, const std::vector<int>& shape, const Doubles& x,
                 bool average) {
  const int out_h = window.h.Outputs(), out_w = window.w.Outputs();
  Pooled result;
  for (int plane = 0; plane < shape[0] * shape[1]; ++plane) {
    for (int oh = 0; oh < out_h; ++oh) {
      for (int ow = 0; ow < out_w; ++ow) {
        double sum = 0, best = -std::numeric_limits<double>::infinity();
        int where = -1;
        for (int i = 0; i < window.h.kernel; ++i) {
          for (int j = 0; j < window.w.kernel; ++j) {
            const int h = window.h.First(oh) + i, w = window.w.First(ow) + j;
            if (h < 0 || h >= shape[2] || w < 0 || w >= shape[3]) continue;
            const double value = x[(plane * shape[2] + h) * shape[3] + w];
            sum += value;
            if (value > best) best = value, where = h * shape[3] + w;
          }
        }
        result.values.push_back(
            average ? sum / (window.h.Counted(oh) * window.w.Counted(ow)) : best);
        result.mask.push_back(where);
      }
    }
  }
  return result;
}

struct LayerCase {
  std::string param;
  std::vector<int> shape;
  Window window;
};

std::vector<LayerCase> LayerCases() {
  return {
      {"kernel_size: 3 stride: 2", {2, 3, 7, 9}, {{7, 3, 2, 0}, {9, 3, 2, 0}}},
      // The last window overhangs: ceil.
      {"kernel_size: 3 stride: 2", {2, 3, 8, 6}, {{8, 3, 2, 0}, {6, 3, 2, 0}}},
      {"kernel_size: 3 stride: 2 round_mode: FLOOR",
       {2, 3, 8, 6},
       {{8, 3, 2, 0, true}, {6, 3, 2, 0, true}}},
      {"kernel_size: 3 pad: 1", {2, 2, 5, 4}, {{5, 3, 1, 1}, {4, 3, 1, 1}}},
      {"kernel_size: 3 stride: 2 pad: 1", {1, 2, 6, 7}, {{6, 3, 2, 1}, {7, 3, 2, 1}}},
      {"kernel_size: 3 stride: 3 pad: 2", {1, 2, 6, 7}, {{6, 3, 3, 2}, {7, 3, 3, 2}}},
      // Padding and overhang in one window.
      {"kernel_size: 4 stride: 3 pad: 1", {1, 2, 7, 8}, {{7, 4, 3, 1}, {8, 4, 3, 1}}},
      {"kernel_h: 3 kernel_w: 2 stride_h: 1 stride_w: 2 pad_h: 1 pad_w: 0",
       {2, 2, 4, 5},
       {{4, 3, 1, 1}, {5, 2, 2, 0}}},
      {"kernel_size: 1", {1, 2, 3, 3}, {{3, 1, 1, 0}, {3, 1, 1, 0}}},
      // Stride beyond the kernel: with H = 2 the ceil rule would make an empty window.
      {"kernel_size: 1 stride: 2", {1, 2, 2, 4}, {{2, 1, 2, 0}, {4, 1, 2, 0}}},
      {"kernel_size: 2 stride: 4", {1, 2, 8, 7}, {{8, 2, 4, 0}, {7, 2, 4, 0}}},
      {"global_pooling: true", {2, 3, 4, 5}, {{4, 4, 1, 0}, {5, 5, 1, 0}}},
      // A kernel that is a little larger than the image.
      {"kernel_size: 3 stride: 2", {1, 2, 2, 2}, {{2, 3, 2, 0}, {2, 3, 2, 0}}},
  };
}

template <typename T>
class PoolingLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(PoolingLayerTest, Types);

TYPED_TEST(PoolingLayerTest, Max) {
  using T = TypeParam;
  for (const LayerCase& c : LayerCases()) {
    SCOPED_TRACE(Str(c.param, " on ", ShapeText(c.shape)));
    LayerRun<T> run(Pooling(c.param), {c.shape}, 2);
    run.Forward();
    const Pooled want = Reference(c.window, c.shape, run.Bottom(0), false);
    const Tolerance exact = ToleranceOf<T>(OpKind::kCopy);
    ASSERT_EQ(run.top[0]->shape(),
              std::vector<int>(
                  {c.shape[0], c.shape[1], c.window.h.Outputs(), c.window.w.Outputs()}));
    ASSERT_EQ(run.top[1]->shape(), run.top[0]->shape());
    ExpectClose(run.Top(0), want.values, exact, "top");
    ExpectClose(run.Top(1), want.mask, exact, "mask");
    run.Backward();
    Doubles dx(run.bottom[0]->count(), 0);
    const Doubles dy = run.TopDiff();
    const int outputs = run.top[0]->count(2), inputs = run.bottom[0]->count(2);
    for (std::size_t i = 0; i < dy.size(); ++i) {
      dx[i / outputs * inputs + static_cast<int>(want.mask[i])] += dy[i];
    }
    ExpectClose(run.BottomDiff(0), dx, ToleranceOf<T>(OpKind::kReduction, 9), "dx");
  }
}

TYPED_TEST(PoolingLayerTest, Average) {
  using T = TypeParam;
  for (const LayerCase& c : LayerCases()) {
    SCOPED_TRACE(Str(c.param, " on ", ShapeText(c.shape)));
    LayerRun<T> run(Pooling("pool: AVE " + c.param), {c.shape});
    run.Forward();
    const Pooled want = Reference(c.window, c.shape, run.Bottom(0), true);
    ExpectClose(run.Top(0), want.values, ToleranceOf<T>(OpKind::kReduction, 20), "top");
    // The mean's gradient is linear: <dy, A x> = <A' dy, x> for every x, here each
    // unit image in turn.
    run.Backward();
    const Doubles dy = run.TopDiff();
    Doubles dx(run.bottom[0]->count(), 0);
    for (std::size_t i = 0; i < dx.size(); ++i) {
      Doubles unit(dx.size(), 0);
      unit[i] = 1;
      const Doubles column = Reference(c.window, c.shape, unit, true).values;
      for (std::size_t j = 0; j < dy.size(); ++j) dx[i] += column[j] * dy[j];
    }
    ExpectClose(run.BottomDiff(0), dx, ToleranceOf<T>(OpKind::kReduction, 20), "dx");
  }
}

TEST(PoolingGradientTest, Max) {
  for (const LayerCase& c : LayerCases()) {
    SCOPED_TRACE(Str(c.param, " on ", ShapeText(c.shape)));
    LayerRun<double> run(Pooling(c.param), {c.shape});
    FillDistinct(run.bottom[0], 1);
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
  }
}

TEST(PoolingGradientTest, Average) {
  for (const LayerCase& c : LayerCases()) {
    SCOPED_TRACE(Str(c.param, " on ", ShapeText(c.shape)));
    LayerRun<double> run(Pooling("pool: AVE " + c.param), {c.shape});
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
  }
}

// Numbers worked out by hand, so that the rule does not rest on the loops above alone.
TEST(PoolingRuleTest, AverageDividesByTheWindowClippedToThePadding) {
  // One row of 1 2 3 4, kernel 3, stride 2, pad 1: windows are (pad 1 2), (2 3 4) and
  // (4 pad): the last one reaches one place beyond the padding, which does not count.
  LayerRun<double> run(
      Pooling("pool: AVE kernel_h: 1 kernel_w: 3 stride_h: 1 stride_w: 2 "
              "pad_h: 0 pad_w: 1"),
      {{1, 1, 1, 4}});
  FillWith(run.bottom[0], Half::kData, [](int i) { return i + 1; });
  run.Forward();
  ExpectClose(run.Top(), {1, 3, 2}, ToleranceOf<double>(OpKind::kReduction, 3), "AVE");
}

TEST(PoolingRuleTest, AnEmptyLastWindowIsDropped) {
  for (const std::string pool : {"MAX", "AVE"}) {
    LayerRun<float> run(Pooling("pool: " + pool + " kernel_size: 1 stride: 2"),
                        {{1, 1, 2, 2}});
    run.Forward();
    EXPECT_EQ(run.top[0]->shape(), std::vector<int>({1, 1, 1, 1}));
    EXPECT_EQ(run.Top()[0], run.Bottom(0)[0]);
    run.Backward();
    ExpectClose(run.BottomDiff(0), {run.TopDiff()[0], 0, 0, 0},
                ToleranceOf<float>(OpKind::kCopy), "dx");
  }
}

TEST(PoolingRuleTest, EqualValuesGoToTheFirst) {
  LayerRun<float> run(Pooling("kernel_size: 2 stride: 2"), {{1, 1, 2, 4}}, 2);
  FillWith(run.bottom[0], Half::kData, [](int) { return 3; });
  run.Forward();
  ExpectClose(run.Top(1), {0, 2}, ToleranceOf<float>(OpKind::kCopy), "mask");
}

// Every kernel, stride, pad and size of one axis.
TEST(PoolingRuleTest, EveryWindowOfOneAxis) {
  int windows = 0;
  for (int size = 1; size <= 8; ++size) {
    for (int kernel = 1; kernel <= std::min(size, 5); ++kernel) {
      for (int stride = 1; stride <= 6; ++stride) {
        for (int pad = 0; pad < kernel; ++pad) {
          for (const bool floor : {false, true}) {
            const Window window{{1, 1, 1, 0}, {size, kernel, stride, pad, floor}};
            for (const bool average : {false, true}) {
              const std::string param = Str(
                  "pool: ", average ? "AVE" : "MAX", " kernel_h: 1 kernel_w: ", kernel,
                  " stride_h: 1 stride_w: ", stride, " pad_h: 0 pad_w: ", pad,
                  floor ? " round_mode: FLOOR" : "");
              SCOPED_TRACE(Str(param, " size ", size));
              LayerRun<double> run(Pooling(param), {{1, 2, 1, size}});
              run.Forward();
              ++windows;
              ASSERT_EQ(run.top[0]->width(), window.w.Outputs());
              ExpectClose(
                  run.Top(),
                  Reference(window, {1, 2, 1, size}, run.Bottom(0), average).values,
                  ToleranceOf<double>(OpKind::kReduction, kernel), "top");
              run.Backward();
              for (double diff : run.BottomDiff(0)) EXPECT_TRUE(std::isfinite(diff));
            }
          }
        }
      }
    }
  }
  EXPECT_GT(windows, 1000);
}

TEST(PoolingPackedTest, MatchesPlain) {
  for (const int block : {8, 16}) {
    for (const std::string pool : {"MAX", "AVE"}) {
      for (const std::string window :
           {"kernel_size: 3 stride: 2", "kernel_size: 3 stride: 2 pad: 1",
            "kernel_size: 2"}) {
        PackedCase options;
        options.kind = OpKind::kReduction;
        options.terms = 9;
        ExpectPackedMatchesPlain(Pooling("pool: " + pool + " " + window), {{2, 32, 7, 6}},
                                 options, block);
        if (pool == "AVE") continue;
        options.tops = 2;
        options.backward = false;
        ExpectPackedMatchesPlain(Pooling(window), {{2, 32, 7, 6}}, options, block);
      }
    }
  }
  PackedCase options;
  options.kind = OpKind::kReduction;
  options.terms = 42;
  ExpectPackedMatchesPlain(Pooling("global_pooling: true"), {{2, 32, 7, 6}}, options, 16);
  // The gradient of one position is plain and takes the layout the machine prefers.
  options.stays_packed = false;
  ExpectPackedMatchesPlain(Pooling("pool: AVE global_pooling: true"), {{2, 32, 7, 6}},
                           options, 16);
}

TEST(PoolingReshapeTest, GlobalPoolingFollowsTheImage) {
  LayerRun<float> run(Pooling("pool: AVE global_pooling: true"), {{2, 3, 7, 7}});
  run.Forward();
  run.bottom[0]->Reshape({1, 3, 10, 12});
  Fill(run.bottom[0], 9);
  run.Forward();
  EXPECT_EQ(run.top[0]->shape(), std::vector<int>({1, 3, 1, 1}));
  const Window window{{10, 10, 1, 0}, {12, 12, 1, 0}};
  ExpectClose(run.Top(), Reference(window, {1, 3, 10, 12}, run.Bottom(0), true).values,
              ToleranceOf<float>(OpKind::kReduction, 120), "top");
}

// Backward with no Forward at this shape has no largest values to go to.
TEST(PoolingReshapeTest, BackwardWithoutForwardStaysInBounds) {
  LayerRun<float> run(Pooling("kernel_size: 2 stride: 2"), {{2, 3, 8, 8}});
  run.SetUp();
  run.Backward();
  EXPECT_EQ(run.bottom[0]->asum_diff(), 0);
  run.Forward();
  for (const std::vector<int>& shape : Shapes{{1, 3, 4, 4}, {4, 3, 16, 16}}) {
    run.bottom[0]->Reshape(shape);
    run.layer->Reshape(run.bottom, run.top);
    run.Backward();
    EXPECT_EQ(run.bottom[0]->asum_diff(), 0);
  }
}

TEST(PoolingReshapeTest, AnEmptyBatchIsNothingToDo) {
  for (const std::string pool : {"MAX", "AVE"}) {
    LayerRun<float> run(Pooling("pool: " + pool + " kernel_size: 2"), {{0, 3, 4, 4}});
    run.Forward();
    run.Backward();
    EXPECT_EQ(run.top[0]->shape(), std::vector<int>({0, 3, 3, 3}));
  }
}

TEST(PoolingErrorTest, BadInput) {
  const auto fails = [](const std::string& param, const std::vector<int>& shape,
                        const std::vector<std::string>& parts, int tops = 1) {
    ExpectLayerError(Pooling(param), {shape}, tops, parts);
  };
  fails("", {1, 2, 4, 4}, {"kernel_size or global_pooling"});
  fails("kernel_size: 0", {1, 2, 4, 4}, {"kernel_size"});
  fails("kernel_size: 4294967295", {1, 2, 4, 4}, {"kernel_size"});
  fails("kernel_size: 2 stride: 0", {1, 2, 4, 4}, {"stride"});
  fails("kernel_size: 2 stride: 4294967295", {1, 2, 4, 4}, {"stride"});
  fails("kernel_size: 2 pad: 2", {1, 2, 4, 4}, {"pad is (2, 2)", "kernel (2, 2)"});
  fails("kernel_h: 2", {1, 2, 4, 4}, {"kernel_h and kernel_w"});
  fails("kernel_size: 2 kernel_h: 2 kernel_w: 2", {1, 2, 4, 4}, {"both"});
  fails("kernel_size: 2 pad: 1 pad_h: 1", {1, 2, 4, 4}, {"pad"});
  fails("kernel_size: 2 stride: 1 stride_w: 1", {1, 2, 4, 4}, {"stride"});
  fails("kernel_size: 2 global_pooling: true", {1, 2, 4, 4}, {"global_pooling"});
  fails("global_pooling: true stride: 2", {1, 2, 4, 4}, {"global_pooling"});
  fails("kernel_size: 7", {1, 2, 4, 9}, {"(1, 2, 4, 9)", "(7, 7)", "larger image"});
  fails("kernel_size: 5 stride: 2 round_mode: FLOOR", {1, 2, 4, 9}, {"too small"});
  fails("kernel_size: 2", {1, 2, 4}, {"(1, 2, 4)", "4 axes"});
  fails("pool: AVE kernel_size: 2", {1, 2, 4, 4}, {"at most 1"}, 2);
  fails("kernel_size: 2", {1, 2, 4, 4}, {"at most 2"}, 3);
}

}  // namespace
}  // namespace test
}  // namespace caffe
