#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

constexpr const char* kFilter = "name: 'f' type: 'Filter'";

template <typename T>
class FilterLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(FilterLayerTest, Types);

TYPED_TEST(FilterLayerTest, KeepsWhatIsSelected) {
  const std::vector<std::vector<int>> selections = {
      {0, 1, 0, 1, 1}, {0, 0, 0, 0, 0}, {1, -2, 3, 1, 1}};
  LayerRun<TypeParam> run(kFilter, {{5, 3, 2}, {5}, {5, 1, 1}}, 2);
  run.SetUp();
  EXPECT_EQ(run.top[0]->shape(), (std::vector<int>{5, 3, 2})) << "whole batches at first";
  for (const auto& selection : selections) {
    FillWith(run.bottom[2], Half::kData, [&](int i) { return selection[i]; });
    run.layer->Forward(run.bottom, run.top);
    std::vector<int> kept;
    for (int n = 0; n < 5; ++n) {
      if (selection[n] != 0) kept.push_back(n);
    }
    for (int t = 0; t < 2; ++t) {
      ASSERT_EQ(run.top[t]->shape(0), static_cast<int>(kept.size()));
      if (!kept.empty()) FillDiff(run.top[t], 100 + t);
      FillNaN(run.bottom[t], Half::kDiff);
    }
    run.layer->Backward(run.top, {true, true, false}, run.bottom);
    for (int t = 0; t < 2; ++t) {
      const int length = run.bottom[t]->count(1);
      Doubles want, dx(run.bottom[t]->count(), 0);
      for (size_t r = 0; r < kept.size(); ++r) {
        for (int d = 0; d < length; ++d) {
          want.push_back(run.bottom[t]->cpu_data()[kept[r] * length + d]);
          dx[kept[r] * length + d] = run.top[t]->cpu_diff()[r * length + d];
        }
      }
      if (!kept.empty()) {
        EXPECT_EQ(run.Top(t), want);
      }
      EXPECT_EQ(run.BottomDiff(t), dx);
    }
  }
}

TEST(FilterLayerTestDouble, Gradient) {
  GradientChecker checker;
  for (int bottom : {0, 1}) {
    LayerRun<double> run(kFilter, {{4, 3}, {4, 2}, {4}}, 2);
    FillWith(run.bottom[2], Half::kData, [](int i) { return i % 2; });
    checker.CheckGradient(run.layer.get(), run.bottom, run.top, bottom);
  }
  EXPECT_GT(checker.compared(), 0);
}

TEST(FilterLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(kFilter, {{4, 3}, {4, 2}}, 1,
                   {"layer 'f' (Filter): bottom[1]: shape (4, 2), expected one value"});
  ExpectLayerError(kFilter, {{5, 3}, {4}}, 1,
                   {"bottom[0]: shape (5, 3), expected 4 samples on axis 0"});
  ExpectLayerError(kFilter, {{4, 3}, {4}}, 2, {"got 2 top blob(s), expected 1"});
  LayerRun<float> run(kFilter, {{4, 3}, {4}});
  run.Forward();
  EXPECT_NE(ErrorOfAction([&] {
              run.Backward();
            }).find("bottom[1]: selectors have no gradient"),
            std::string::npos);
}

}  // namespace
}  // namespace test
}  // namespace caffe
