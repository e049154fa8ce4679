#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string Accuracy(const std::string& param) {
  return "name: 'acc' type: 'Accuracy' accuracy_param {" + param + "}";
}

template <typename T>
class AccuracyLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(AccuracyLayerTest, Types);

template <typename T>
void Check(const std::string& param, const std::vector<int>& shape, int axis, int top_k,
           int ignored) {
  SCOPED_TRACE(param);
  const int classes = shape[axis];
  int outer = 1, inner = 1;
  for (int d = 0; d < axis; ++d) outer *= shape[d];
  for (size_t d = axis + 1; d < shape.size(); ++d) inner *= shape[d];
  LayerRun<T> run(Accuracy(param), {shape, {outer, inner}}, 2);
  FillDistinct(run.bottom[0], 1);
  FillIntegers(run.bottom[1], 2, 0, classes - 1);
  run.Forward();
  const Doubles x = run.Bottom(0), labels = run.Bottom(1);
  Doubles hits(classes, 0), samples(classes, 0);
  double all_hits = 0, all = 0;
  for (int n = 0; n < outer; ++n) {
    for (int s = 0; s < inner; ++s) {
      const int label = static_cast<int>(labels[n * inner + s]);
      if (label == ignored) continue;
      int larger = 0;
      for (int c = 0; c < classes; ++c) {
        larger += x[(n * classes + c) * inner + s] > x[(n * classes + label) * inner + s];
      }
      ++all, ++samples[label];
      if (larger < top_k) ++all_hits, ++hits[label];
    }
  }
  EXPECT_EQ(run.top[0]->num_axes(), 0);
  EXPECT_EQ(run.top[1]->shape(), std::vector<int>{classes});
  ASSERT_GT(all_hits, 0) << "the case counts nothing";
  ASSERT_LT(all_hits, all);
  for (int c = 0; c < classes; ++c) hits[c] = samples[c] == 0 ? 0 : hits[c] / samples[c];
  const Tolerance tolerance = ToleranceOf<T>(OpKind::kElementwise);
  ExpectClose(run.Top(0), {all_hits / all}, tolerance, "accuracy");
  ExpectClose(run.Top(1), hits, tolerance, "accuracy by class");
}

TYPED_TEST(AccuracyLayerTest, AgreesWithCounting) {
  Check<TypeParam>("", {100, 5}, 1, 1, -1);
  Check<TypeParam>("top_k: 3", {100, 10}, 1, 3, -1);
  Check<TypeParam>("ignore_label: 2", {100, 5}, 1, 1, 2);
  Check<TypeParam>("top_k: 2 ignore_label: 0", {10, 6, 4, 5}, 1, 2, 0);
  Check<TypeParam>("axis: -1", {10, 4, 6}, 2, 1, -1);
  Check<TypeParam>("axis: 2 top_k: 2", {5, 4, 6, 3}, 2, 2, -1);
}

TYPED_TEST(AccuracyLayerTest, NothingToCountIsZero) {
  LayerRun<TypeParam> run(Accuracy("ignore_label: 1"), {{3, 4}, {3}});
  FillWith(run.bottom[1], Half::kData, [](int) { return 1; });
  run.Forward();
  EXPECT_EQ(run.Top()[0], 0);
}

TYPED_TEST(AccuracyLayerTest, TiesAndNaNDoNotCountAsRight) {
  for (const double value : {0.0, std::nan("")}) {
    LayerRun<TypeParam> run(Accuracy(""), {{3, 4}, {3}});
    FillWith(run.bottom[0], Half::kData, [&](int) { return value; });
    FillIntegers(run.bottom[1], 2, 0, 3);
    run.Forward();
    EXPECT_EQ(run.Top()[0], 0) << value;
  }
}

TEST(AccuracyLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(Accuracy("top_k: 5"), {{3, 4}, {3}}, 1,
                   {"layer 'acc' (Accuracy): top_k is 5, expected 1 to 4"});
  ExpectLayerError(Accuracy(""), {{3, 4, 2}, {3}}, 1,
                   {"bottom[1]", "holds 3 labels, expected 6", "4 classes on axis 1"});
  LayerRun<float> run("name: 'acc' type: 'Accuracy' bottom: 'fc' bottom: 'label'",
                      {{3, 4}, {3}});
  FillWith(run.bottom[1], Half::kData, [](int i) { return 3 * i - 1; });
  EXPECT_NE(ErrorOfAction([&] { run.Forward(); })
                .find("layer 'acc' (Accuracy): bottom[1] 'label': sample 0 has label -1, "
                      "expected 0 to 3 for the 4 classes"),
            std::string::npos);
  FillWith(run.bottom[1], Half::kData, [](int) { return 0; });
  run.Forward();
  EXPECT_THROW(run.Backward(), NotImplementedFailure);
  run.Backward({false, false});
  EXPECT_FALSE(run.layer->AllowForceBackward(0));
}

}  // namespace
}  // namespace test
}  // namespace caffe
