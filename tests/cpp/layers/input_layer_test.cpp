#include <string>
#include <vector>

#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string Input(const std::string& param) {
  return "name: 'in' type: 'Input' input_param {" + param + "}";
}

template <typename T>
class InputLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(InputLayerTest, Types);

TYPED_TEST(InputLayerTest, Shapes) {
  LayerRun<TypeParam> shared(Input("shape { dim: 2 dim: 3 }"), {}, 2);
  shared.SetUp();
  EXPECT_EQ(shared.top[0]->shape(), (std::vector<int>{2, 3}));
  EXPECT_EQ(shared.top[1]->shape(), (std::vector<int>{2, 3}));
  LayerRun<TypeParam> each(Input("shape { dim: 2 } shape { dim: 1 dim: 4 dim: 5 }"), {},
                           2);
  each.SetUp();
  EXPECT_EQ(each.top[0]->shape(), (std::vector<int>{2}));
  EXPECT_EQ(each.top[1]->shape(), (std::vector<int>{1, 4, 5}));
}

TYPED_TEST(InputLayerTest, KeepsWhatTheCallerPutThere) {
  LayerRun<TypeParam> run(Input("shape { dim: 2 dim: 3 }"), {});
  run.SetUp();
  run.top[0]->Reshape({4, 3});
  Fill(run.top[0], 5);
  const Doubles before = run.Top();
  run.layer->Forward(run.bottom, run.top);
  EXPECT_EQ(run.top[0]->shape(), (std::vector<int>{4, 3}));
  EXPECT_EQ(run.Top(), before);
}

TEST(InputLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(Input("shape { dim: 2 } shape { dim: 2 }"), {}, 3,
                   {"layer 'in' (Input)", "2 input_param.shape entries, expected 3"});
  ExpectLayerError(Input(""), {{2}}, 1, {"got 1 bottom blob(s), expected 0"});
  ExpectLayerError(Input("shape { dim: -2 }"), {}, 1,
                   {"layer 'in' (Input): input_param.shape has the extent -2"});
  ExpectLayerError(Input("shape { dim: 65536 dim: 65536 }"), {}, 1, {"(65536, 65536)"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
