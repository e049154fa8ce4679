#include <cmath>
#include <string>
#include <vector>

#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string PriorBox(const std::string& param) {
  return "name: 'p' type: 'PriorBox' bottom: 'map' bottom: 'data' prior_box_param {" +
         param + "}";
}

/// What a test's parameters mean, in double.
struct Reference {
  std::vector<std::pair<double, double>> boxes;  // width and height in pixels
  double step_h, step_w, image_h, image_w;
  double offset = 0.5;
  std::vector<double> variance = {0.1, 0.1, 0.1, 0.1};
  bool clip = false;
};

template <typename T>
class PriorBoxLayerTest : public ::testing::Test {
 protected:
  void Check(const std::string& param, const Reference& want,
             const std::vector<int>& map = {2, 4, 3, 5}) {
    SCOPED_TRACE(param);
    LayerRun<T> run(PriorBox(param), {map, {2, 3, 60, 100}});
    run.Forward();
    const int half = 4 * map[2] * map[3] * static_cast<int>(want.boxes.size());
    ASSERT_EQ(run.top[0]->shape(), (std::vector<int>{1, 2, half}));
    Doubles values;
    for (int i = 0; i < map[2]; ++i) {
      for (int j = 0; j < map[3]; ++j) {
        for (const auto& [width, height] : want.boxes) {
          const double x = (j + want.offset) * want.step_w;
          const double y = (i + want.offset) * want.step_h;
          for (int corner = 0; corner < 4; ++corner) {
            const double side = corner < 2 ? -0.5 : 0.5;
            double value = corner % 2 == 0 ? (x + side * width) / want.image_w
                                           : (y + side * height) / want.image_h;
            if (want.clip) value = std::fmin(std::fmax(value, 0), 1);
            values.push_back(value);
          }
        }
      }
    }
    for (int k = 0; k < half; ++k) values.push_back(want.variance[k % 4]);
    // Computed in float, whatever the type of the blob, and to 1 of an image.
    ExpectClose(run.Top(), values, ToleranceOf<float>(OpKind::kReduction, 4), "top");
  }
};

using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(PriorBoxLayerTest, Types);

TYPED_TEST(PriorBoxLayerTest, Boxes) {
  this->Check("min_size: 20", {{{20, 20}}, 20, 20, 60, 100});
  const double mean = std::sqrt(20.0 * 45);
  this->Check("min_size: 20 max_size: 45", {{{20, 20}, {mean, mean}}, 20, 20, 60, 100});
  const double root = std::sqrt(2.0), third = std::sqrt(3.0);
  this->Check("min_size: 20 aspect_ratio: 2 aspect_ratio: 3 aspect_ratio: 1",
              {{{20, 20},
                {20 * root, 20 / root},
                {20 / root, 20 * root},
                {20 * third, 20 / third},
                {20 / third, 20 * third}},
               20,
               20,
               60,
               100});
  // 0.5 is there already.
  this->Check(
      "min_size: 20 aspect_ratio: 2 aspect_ratio: 0.5",
      {{{20, 20}, {20 * root, 20 / root}, {20 / root, 20 * root}}, 20, 20, 60, 100});
  this->Check(
      "min_size: 8 min_size: 30 max_size: 18 max_size: 40 aspect_ratio: 2 flip: false",
      {{{8, 8},
        {12, 12},
        {8 * root, 8 / root},
        {30, 30},
        {std::sqrt(1200.0), std::sqrt(1200.0)},
        {30 * root, 30 / root}},
       20,
       20,
       60,
       100});
}

TYPED_TEST(PriorBoxLayerTest, PlacesAndVariances) {
  this->Check("min_size: 20 step: 16 offset: 0", {{{20, 20}}, 16, 16, 60, 100, 0});
  this->Check("min_size: 20 step_h: 16 step_w: 8", {{{20, 20}}, 16, 8, 60, 100});
  this->Check("min_size: 20 img_size: 300", {{{20, 20}}, 100, 60, 300, 300});
  this->Check("min_size: 20 img_h: 30 img_w: 400", {{{20, 20}}, 10, 80, 30, 400});
  this->Check("min_size: 70 clip: true variance: 0.25",
              {{{70, 70}}, 20, 20, 60, 100, 0.5, {0.25, 0.25, 0.25, 0.25}, true});
  this->Check("min_size: 20 variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.3",
              {{{20, 20}}, 20, 20, 60, 100, 0.5, {0.1, 0.1, 0.2, 0.3}});
  // As SSD's, whose sizes are whole pixels.
  this->Check("min_size: 20.9", {{{20, 20}}, 20, 20, 60, 100});
}

TEST(PriorBoxLayerTestFloat, FollowsTheShapesAndHasNoGradient) {
  LayerRun<float> run(PriorBox("min_size: 20"), {{1, 1, 2, 2}, {1, 1, 40, 40}});
  run.Forward();
  run.bottom[0]->Reshape({3, 1, 1, 2});
  run.Forward();
  EXPECT_EQ(run.top[0]->shape(2), 8);
  EXPECT_EQ(run.top[0]->cpu_data()[1], 0.25f);  // (20 - 10) / 40
  run.Backward();
  EXPECT_EQ(run.BottomDiff(0), Doubles(6, 0));
  EXPECT_EQ(run.BottomDiff(1), Doubles(1600, 0));
}

TEST(PriorBoxLayerTestErrors, SaysWhatIsWrong) {
  const Shapes shapes = {{1, 1, 2, 2}, {1, 1, 40, 40}};
  const auto expect = [&](const std::string& param, const std::string& part) {
    ExpectLayerError(PriorBox(param), shapes, 1, {"layer 'p' (PriorBox)", part});
  };
  expect("", "min_size is missing");
  expect("min_size: 0", "min_size is 0, expected a number above 0");
  expect("min_size: nan", "min_size[0] is nan");
  expect("min_size: 20 max_size: 20", "expected more than min_size 20");
  expect("min_size: 20 max_size: 30 max_size: 40", "2 max_size values for 1");
  expect("min_size: 20 aspect_ratio: -2", "aspect_ratio is -2");
  expect("min_size: 20 variance: 0.1 variance: 0.2", "2 variance values");
  expect("min_size: 20 variance: 0", "variance is 0");
  expect("min_size: 20 img_size: 30 img_h: 40", "img_size for both axes and by axis");
  expect("min_size: 20 step: 8 step_w: 8", "step for both axes and by axis");
  expect("min_size: 20 step_w: 8", "step is 0");
  ExpectLayerError(PriorBox("min_size: 20"), {{2, 3}, {1, 1, 4, 4}}, 1,
                   {"bottom[0] 'map'", "(N, C, H, W)"});
  ExpectLayerError(PriorBox("min_size: 20"), {{1, 1, 4, 4}}, 1, {"2: the map and"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
