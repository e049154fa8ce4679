#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

struct Im2colCase {
  std::string params;
  std::vector<int> shape;
  int axis;
  std::vector<int> kernel, stride, pad, dilation;
};

const std::vector<Im2colCase>& Cases() {
  static const std::vector<Im2colCase> cases = {
      {"kernel_size: 3 stride: 2", {2, 3, 6, 5}, 1, {3, 3}, {2, 2}, {0, 0}, {1, 1}},
      {"kernel_size: 3 stride: 2 force_nd_im2col: true",
       {2, 3, 6, 5},
       1,
       {3, 3},
       {2, 2},
       {0, 0},
       {1, 1}},
      {"kernel_h: 2 kernel_w: 3 pad_h: 1 pad_w: 2 dilation: 2",
       {2, 3, 6, 5},
       1,
       {2, 3},
       {1, 1},
       {1, 2},
       {2, 2}},
      {"kernel_size: 2 axis: 2", {2, 2, 3, 5}, 2, {2}, {1}, {0}, {1}},
      {"kernel_size: 2 kernel_size: 3 kernel_size: 1 pad: 1 stride: 2",
       {2, 2, 4, 5, 3},
       1,
       {2, 3, 1},
       {2, 2, 2},
       {1, 1, 1},
       {1, 1, 1}},
      {"kernel_size: 3 pad: 1", {3, 4, 37, 41}, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
  };
  return cases;
}

std::string Im2col(const std::string& params) {
  return "name: 'i' type: 'Im2col' convolution_param { " + params + " }";
}

template <typename T>
class Im2colLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Im2colLayerTest, Types);

TYPED_TEST(Im2colLayerTest, UnfoldsAndFolds) {
  for (const Im2colCase& c : Cases()) {
    SCOPED_TRACE(c.params);
    LayerRun<TypeParam> run(Im2col(c.params), {c.shape});
    run.Forward();
    run.Backward();
    const int axes = static_cast<int>(c.kernel.size());
    int taps = 1, places = 1;
    std::vector<int> shape(c.shape.begin(), c.shape.begin() + c.axis + 1), out;
    for (int a = 0; a < axes; ++a) {
      const int extent = c.dilation[a] * (c.kernel[a] - 1) + 1;
      out.push_back((c.shape[c.axis + 1 + a] + 2 * c.pad[a] - extent) / c.stride[a] + 1);
      taps *= c.kernel[a];
      places *= out[a];
    }
    shape[c.axis] *= taps;
    shape.insert(shape.end(), out.begin(), out.end());
    ASSERT_EQ(run.top[0]->shape(), shape);
    const Doubles x = run.Bottom(0), dy = run.TopDiff();
    Doubles want, dx(x.size(), 0);
    for (size_t i = 0; i < dy.size(); ++i) {
      int place = static_cast<int>(i) % places, tap = static_cast<int>(i) / places % taps;
      size_t from = 0, step = 1;
      bool inside = true;
      for (int a = axes - 1; a >= 0; --a) {
        const int at =
            place % out[a] * c.stride[a] - c.pad[a] + tap % c.kernel[a] * c.dilation[a];
        inside = inside && at >= 0 && at < c.shape[c.axis + 1 + a];
        from += at * step;
        step *= c.shape[c.axis + 1 + a];
        place /= out[a];
        tap /= c.kernel[a];
      }
      from += i / places / taps * step;
      want.push_back(inside ? x[from] : 0);
      if (inside) dx[from] += dy[i];
    }
    EXPECT_EQ(run.Top(), want);
    ExpectClose(run.BottomDiff(0), dx, ToleranceOf<TypeParam>(OpKind::kReduction, taps),
                "dx");
  }
}

TEST(Im2colLayerTestDouble, Gradient) {
  for (size_t i = 0; i + 1 < Cases().size(); ++i) {
    LayerRun<double> run(Im2col(Cases()[i].params), {Cases()[i].shape});
    GradientChecker().CheckGradient(run.layer.get(), run.bottom, run.top);
  }
}

TEST(Im2colLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(Im2col(""), {{2, 3, 4, 4}}, 1,
                   {"layer 'i' (Im2col): kernel_size is missing"});
  ExpectLayerError(Im2col("kernel_size: 5"), {{2, 3, 4, 4}}, 1,
                   {"the kernel covers 5 elements of spatial axis 0", "(2, 3, 4, 4)"});
  ExpectLayerError(Im2col("kernel_size: 1"), {{2, 3}}, 1, {"has no axis behind"});
  ExpectLayerError(Im2col("kernel_size: 1 stride: 0"), {{2, 3, 4, 4}}, 1, {"stride 0"});
  ExpectLayerError(Im2col("kernel_size: 60000 pad: 60000"), {{2, 3, 4, 4}}, 1,
                   {"more elements than a blob may have"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
