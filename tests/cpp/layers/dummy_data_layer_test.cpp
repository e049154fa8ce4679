#include <string>
#include <vector>

#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string Dummy(const std::string& param) {
  return "name: 'd' type: 'DummyData' dummy_data_param {" + param + "}";
}

template <typename T>
class DummyDataLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(DummyDataLayerTest, Types);

TYPED_TEST(DummyDataLayerTest, ZerosByDefault) {
  LayerRun<TypeParam> run(Dummy("num: 2 channels: 3 height: 4 width: 5"), {}, 2);
  run.SetUp();
  EXPECT_EQ(run.top[0]->shape(), (std::vector<int>{2, 3, 4, 5}));
  EXPECT_EQ(run.top[1]->shape(), (std::vector<int>{2, 3, 4, 5}));
  EXPECT_EQ(run.Top(1), Doubles(120, 0));
}

TYPED_TEST(DummyDataLayerTest, ConstantsStayAndRandomValuesChange) {
  LayerRun<TypeParam> run(
      Dummy("shape { dim: 2 dim: 3 } shape { dim: 50 } "
            "data_filler { value: 7 } data_filler { type: 'uniform' min: 2 max: 3 }"),
      {}, 2);
  run.SetUp();
  EXPECT_EQ(run.Top(0), Doubles(6, 7)) << "constants are there before the first Forward";
  run.layer->Forward(run.bottom, run.top);
  const Doubles first = run.Top(1);
  for (const double value : first) {
    EXPECT_GE(value, 2);
    EXPECT_LE(value, 3);
  }
  run.layer->Forward(run.bottom, run.top);
  EXPECT_NE(run.Top(1), first);
  EXPECT_EQ(run.Top(0), Doubles(6, 7));
}

TYPED_TEST(DummyDataLayerTest, SameSeedSameValues) {
  Doubles values[2];
  for (Doubles& v : values) {
    Caffe::set_random_seed(17);
    LayerRun<TypeParam> run(Dummy("shape { dim: 100 } data_filler { type: 'gaussian' }"),
                            {});
    run.Forward();
    v = run.Top();
  }
  EXPECT_EQ(values[0], values[1]);
}

TYPED_TEST(DummyDataLayerTest, ConstantFollowsAReshape) {
  LayerRun<TypeParam> run(Dummy("shape { dim: 2 } data_filler { value: 7 }"), {});
  run.SetUp();
  run.top[0]->Reshape({300});
  run.layer->Forward(run.bottom, run.top);
  EXPECT_EQ(run.Top(), Doubles(300, 7));
}

TEST(DummyDataLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(
      Dummy(""), {}, 1,
      {"layer 'd' (DummyData)", "0 dummy_data_param.shape entries, expected 1"});
  ExpectLayerError(Dummy("shape { dim: 1 } shape { dim: 1 }"), {}, 3,
                   {"expected 1 or 3"});
  ExpectLayerError(Dummy("num: 1 channels: 1 height: 1"), {}, 1,
                   {"0 dummy_data_param.width"});
  ExpectLayerError(Dummy("num: 1 shape { dim: 1 }"), {}, 1, {"give one"});
  ExpectLayerError(Dummy("shape { dim: 5000000000 }"), {}, 1,
                   {"dummy_data_param.shape has the extent 5000000000"});
  ExpectLayerError(Dummy("shape { dim: 1 } data_filler { } data_filler { }"), {}, 1,
                   {"2 dummy_data_param.data_filler entries"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
