#include "caffe/solvers/not_finite.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <memory>
#include <string>

#include "solvers/solver_fixture.hpp"

namespace caffe {
namespace {

using test::LogCapture;
using test::MessageOf;
using test::NewSolver;
using test::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Two layers that learn, and a ReLU that works in place and is absorbed.
const char kNet[] =
    "net_param { name: 'n' "
    "layer { name: 'data' type: 'DummyData' top: 'x' top: 't' dummy_data_param { "
    "  shape { dim: 4 dim: 3 dim: 5 dim: 5 } shape { dim: 4 dim: 2 } "
    "  data_filler { type: 'gaussian' } data_filler { value: 1 } } } "
    "layer { name: 'conv' type: 'Convolution' bottom: 'x' top: 'c' convolution_param { "
    "  num_output: 8 kernel_size: 3 weight_filler { type: 'msra' } } } "
    "layer { name: 'relu' type: 'ReLU' bottom: 'c' top: 'c' } "
    "layer { name: 'drop' type: 'Dropout' bottom: 'c' top: 'd' } "
    "layer { name: 'fc' type: 'InnerProduct' bottom: 'd' top: 'f' inner_product_param { "
    "  num_output: 2 weight_filler { type: 'msra' } } } "
    "layer { name: 'loss' type: 'EuclideanLoss' bottom: 'f' bottom: 't' top: 'loss' } } "
    "lr_policy: 'fixed' base_lr: 0.01 momentum: 0.9 random_seed: 3 ";

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

template <typename Dtype>
Dtype* Weights(Solver<Dtype>* solver, const char* layer, int index = 0) {
  return solver->net()->layer_by_name(layer)->blobs()[index]->mutable_cpu_data();
}

class NotFiniteTest : public ::testing::TestWithParam<bool> {
 protected:
  std::shared_ptr<Solver<float>> New(const std::string& more) {
    auto solver = NewSolver<float>(Str(kNet, more));
    solver->net()->set_keep_blobs(GetParam());
    return solver;
  }
  const LogCapture log_;
};

TEST_P(NotFiniteTest, TheFirstLayerAndItsParametersAreNamed) {
  auto solver = New("snapshot_after_train: false");
  solver->Step(2);
  Weights(solver.get(), "conv")[7] = kNan;  // of output channel 0
  const std::string message = MessageOf<RuntimeFailure>([&] { solver->Step(5); });
  EXPECT_THAT(
      message,
      AllOf(HasSubstr("solver: iteration 2: the loss is nan, expected a finite number"),
            HasSubstr("layer 'conv' (Convolution) is the first whose output is not "
                      "finite: 36 of 288 values of 'c'; so is its parameter 0: 1 of 216 "
                      "values"),
            HasSubstr("; there is no snapshot of this run, begin again with a smaller "
                      "base_lr,")));
  EXPECT_EQ(solver->iter(), 2);
  EXPECT_EQ(solver->net()->keep_blobs(), GetParam());
}

TEST_P(NotFiniteTest, ALayerBehindFiniteOnesIsNamed) {
  auto solver = New("snapshot_after_train: false");
  solver->Step(1);
  Weights(solver.get(), "fc", 1)[1] = kInfinity;
  const std::string message = MessageOf<RuntimeFailure>([&] { solver->Step(1); });
  EXPECT_THAT(message,
              AllOf(HasSubstr("the loss is inf"),
                    HasSubstr("layer 'fc' (InnerProduct) is the first"),
                    HasSubstr("4 of 8 values of 'f'"), HasSubstr("parameter 1: 1 of 2")));
}

TEST_P(NotFiniteTest, DataIsNamedAndTheBatchIsTheOneThatWasTrainedOn) {
  // A finite result of finite weights: only the product is too large.
  auto solver = New("snapshot_after_train: false");
  for (int i = 0; i < 216; ++i) Weights(solver.get(), "conv")[i] = 3e38f;
  const std::string message = MessageOf<RuntimeFailure>([&] { solver->Step(1); });
  EXPECT_THAT(message, AllOf(HasSubstr("layer 'conv' (Convolution) is the first"),
                             Not(HasSubstr("parameter"))));
  const auto data = NewSolver<float>(
      "net_param { layer { name: 'scripted' type: 'ScriptedLoss' top: 'objective' "
      "power_param { power: 2 } dummy_data_param { shape { dim: 1 } } } } iter_size: 2 "
      "lr_policy: 'fixed' base_lr: 0.5 snapshot_after_train: false");
  EXPECT_THAT(MessageOf<RuntimeFailure>([&] { data->Step(5); }),
              AllOf(HasSubstr("iteration 1: the loss is nan"),
                    HasSubstr("layer 'scripted' (ScriptedLoss) is the first"),
                    HasSubstr("1 of 1 value of 'objective'")));
}

TEST_P(NotFiniteTest, LayersInPlaceOnTheBatchDoNotRunOnTheirOwnResult) {
  // e^60 is finite, e^(e^60) is not.
  auto solver = NewSolver<float>(
      "net_param { layer { name: 'data' type: 'DummyData' top: 'x' top: 't' "
      "  dummy_data_param { shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 } "
      "    data_filler { value: 60 } data_filler { value: 1 } } } "
      "layer { name: 'exp' type: 'Exp' bottom: 'x' top: 'x' } "
      "layer { name: 'fc' type: 'InnerProduct' bottom: 'x' top: 'f' "
      "  inner_product_param { num_output: 2 weight_filler { value: 1e20 } } } "
      "layer { name: 'loss' type: 'EuclideanLoss' bottom: 'f' bottom: 't' top: 'loss' } "
      "} lr_policy: 'fixed' base_lr: 0.5 snapshot_after_train: false");
  solver->net()->set_keep_blobs(GetParam());
  EXPECT_THAT(MessageOf<RuntimeFailure>([&] { solver->Step(1); }),
              HasSubstr("layer 'fc' (InnerProduct) is the first whose output"));
}

TEST_P(NotFiniteTest, ASumThatOverflowsIsNoLayers) {
  auto solver = NewSolver<float>(
      "net_param { layer { name: 'ten' type: 'DummyData' top: 'ten' loss_weight: 3e38 "
      "dummy_data_param { shape { dim: 1 } data_filler { value: 10 } } } } "
      "lr_policy: 'fixed' base_lr: 0.5 snapshot_after_train: false");
  EXPECT_THAT(MessageOf<RuntimeFailure>([&] { solver->Step(5); }),
              AllOf(HasSubstr("the loss is inf"),
                    HasSubstr("all outputs of that batch are finite"),
                    HasSubstr("their sum with the loss weights")));
}

TEST_P(NotFiniteTest, TheRandomStreamGoesOnAsIfNothingHadBeenLookedAt) {
  auto solver = New("on_nan: CONTINUE snapshot_after_train: false");
  auto other = New("on_nan: CONTINUE snapshot_after_train: false");
  const auto stream_after = [](Solver<float>* trained, bool damaged) {
    Caffe::set_random_seed(11);
    if (damaged) Weights(trained, "conv")[0] = kNan;
    trained->Step(2);
    return caffe_rng()->counter();
  };
  EXPECT_EQ(stream_after(solver.get(), true), stream_after(other.get(), false));
}

TEST_P(NotFiniteTest, SnapshotsAreThoseFromBefore) {
  const TemporaryFolder folder;
  auto solver =
      New(Str("max_iter: 12 snapshot: 2 snapshot_prefix: '", folder / "s", "'"));
  solver->Step(5);
  // The loss does not show it before the next iteration.
  solver->net()->learnable_params()[0]->mutable_cpu_data()[0] = kNan;
  const std::string message = MessageOf<RuntimeFailure>([&] { solver->Solve(); });
  EXPECT_THAT(message, AllOf(HasSubstr("iteration 5: the loss is nan"),
                             HasSubstr("; the last good snapshot is '"),
                             HasSubstr("s_iter_4.solverstate', go on from there")));
  EXPECT_TRUE(std::filesystem::exists(folder / "s_iter_4.caffemodel"));
  EXPECT_FALSE(std::filesystem::exists(folder / "s_iter_6.caffemodel"));
}

// An update that is too large leaves weights that are finite, and are saved; only the
// next loss shows that they are worth nothing.
TEST_P(NotFiniteTest, ASnapshotOfTheSameWeightsIsNoGoodOne) {
  const TemporaryFolder folder;
  const std::string more = Str("snapshot_prefix: '", folder / "s",
                               "' display: 1 snapshot_after_train: false ");
  const auto diverge = [](Solver<float>* diverged) {
    for (int i = 0; i < 216; ++i) Weights(diverged, "conv")[i] = 3e38f;
  };
  auto solver = New(more + "max_iter: 12");
  solver->Step(2);
  solver->Snapshot();
  solver->Step(2);
  diverge(solver.get());
  solver->Snapshot();
  EXPECT_THAT(MessageOf<RuntimeFailure>([&] { solver->Solve(); }),
              AllOf(HasSubstr("s_iter_4.solverstate' is of the same iteration, the last "
                              "good snapshot is '"),
                    HasSubstr("s_iter_2.solverstate', go on from there")));
  // Going on from it ends at once, and does not send in a circle.
  auto resumed = New(more + "max_iter: 12");
  EXPECT_THAT(
      MessageOf<RuntimeFailure>(
          [&] { resumed->Solve((folder / "s_iter_4.solverstate").c_str()); }),
      HasSubstr("s_iter_4.solverstate' is of the same iteration, and there is none"));
  // The last update shows in the loss that is displayed last.
  auto last = New(more + "max_iter: 4");
  last->Step(4);
  diverge(last.get());
  EXPECT_THAT(MessageOf<RuntimeFailure>([&] { last->Solve(); }),
              AllOf(HasSubstr("iteration 4: the loss is"),
                    HasSubstr("layer 'conv' (Convolution) is the first")));
}

TEST_P(NotFiniteTest, WeightsThatAreNotFiniteAreNotSaved) {
  const TemporaryFolder folder;
  // A rate with which the one update overflows, while its own loss is finite.
  const std::string more =
      Str("max_iter: 1 snapshot_prefix: '", folder / "s", "' weight_decay: 1e38 ");
  auto solver = New(more);
  for (int i = 0; i < 216; ++i) Weights(solver.get(), "conv")[i] = 1e4f;
  EXPECT_THAT(MessageOf<RuntimeFailure>([&] { solver->Solve(); }),
              AllOf(HasSubstr("the weights after iteration 1 are not saved"),
                    HasSubstr("layer 'conv' (Convolution), parameter 0: 216 of 216")));
  EXPECT_THAT(MessageOf<RuntimeFailure>([&] { solver->Snapshot(); }),
              HasSubstr("are not saved"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  auto careless = New(more + "on_nan: CONTINUE");
  for (int i = 0; i < 216; ++i) Weights(careless.get(), "conv")[i] = 1e4f;
  careless->Solve();
  EXPECT_TRUE(std::filesystem::exists(folder / "s_iter_1.caffemodel"));
  const std::string ruins = Str("weights: '", folder / "s_iter_1.caffemodel", "' ");
  EXPECT_THAT(MessageOf<ValueError>([&] { New(ruins); }),
              AllOf(HasSubstr("s_iter_1.caffemodel' gives layer 'conv' (Convolution), "
                              "parameter 0: 216 of 216 values that are not finite"),
                    HasSubstr("train from other weights")));
  EXPECT_EQ(MessageOf<ValueError>([&] { New(ruins + "on_nan: CONTINUE"); }), "");
}

INSTANTIATE_TEST_SUITE_P(KeepBlobs, NotFiniteTest, ::testing::Bool());

}  // namespace
}  // namespace caffe
