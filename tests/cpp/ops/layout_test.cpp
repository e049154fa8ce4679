#include "caffe/ops/layout.hpp"

#include <vector>

#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

TEST(LayoutTest, PreferredBlockNeedsWholeBlocksOfAnImage) {
  const int block = PreferredBlock<float>({2, 48, 3, 5});
  EXPECT_TRUE(block == 1 || block == 8 || block == 16) << block;
  EXPECT_EQ(PreferredBlock<float>({2, 48, 5}), block);
  EXPECT_EQ(PreferredBlock<float>({2, 48, 2, 2, 2}), block);
  for (const std::vector<int>& shape : Shapes{{},
                                              {48},
                                              {2, 48},
                                              {2, 48, 1, 1},
                                              {2, 3, 4, 4},
                                              {2, 20, 4, 4},
                                              {0, 16, 0, 4},
                                              {1, 16, 2, 2, 2, 2}}) {
    EXPECT_EQ(PreferredBlock<float>(shape), 1) << ShapeText(shape);
  }
  EXPECT_EQ(PreferredBlock<double>({2, 48, 3, 5}), 1);
}

TEST(LayoutTest, BlocksThatDoNotFitAreRefused) {
  EXPECT_NE(ErrorOfAction([] { ChannelBlockedTensor({2, 20, 3, 5}, 4); }), "");
  EXPECT_NE(ErrorOfAction([] { ChannelBlockedTensor({2, 20, 3, 5}, 8); }), "");
  EXPECT_EQ(ErrorOfAction([] { ChannelBlockedTensor({2, 16, 3, 5}, 8); }), "");
}

}  // namespace
}  // namespace test
}  // namespace caffe
