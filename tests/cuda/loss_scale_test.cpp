// Training in float16 on a GPU: scaled losses, and updates that are skipped.

#include "caffe/solvers/loss_scale.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "gpu_mode.hpp"
#include "net/sk_blocks.hpp"
#include "sixteen_bits.hpp"
#include "solvers/solver_fixture.hpp"

namespace caffe {
namespace test {
namespace {

// A small net; `loss_weight` says how large its gradients are.
std::string Training(const std::string& precision, int loss_weight,
                     const std::string& prefix = "unused") {
  return Str("net_param { name: 'n' precision: ", precision, " ",
             InputLayer("x", {4, 8, 5, 5}), InputLayer("t", {4, 3}),
             Conv("conv", "x", 8, "kernel_size: 3"),
             LayerText("relu", "ReLU", {"conv"}, "conv"), IpLayer("ip", "conv", 3),
             LossLayer("loss", "ip", "t", Str("loss_weight: ", loss_weight)),
             " } lr_policy: 'fixed' base_lr: 0.0001 momentum: 0.5 random_seed: 3 "
             "max_iter: 100 snapshot_prefix: '",
             prefix, "'");
}

// The batch stays the same, so that a skipped iteration takes none from those that
// follow.
std::unique_ptr<Solver<float>> SolverWithBatch(const std::string& text) {
  auto solver = NewSolver<float>(text);
  for (int i = 0; i < solver->net()->num_inputs(); ++i) {
    Fill(solver->net()->input_blobs()[i], i);
  }
  return solver;
}

double Norm(const Doubles& values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return std::sqrt(sum);
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
  const auto solver = SolverWithBatch(Training("FP16", 64));
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
  const auto exact = SolverWithBatch(Training("FLOAT32", 8));
  const std::vector<float> start = Weights(exact.get());
  exact->Step(kUpdates);
  const std::vector<float> want = Weights(exact.get());
  const auto solver = SolverWithBatch(Training("FP16", 8));
  ASSERT_EQ(Weights(solver.get()), start);
  for (int updates = 0; updates < kUpdates;) {
    const std::vector<float> before = Weights(solver.get());
    solver->Step(1);
    updates += Weights(solver.get()) != before;
    ASSERT_LT(solver->iter(), 50);
  }
  Doubles steps, errors;
  const std::vector<float> got = Weights(solver.get());
  for (std::size_t i = 0; i < start.size(); ++i) {
    steps.push_back(want[i] - start[i]);
    errors.push_back(got[i] - want[i]);
  }
  // Two layers forward and backward: data, weights and results of each are rounded.
  EXPECT_LT(Norm(errors) / Norm(steps), MostNoise(kSixteenBits[1].epsilon(), 12, 1));
}

TEST_F(LossScaleDeviceTest, ASnapshotHasIt) {
  constexpr int kMore = 15;  // some of them skipped, and some not
  const TemporaryFolder folder;
  const std::string text = Training("FP16", 8, folder / "run");
  const auto solver = SolverWithBatch(text);
  const std::vector<float> start = Weights(solver.get());
  solver->Step(4);
  solver->Snapshot();
  LogCapture log;
  solver->Step(kMore);
  const std::vector<std::string> lines = log.lines();
  const auto resumed = SolverWithBatch(text);
  resumed->Restore((folder / "run_iter_4.solverstate").c_str());
  LogCapture log_of_resumed;
  resumed->Step(kMore);
  EXPECT_NE(Weights(solver.get()), start);
  EXPECT_EQ(Weights(resumed.get()), Weights(solver.get()));
  EXPECT_EQ(History(resumed.get()), History(solver.get()));
  EXPECT_EQ(log_of_resumed.lines(), lines);
}

}  // namespace
}  // namespace test
}  // namespace caffe
