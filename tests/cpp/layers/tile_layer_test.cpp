#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string Tile(const std::string& param) {
  return "name: 't' type: 'Tile' tile_param {" + param + "}";
}

template <typename T>
class TileLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(TileLayerTest, Types);

template <typename T>
void Check(const std::string& param, int axis, int tiles, const std::vector<int>& shape) {
  SCOPED_TRACE(param);
  LayerRun<T> run(Tile(param), {shape});
  run.Forward();
  run.Backward();
  const int extent = shape[axis], inner = run.bottom[0]->count(axis + 1);
  ASSERT_EQ(run.top[0]->shape(axis), extent * tiles);
  Doubles dx(run.bottom[0]->count(), 0);
  for (int i = 0; i < run.top[0]->count(); ++i) {
    const int row = i / inner / (extent * tiles),
              index = i / inner % (extent * tiles) % extent;
    const int from = (row * extent + index) * inner + i % inner;
    ASSERT_EQ(run.top[0]->cpu_data()[i], run.bottom[0]->cpu_data()[from]) << i;
    dx[from] += run.top[0]->cpu_diff()[i];
  }
  ExpectClose(run.BottomDiff(0), dx, ToleranceOf<T>(OpKind::kReduction, tiles), "dx");
}

TYPED_TEST(TileLayerTest, EveryAxis) {
  Check<TypeParam>("tiles: 3", 1, 3, {2, 3, 4, 5});
  Check<TypeParam>("tiles: 1", 1, 1, {2, 3, 4, 5});
  Check<TypeParam>("axis: 0 tiles: 2", 0, 2, {2, 3, 4, 5});
  Check<TypeParam>("axis: -1 tiles: 4", 3, 4, {2, 3, 4, 5});
  Check<TypeParam>("axis: 2 tiles: 5", 2, 5, {3, 5, 31, 37});
}

TEST(TileLayerTestDouble, Gradient) {
  for (const char* param : {"tiles: 3", "axis: 0 tiles: 2", "axis: 2 tiles: 2"}) {
    LayerRun<double> run(Tile(param), {{2, 3, 2}});
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
  }
}

TEST(TileLayerTestFloat, Packed) {
  PackedCase options;
  options.kind = OpKind::kElementwise;
  options.stays_packed = false;
  ExpectPackedMatchesPlain(Tile("tiles: 2"), {{2, 32, 3, 5}}, options);
}

TEST(TileLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(Tile(""), {{2, 3}}, 1,
                   {"layer 't' (Tile): tile_param.tiles is missing"});
  ExpectLayerError(Tile("tiles: 0"), {{2, 3}}, 1, {"tiles is 0", "positive"});
  ExpectLayerError(Tile("tiles: 2000000000"), {{2, 3}}, 1, {"tiles is 2000000000"});
  ExpectLayerError(Tile("axis: 2 tiles: 2"), {{2, 3}}, 1, {"axis 2"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
