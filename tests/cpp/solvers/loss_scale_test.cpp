#include "caffe/solvers/loss_scale.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace caffe {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

TEST(LossScaleTest, IsHalvedAtEachGradientThatIsNotFinite) {
  LossScale scale;
  EXPECT_EQ(scale.value(), 65536);
  EXPECT_FALSE(scale.Take(kInfinity));
  EXPECT_FALSE(scale.Take(kNaN));
  EXPECT_EQ(scale.value(), 16384);
  EXPECT_EQ(scale.skipped_updates(), 2);
  EXPECT_TRUE(scale.Take(1e300));
  EXPECT_EQ(scale.value(), 16384);
}

TEST(LossScaleTest, IsDoubledAfter2000GoodUpdatesInARow) {
  LossScale scale;
  for (int i = 0; i < 1999; ++i) EXPECT_TRUE(scale.Take(1));
  EXPECT_FALSE(scale.Take(kInfinity));
  EXPECT_EQ(scale.value(), 32768);
  for (int i = 0; i < 1999; ++i) EXPECT_TRUE(scale.Take(1));
  EXPECT_EQ(scale.value(), 32768);
  EXPECT_TRUE(scale.Take(1));
  EXPECT_EQ(scale.value(), 65536);
  EXPECT_EQ(scale.skipped_updates(), 1);
}

TEST(LossScaleTest, HasAnEndOnBothSides) {
  LossScale scale;
  for (int i = 0; i < 50; ++i) scale.Take(kNaN);
  EXPECT_EQ(scale.value(), 1);
  for (int i = 0; i < 2000 * 30; ++i) scale.Take(0);
  EXPECT_EQ(scale.value(), 1 << 24);
}

TEST(LossScaleTest, GoesOnFromItsState) {
  LossScale scale;
  scale.Take(kNaN);
  for (int i = 0; i < 1999; ++i) scale.Take(1);
  ASSERT_TRUE(LossScale::IsSane(scale.state()));
  LossScale other(scale.state());
  EXPECT_EQ(other.value(), 32768);
  EXPECT_EQ(other.skipped_updates(), 1);
  other.Take(1);
  EXPECT_EQ(other.value(), 65536);
}

TEST(LossScaleTest, DamageIsSeen) {
  for (const double value : {0.0, -2.0, kNaN, kInfinity}) {
    LossScaleState state;
    state.set_scale(value);
    EXPECT_FALSE(LossScale::IsSane(state)) << value;
  }
  LossScaleState state = LossScale().state();
  state.set_good_updates(-1);
  EXPECT_FALSE(LossScale::IsSane(state));
  EXPECT_FALSE(LossScale::IsSane(LossScaleState()));
}

}  // namespace
}  // namespace caffe
