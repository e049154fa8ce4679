// Training in float16 on a GPU: scaled losses, and updates that are skipped.

#include "caffe/solvers/loss_scale.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "gpu_mode.hpp"
#include "sixteen_bits.hpp"
#include "solvers/solver_fixture.hpp"

namespace caffe {
namespace test {
namespace {

// A small net on a batch that stays the same; `loss_weight` says how large its gradients
// are.
std::string Training(const std::string& precision, int loss_weight,
                     const std::string& prefix = "unused") {
  const auto data = [](const std::string& name, const std::string& shape) {
    return "layer { name: '" + name + "' type: 'DummyData' top: '" + name +
           "' dummy_data_param { shape { " + shape +
           " } data_filler { type: 'gaussian' } } } ";
  };
  return Str(
      "net_param { name: 'n' precision: ", precision, " ",
      data("x", "dim: 4 dim: 8 dim: 5 dim: 5"), data("t", "dim: 4 dim: 3"),
      "layer { name: 'conv' type: 'Convolution' bottom: 'x' top: 'conv' "
      "convolution_param { num_output: 8 kernel_size: 3 weight_filler { type: "
      "'msra' } } } layer { name: 'relu' type: 'ReLU' bottom: 'conv' top: 'conv' } "
      "layer { name: 'ip' type: 'InnerProduct' bottom: 'conv' top: 'ip' "
      "inner_product_param { num_output: 3 weight_filler { type: 'xavier' } } } "
      "layer { name: 'loss' type: 'EuclideanLoss' bottom: 'ip' bottom: 't' top: "
      "'loss' loss_weight: ",
      loss_weight,
      " } } lr_policy: 'fixed' base_lr: 0.0001 momentum: 0.5 random_seed: 3 "
      "max_iter: 100 snapshot_prefix: '",
      prefix, "'");
}

class LossScaleDeviceTest : public GpuModeTest<float> {
 protected:
  // Equal inputs give equal bits.
  void SetUp() override {
    setenv("CAFFE_DETERMINISTIC", "1", /*overwrite=*/1);
    GpuModeTest<float>::SetUp();
  }
  void TearDown() override {
    GpuModeTest<float>::TearDown();
    unsetenv("CAFFE_DETERMINISTIC");
  }
};

std::string Skipped(int iteration, double scale, int so_far) {
  return Str("Iteration ", iteration, ", loss scale ", scale, ": update skipped (",
             so_far, " so far)");
}

// Gradients are about 1 times the weight of the loss and the scale: too much for float16.
TEST_F(LossScaleDeviceTest, WhatOverflowsIsSkippedAndTheScaleHalved) {
  LogCapture log;
  const auto solver = NewSolver<float>(Training("FP16", 64));
  const std::vector<float> start = Weights(solver.get());
  solver->Step(1);
  EXPECT_TRUE(log.Has(Skipped(0, 65536, 1)));
  EXPECT_EQ(solver->iter(), 1);
  EXPECT_EQ(Weights(solver.get()), start);
  solver->Step(24);
  EXPECT_TRUE(log.Has(Skipped(1, 32768, 2)));
  EXPECT_NE(Weights(solver.get()), start);
}

// As many updates as float32 had, whatever was skipped before: the scale is in none.
TEST_F(LossScaleDeviceTest, UpdatesAreThoseOfFloat32) {
  constexpr int kUpdates = 5;
  const auto exact = NewSolver<float>(Training("FLOAT32", 8));
  const std::vector<float> start = Weights(exact.get());
  exact->Step(kUpdates);
  const std::vector<float> want = Weights(exact.get());
  const auto solver = NewSolver<float>(Training("FP16", 8));
  ASSERT_EQ(Weights(solver.get()), start);
  for (int updates = 0; updates < kUpdates;) {
    const std::vector<float> before = Weights(solver.get());
    solver->Step(1);
    updates += Weights(solver.get()) != before;
    ASSERT_LT(solver->iter(), 50);
  }
  Doubles got_steps, want_steps;
  const std::vector<float> got = Weights(solver.get());
  for (std::size_t i = 0; i < start.size(); ++i) {
    got_steps.push_back(got[i] - start[i]);
    want_steps.push_back(want[i] - start[i]);
  }
  // Products of two rounded factors, through two layers forward and backward.
  const double epsilon = kSixteenBits[1].epsilon();
  ExpectClose(got_steps, want_steps,
              StoredAs(epsilon, ToleranceOf<float>(OpKind::kReduction, 100), 8), "steps");
}

TEST_F(LossScaleDeviceTest, ASnapshotHasIt) {
  const TemporaryFolder folder;
  const std::string text = Training("FP16", 64, folder / "run");
  const auto solver = NewSolver<float>(text);
  solver->Step(4);
  solver->Snapshot();
  LogCapture log;
  solver->Step(3);
  const std::vector<std::string> lines = log.lines();
  const auto resumed = NewSolver<float>(text);
  resumed->Restore((folder / "run_iter_4.solverstate").c_str());
  LogCapture log_of_resumed;
  resumed->Step(3);
  EXPECT_EQ(Weights(resumed.get()), Weights(solver.get()));
  EXPECT_EQ(History(resumed.get()), History(solver.get()));
  EXPECT_EQ(log_of_resumed.lines(), lines);
}

}  // namespace
}  // namespace test
}  // namespace caffe
