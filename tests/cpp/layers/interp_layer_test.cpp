#include <cmath>
#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string Interp(const std::string& param) {
  return "name: 'up' type: 'Interp' bottom: 'x' interp_param {" + param + "}";
}

/// The definition as a sum over all pixels: a pixel at distance d from the place of an
/// output weighs max(0, 1 - |d|) along each axis.
struct Reference {
  std::vector<int> in;  // (N, C, H, W)
  int height, width;    // of the output
  int cut_begin = 0, cut_end = 0;

  double Weight(int output, int outputs, int pixel, int pixels) const {
    const int left = pixels - cut_begin - cut_end;
    if (pixel < cut_begin || pixel >= pixels - cut_end) return 0;
    const double place = outputs == 1 ? 0 : double(output) * (left - 1) / (outputs - 1);
    return std::max(0.0, 1 - std::fabs(place - (pixel - cut_begin)));
  }

  /// Calls visit(output index, input index, weight) for all pairs that weigh something.
  template <typename Visit>
  void ForEachPair(Visit visit) const {
    for (int plane = 0; plane < in[0] * in[1]; ++plane) {
      for (int i = 0; i < height; ++i) {
        for (int j = 0; j < width; ++j) {
          for (int y = 0; y < in[2]; ++y) {
            for (int x = 0; x < in[3]; ++x) {
              const double weight =
                  Weight(i, height, y, in[2]) * Weight(j, width, x, in[3]);
              if (weight == 0) continue;
              visit((plane * height + i) * width + j, (plane * in[2] + y) * in[3] + x,
                    weight);
            }
          }
        }
      }
    }
  }
};

template <typename T>
class InterpLayerTest : public ::testing::Test {
 protected:
  void Check(const std::string& param, const Reference& want, const Shapes& second = {}) {
    SCOPED_TRACE(param);
    Shapes shapes = {want.in};
    shapes.insert(shapes.end(), second.begin(), second.end());
    LayerRun<T> run(Interp(param), shapes);
    run.Forward();
    ASSERT_EQ(run.top[0]->shape(),
              (std::vector<int>{want.in[0], want.in[1], want.height, want.width}));
    Doubles top(run.top[0]->count(), 0), dx(run.bottom[0]->count(), 0);
    std::vector<bool> propagate(shapes.size(), false);
    propagate[0] = true;
    run.Backward(propagate);
    const Doubles x = run.Bottom(0), dy = run.TopDiff();
    want.ForEachPair([&](int output, int input, double weight) {
      top[output] += weight * x[input];
      dx[input] += weight * dy[output];
    });
    ExpectClose(run.Top(), top,
                ToleranceOf<T>(OpKind::kInterpolation, want.height + want.width), "top");
    ExpectClose(run.BottomDiff(0), dx,
                ToleranceOf<T>(OpKind::kInterpolation, want.height * want.width), "dx");
  }
};

using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(InterpLayerTest, Types);

TYPED_TEST(InterpLayerTest, SizesGivenOutright) {
  this->Check("height: 9 width: 4", {{2, 3, 5, 7}, 9, 4});
  this->Check("height: 5 width: 7", {{1, 2, 5, 7}, 5, 7});
  this->Check("height: 1 width: 1", {{1, 2, 5, 7}, 1, 1});
  this->Check("height: 6 width: 3", {{1, 1, 1, 1}, 6, 3});
  this->Check("height: 1 width: 11", {{1, 2, 4, 1}, 1, 11});
  this->Check("height: 56 width: 56", {{2, 8, 28, 28}, 56, 56});
}

TYPED_TEST(InterpLayerTest, Factors) {
  this->Check("zoom_factor: 2", {{2, 2, 4, 3}, 7, 5});
  this->Check("zoom_factor: 1", {{2, 2, 4, 3}, 4, 3});
  this->Check("shrink_factor: 2", {{1, 2, 8, 7}, 4, 4});
  this->Check("shrink_factor: 3", {{1, 2, 8, 3}, 3, 1});
  this->Check("shrink_factor: 2 zoom_factor: 4", {{1, 1, 5, 6}, 9, 9});
}

TYPED_TEST(InterpLayerTest, SizeOfTheSecondBottom) {
  this->Check("", {{2, 3, 4, 5}, 8, 3}, {{2, 1, 8, 3}});
  this->Check("pad_beg: -1", {{2, 3, 4, 5}, 6, 6, 1, 0}, {{7, 2, 6, 6}});
}

TYPED_TEST(InterpLayerTest, CutsOffEdges) {
  this->Check("height: 7 width: 6 pad_beg: -1 pad_end: -2", {{2, 2, 6, 5}, 7, 6, 1, 2});
  this->Check("zoom_factor: 3 pad_end: -1", {{1, 2, 4, 3}, 7, 4, 0, 1});
  this->Check("height: 3 width: 3 pad_beg: -2 pad_end: -2", {{1, 1, 5, 5}, 3, 3, 2, 2});
}

/// Corner pixels coincide, and an output between two pixels is their mean.
TEST(InterpLayerTestDouble, KnownValues) {
  LayerRun<double> run(Interp("zoom_factor: 2"), {{1, 1, 2, 2}});
  const double pixels[] = {1, 3, 5, 11};
  FillWith(run.bottom[0], Half::kData, [&](int i) { return pixels[i]; });
  run.Forward();
  EXPECT_EQ(run.Top(), (Doubles{1, 2, 3, 3, 5, 7, 5, 8, 11}));
}

TEST(InterpLayerTestDouble, Gradient) {
  for (const char* param : {"height: 5 width: 3", "zoom_factor: 2", "shrink_factor: 2",
                            "height: 2 width: 6 pad_beg: -1 pad_end: -1"}) {
    SCOPED_TRACE(param);
    LayerRun<double> run(Interp(param), {{2, 2, 4, 5}});
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
  }
  LayerRun<double> two(Interp(""), {{1, 2, 3, 4}, {1, 1, 5, 5}});
  GradientChecker().CheckGradientExhaustive(two.layer.get(), two.bottom, two.top, 0);
}

TEST(InterpLayerTestFloat, FollowsTheBottomsShape) {
  LayerRun<float> run(Interp("zoom_factor: 2"), {{1, 2, 3, 3}});
  run.Forward();
  run.bottom[0]->Reshape({2, 2, 4, 2});
  run.layer->Reshape(run.bottom, run.top);
  EXPECT_EQ(run.top[0]->shape(), (std::vector<int>{2, 2, 7, 3}));
}

TEST(InterpLayerTestFloat, Packed) {
  PackedCase options;
  options.kind = OpKind::kElementwise;
  options.stays_packed = false;
  ExpectPackedMatchesPlain(Interp("height: 6 width: 4"), {{2, 32, 3, 5}}, options);
}

TEST(InterpLayerTestErrors, SaysWhatIsWrong) {
  const Shapes image = {{1, 2, 5, 5}};
  const Shapes two = {{1, 2, 5, 5}, {1, 2, 5, 5}};
  ExpectLayerError(Interp(""), image, 1,
                   {"layer 'up' (Interp): the output size is given nowhere", "height"});
  ExpectLayerError(Interp("pad_beg: -1"), image, 1, {"nowhere"});
  ExpectLayerError(Interp("zoom_factor: 2 height: 4 width: 4"), image, 1,
                   {"more than once"});
  ExpectLayerError(Interp("height: 4 width: 4"), two, 1, {"more than once"});
  ExpectLayerError(Interp("height: 4"), image, 1, {"height 4 and width 0", "positive"});
  ExpectLayerError(Interp("height: -4 width: 3"), image, 1, {"height -4 and width 3"});
  ExpectLayerError(Interp("zoom_factor: 0"), image, 1, {"zoom_factor 0", "at least 1"});
  ExpectLayerError(Interp("shrink_factor: -3"), image, 1, {"shrink_factor -3"});
  ExpectLayerError(Interp("zoom_factor: 2 pad_beg: 1"), image, 1,
                   {"pad_beg 1 and pad_end 0", "0 or less"});
  ExpectLayerError(Interp("zoom_factor: 2 pad_beg: -3 pad_end: -2"), image, 1,
                   {"bottom[0] 'x'", "nothing left of 5 x 5", "pad_beg -3"});
  ExpectLayerError(Interp("zoom_factor: 2 pad_beg: -2147483648 pad_end: -2147483648"),
                   image, 1, {"nothing left"});
  ExpectLayerError(Interp("zoom_factor: 2147483647"), image, 1,
                   {"zoom_factor 2147483647", "at most"});
  ExpectLayerError(Interp("height: 2147483647 width: 2147483647"), image, 1,
                   {"2147483647"});
  ExpectLayerError(Interp("zoom_factor: 2"), {{2, 3}}, 1,
                   {"bottom[0] 'x': shape (2, 3)", "(N, C, H, W)"});
  ExpectLayerError(Interp(""), {{1, 2, 5, 5}, {2, 3}}, 1,
                   {"bottom[1]: shape (2, 3)", "(N, C, H, W)"});
  ExpectLayerError(Interp("zoom_factor: 2"), {}, 1, {"at least 1"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
