#include <gtest/gtest.h>

#include "solvers/solver_fixture.hpp"

// The layer that the solver tests build their nets of: what they rely on.

namespace caffe {

using test::ScriptedLossLayer;
REGISTER_LAYER_CLASS(ScriptedLoss);

namespace {

TEST(ScriptedLossTest, LossGradientAndPositionFollowTheScript) {
  LayerParameter param;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      "name: 'l' type: 'ScriptedLoss' power_param { shift: 3 scale: 2 }"
      "dummy_data_param { shape { dim: 2 dim: 3 } }",
      &param));
  const auto layer = LayerRegistry<double>::CreateLayer(param);
  Blob<double> loss;
  layer->SetUp({}, {&loss});
  LayerState state;
  state.set_position(5);
  dynamic_cast<Resumable&>(*layer).RestoreState(state);
  EXPECT_EQ(layer->Forward({}, {&loss}), 3 + 5);
  caffe_set(6, 0.0, layer->blobs()[0]->mutable_cpu_diff());
  layer->Backward({&loss}, {}, {});
  layer->Backward({&loss}, {}, {});
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(layer->blobs()[0]->cpu_diff()[i],
              2 * (2 * test::ScriptedGradient(3, 5, 0, i)));
  }
  ASSERT_TRUE(dynamic_cast<Resumable&>(*layer).SaveState(&state));
  EXPECT_EQ(state.position(), 6u);
}

}  // namespace
}  // namespace caffe
