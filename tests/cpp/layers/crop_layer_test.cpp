#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

struct CropCase {
  std::string params;
  std::vector<int> from, like, want, offsets;
};

const std::vector<CropCase>& Cases() {
  static const std::vector<CropCase> cases = {
      {"", {2, 3, 5, 6}, {7, 8, 3, 4}, {2, 3, 3, 4}, {0, 0, 0, 0}},
      {"offset: 2", {2, 3, 5, 6}, {1, 1, 3, 4}, {2, 3, 3, 4}, {0, 0, 2, 2}},
      {"offset: 1 offset: 0", {2, 3, 5, 6}, {1, 1, 3, 6}, {2, 3, 3, 6}, {0, 0, 1, 0}},
      {"axis: 0 offset: 1", {3, 4, 5, 3}, {2, 2, 2, 2}, {2, 2, 2, 2}, {1, 1, 1, 1}},
      {"axis: 1 offset: 1 offset: 0 offset: 0",
       {2, 4, 3, 5},
       {9, 2, 3, 5},
       {2, 2, 3, 5},
       {0, 1, 0, 0}},
      {"axis: -1 offset: 3", {2, 3, 9}, {1, 1, 4}, {2, 3, 4}, {0, 0, 3}},
      {"axis: 2", {2, 3, 4, 4}, {2, 3, 4, 4}, {2, 3, 4, 4}, {0, 0, 0, 0}},
      {"axis: 1 offset: 1 offset: 0 offset: 2 offset: 1",
       {2, 3, 4, 5, 6},
       {1, 2, 4, 3, 4},
       {2, 2, 4, 3, 4},
       {0, 1, 0, 2, 1}},
      {"offset: 5", {2, 3, 67, 71}, {2, 3, 61, 62}, {2, 3, 61, 62}, {0, 0, 5, 5}},
  };
  return cases;
}

std::string Crop(const std::string& params) {
  return "name: 'c' type: 'Crop' crop_param { " + params + " }";
}

template <typename T>
class CropLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(CropLayerTest, Types);

TYPED_TEST(CropLayerTest, CutsAndPutsBack) {
  for (const CropCase& c : Cases()) {
    SCOPED_TRACE(c.params);
    LayerRun<TypeParam> run(Crop(c.params), {c.from, c.like});
    run.Forward();
    run.Backward();
    ASSERT_EQ(run.top[0]->shape(), c.want);
    const Doubles x = run.Bottom(0), dy = run.TopDiff();
    Doubles want, dx(x.size(), 0);
    for (size_t i = 0; i < dy.size(); ++i) {
      size_t rest = i, place = 0, stride = 1;
      for (int axis = static_cast<int>(c.from.size()) - 1; axis >= 0; --axis) {
        place += (rest % c.want[axis] + c.offsets[axis]) * stride;
        rest /= c.want[axis];
        stride *= c.from[axis];
      }
      want.push_back(x[place]);
      dx[place] = dy[i];
    }
    EXPECT_EQ(run.Top(), want);
    EXPECT_EQ(run.BottomDiff(0), dx);
    EXPECT_EQ(run.BottomDiff(1), Doubles(run.bottom[1]->count(), 0));
  }
}

TEST(CropLayerTestDouble, Gradient) {
  for (size_t i = 0; i + 1 < Cases().size(); ++i) {
    const CropCase& c = Cases()[i];
    LayerRun<double> run(Crop(c.params), {c.from, c.like});
    GradientChecker().CheckGradient(run.layer.get(), run.bottom, run.top);
  }
}

TEST(CropLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(
      Crop(""), {{2, 3, 4, 4}, {2, 3, 5, 4}}, 1,
      {"layer 'c' (Crop): axis 2 of bottom[0], of shape (2, 3, 4, 4), has no "
       "room for 5 elements from offset 0"});
  ExpectLayerError(Crop("offset: 4294967295"), {{2, 3, 4, 4}, {2, 3, 4, 4}}, 1,
                   {"from offset 4294967295 on"});
  ExpectLayerError(Crop("offset: 1 offset: 1 offset: 1"), {{2, 3, 4, 4}, {2, 3, 1, 1}}, 1,
                   {"crop_param.offset is given 3 times, expected 0, 1 or 2"});
  ExpectLayerError(Crop(""), {{2, 3, 4, 4}, {2, 3, 4}}, 1,
                   {"bottom[1]: shape (2, 3, 4), expected 4 axes"});
  ExpectLayerError(Crop("axis: 4"), {{2, 3, 4, 4}, {2, 3, 4, 4}}, 1, {"axis 4"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
