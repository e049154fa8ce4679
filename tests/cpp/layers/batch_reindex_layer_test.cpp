#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

constexpr const char* kReindex = "name: 'r' type: 'BatchReindex'";

template <typename T>
class BatchReindexLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(BatchReindexLayerTest, Types);

TYPED_TEST(BatchReindexLayerTest, PicksRowsAndAddsUpTheirGradients) {
  const std::vector<std::vector<int>> lists = {{2, 0, 4, 2, 2, 0}, {1}, {}};
  for (const std::vector<int>& shape : {std::vector<int>{5}, {5, 3, 67, 71}}) {
    for (const auto& list : lists) {
      LayerRun<TypeParam> run(kReindex, {shape, {static_cast<int>(list.size())}});
      if (!list.empty()) {
        FillWith(run.bottom[1], Half::kData, [&](int i) { return list[i]; });
      }
      run.SetUp();
      const int rows = static_cast<int>(list.size());
      ASSERT_EQ(run.top[0]->shape(0), rows);
      run.layer->Forward(run.bottom, run.top);
      if (rows > 0) FillDiff(run.top[0], 100);
      FillNaN(run.bottom[0], Half::kDiff);
      run.layer->Backward(run.top, {true, false}, run.bottom);
      const int length = run.bottom[0]->count(1);
      const Doubles x = run.Bottom(0);
      Doubles want, dx(x.size(), 0);
      for (int i = 0; i < rows; ++i) {
        for (int d = 0; d < length; ++d) {
          want.push_back(x[list[i] * length + d]);
          dx[list[i] * length + d] += run.top[0]->cpu_diff()[i * length + d];
        }
      }
      if (rows > 0) {
        EXPECT_EQ(run.Top(), want);
      }
      ExpectClose(run.BottomDiff(0), dx, ToleranceOf<TypeParam>(OpKind::kReduction, 3),
                  "dx");
    }
  }
}

TEST(BatchReindexLayerTestDouble, Gradient) {
  LayerRun<double> run(kReindex, {{4, 3}, {5}});
  FillIntegers(run.bottom[1], 1, 0, 3);
  GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top, 0);
}

TEST(BatchReindexLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(
      kReindex, {{4, 3}, {5, 1}}, 1,
      {"layer 'r' (BatchReindex): bottom[1]: shape (5, 1), expected indices"});
  LayerRun<float> run(kReindex, {{4, 3}, {2}});
  FillWith(run.bottom[1], Half::kData, [](int i) { return 3 + i; });
  EXPECT_NE(ErrorOfAction([&] {
              run.Forward();
            }).find("bottom[1]: element 1 is 4, expected a whole number from 0 to 3"),
            std::string::npos);
  FillWith(run.bottom[1], Half::kData, [](int i) { return i; });
  run.Forward();
  EXPECT_NE(ErrorOfAction([&] { run.Backward(); }).find("indices have no gradient"),
            std::string::npos);
  EXPECT_FALSE(run.layer->AllowForceBackward(1));
}

}  // namespace
}  // namespace test
}  // namespace caffe
