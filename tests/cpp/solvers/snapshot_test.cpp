#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <omp.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include "caffe/solvers/file_digest.hpp"
#include "solvers/solver_fixture.hpp"

// What snapshots promise: complete or not there, never in training's way, and a run
// that goes on from one is the run that never stopped.

namespace caffe {
namespace {

namespace fs = std::filesystem;
using test::FullDisk;
using test::History;
using test::LogCapture;
using test::MessageOf;
using test::NewSolver;
using test::ReadBytes;
using test::TemporaryFolder;
using test::Weights;
using test::WriteBytes;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Gradients with noise of the random stream and of the layer's own position, losses
// that are averaged, tests in between.
std::string Training(const std::string& prefix, const std::string& more = "",
                     int count = 40) {
  const std::string layer =
      Str("layer { name: 'l' type: 'ScriptedLoss' top: 'loss' power_param { shift: 4 } "
          "dropout_param { dropout_ratio: 0.5 } dummy_data_param { shape { dim: ",
          count, " } shape { dim: 3 dim: 2 } } } ");
  return Str(
      "net_param { name: 'n' ", layer, "} lr_policy: 'multistep' gamma: 0.5 ",
      "stepvalue: 4 stepvalue: 12 base_lr: 0.125 weight_decay: 0.0625 iter_size: 2 ",
      "average_loss: 4 test_iter: 3 test_interval: 5 max_iter: 20 random_seed: 5 ",
      "snapshot_prefix: '", prefix, "' ", more);
}

template <typename Dtype>
class SnapshotTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(SnapshotTest, Types);

TYPED_TEST(SnapshotTest, ContinuedRunEqualsTheUninterruptedOneBitByBit) {
  for (const std::string type :
       {"SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"}) {
    for (const bool hdf5 : {false, true}) {
      SCOPED_TRACE(type + (hdf5 ? ", HDF5" : ", binary"));
      TemporaryFolder folder;
      const LogCapture log;
      const bool takes_momentum = type != "AdaGrad" && type != "RMSProp";
      const std::string text = Training(
          folder / "s", Str("type: '", type, "' ",
                            takes_momentum ? "momentum: 0.875 delta: 0.0078125" : "",
                            hdf5 ? " snapshot_format: HDF5" : ""));
      const auto whole = NewSolver<TypeParam>(text);
      whole->Step(20);
      const rng_t stream = *caffe_rng();
      {
        const auto first = NewSolver<TypeParam>(text);
        first->Step(10);
        first->Snapshot();
      }
      // A new process would have another seed and other draws behind it.
      const auto second = NewSolver<TypeParam>(text + " random_seed: 77");
      second->Step(3);
      const std::string state =
          folder / (hdf5 ? "s_iter_10.solverstate.h5" : "s_iter_10.solverstate");
      second->Restore(state.c_str());
      EXPECT_EQ(second->iter(), 10);
      second->Step(10);
      EXPECT_EQ(second->iter(), 20);
      EXPECT_EQ(Weights(second.get()), Weights(whole.get()));
      EXPECT_EQ(History(second.get()), History(whole.get()));
      EXPECT_EQ(second->smoothed_loss(), whole->smoothed_loss());
      EXPECT_TRUE(*caffe_rng() == stream);
    }
  }
}

TYPED_TEST(SnapshotTest, SnapshotsAskedForDuringATestContinueExactly) {
  TemporaryFolder folder;
  const LogCapture log;
  const std::string text = Training(folder / "s");
  const auto whole = NewSolver<TypeParam>(text);
  whole->Step(12);
  {
    const auto first = NewSolver<TypeParam>(text);
    int asked = 0;
    // The test at iteration 10 begins with question 3 * 2 + 10 + 1; this is its second.
    first->SetActionFunction(
        [&] { return ++asked == 18 ? SolverAction::SNAPSHOT : SolverAction::NONE; });
    first->Step(11);
  }
  const auto second = NewSolver<TypeParam>(text + " random_seed: 77");
  second->Restore((folder / "s_iter_10.solverstate").c_str());
  second->Step(2);
  EXPECT_EQ(Weights(second.get()), Weights(whole.get()));
}

TYPED_TEST(SnapshotTest, StopInATestContinuesExactly) {
  TemporaryFolder folder;
  const LogCapture log;
  const std::string text = Training(folder / "s");
  const auto whole = NewSolver<TypeParam>(text);
  whole->Step(20);
  {
    const auto first = NewSolver<TypeParam>(text);
    int asked = 0;
    first->SetActionFunction(
        [&] { return ++asked == 18 ? SolverAction::STOP : SolverAction::NONE; });
    first->Solve();
    EXPECT_EQ(first->iter(), 10);
  }
  const auto second = NewSolver<TypeParam>(text);
  second->Solve(folder / "s_iter_10.solverstate");
  EXPECT_EQ(second->iter(), 20);
  EXPECT_EQ(Weights(second.get()), Weights(whole.get()));
}

TYPED_TEST(SnapshotTest, StateFilesAreCaffes) {
  TemporaryFolder folder;
  const LogCapture log;
  const auto solver = NewSolver<TypeParam>(Training(folder / "s", "snapshot: 13"));
  solver->Step(13);
  EXPECT_TRUE(
      log.Has("Snapshotting to binary proto file " + (folder / "s_iter_13.caffemodel")));
  EXPECT_TRUE(log.Has("Snapshotting solver state to binary proto file " +
                      (folder / "s_iter_13.solverstate")));
  SolverState state;
  ASSERT_TRUE(state.ParseFromString(ReadBytes(folder / "s_iter_13.solverstate")));
  EXPECT_EQ(state.iter(), 13);
  EXPECT_EQ(state.learned_net(), folder / "s_iter_13.caffemodel");
  EXPECT_EQ(state.current_step(), 2);
  EXPECT_EQ(state.history_size(), 2);
  EXPECT_EQ(state.history(1).shape().dim_size(), 2);
  EXPECT_EQ(state.losses_size(), 4);
  NetParameter weights;
  ASSERT_TRUE(weights.ParseFromString(ReadBytes(folder / "s_iter_13.caffemodel")));
  EXPECT_EQ(weights.layer(0).blobs_size(), 2);
  EXPECT_EQ(weights.layer(0).blobs(0).diff_size() +
                weights.layer(0).blobs(0).double_diff_size(),
            0);
  EXPECT_EQ(folder.NumFiles(), 2);
}

TYPED_TEST(SnapshotTest, SnapshotDiffStoresGradients) {
  TemporaryFolder folder;
  const LogCapture log;
  const auto solver = NewSolver<TypeParam>(Training(folder / "s", "snapshot_diff: true"));
  solver->Step(1);
  solver->Snapshot();
  NetParameter weights;
  ASSERT_TRUE(weights.ParseFromString(ReadBytes(folder / "s_iter_1.caffemodel")));
  const BlobProto& blob = weights.layer(0).blobs(0);
  EXPECT_EQ(blob.diff_size() + blob.double_diff_size(), 40);
}

TYPED_TEST(SnapshotTest, StatesOfBvlcCaffeAreTaken) {
  TemporaryFolder folder;
  const LogCapture log;
  const auto solver = NewSolver<TypeParam>(Training(folder / "s"));
  solver->Step(10);
  solver->Snapshot();
  for (const bool legacy_shape : {false, true}) {
    SolverState state, bvlc;
    ASSERT_TRUE(state.ParseFromString(ReadBytes(folder / "s_iter_10.solverstate")));
    bvlc.set_iter(10);
    bvlc.set_learned_net(state.learned_net());
    bvlc.set_current_step(1);
    *bvlc.mutable_history() = state.history();
    if (legacy_shape) {
      for (BlobProto& blob : *bvlc.mutable_history()) {
        const int axes = blob.shape().dim_size();
        blob.set_num(1);
        blob.set_channels(1);
        blob.set_height(axes > 1 ? blob.shape().dim(0) : 1);
        blob.set_width(blob.shape().dim(axes - 1));
        blob.clear_shape();
      }
    }
    WriteBytes(folder / "bvlc.solverstate", bvlc.SerializeAsString());
    const auto other = NewSolver<TypeParam>(Training(folder / "t"));
    other->Restore((folder / "bvlc.solverstate").c_str());
    EXPECT_EQ(other->iter(), 10);
    EXPECT_EQ(History(other.get()), History(solver.get()));
    EXPECT_EQ(Weights(other.get()), Weights(solver.get()));
  }
}

TEST(RestoreTest, MovedSnapshotFindsItsWeightsBesideIt) {
  TemporaryFolder from, to;
  const LogCapture log;
  for (const bool hdf5 : {false, true}) {
    const std::string end = hdf5 ? ".h5" : "";
    const std::string text = Training(from / "s", hdf5 ? "snapshot_format: HDF5" : "");
    const auto solver = NewSolver<float>(text);
    solver->Step(2);
    solver->Snapshot();
    for (const std::string name : {"s_iter_2.caffemodel", "s_iter_2.solverstate"}) {
      fs::rename(from / (name + end), to / (name + end));
    }
    // An older file of that name at the old place is not taken for it.
    WriteBytes(from / ("s_iter_2.caffemodel" + end), "");
    const auto other = NewSolver<float>(text);
    other->Restore((to / ("s_iter_2.solverstate" + end)).c_str());
    EXPECT_EQ(Weights(other.get()), Weights(solver.get()));
  }
}

TEST(RestoreTest, RelativePathsAreKeptAsWritten) {
  TemporaryFolder folder;
  const LogCapture log;
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  const auto solver = NewSolver<float>(Training("s"));
  solver->Step(1);
  solver->Snapshot();
  fs::current_path(before);
  SolverState state;
  ASSERT_TRUE(state.ParseFromString(ReadBytes(folder / "s_iter_1.solverstate")));
  EXPECT_EQ(state.learned_net(), "s_iter_1.caffemodel");
  const auto other = NewSolver<float>(Training("s"));
  other->Restore((folder / "s_iter_1.solverstate").c_str());
  EXPECT_EQ(Weights(other.get()), Weights(solver.get()));
}

// Restores `file` into a trained solver: the error, which has changed nothing.
std::string RestoreError(const std::string& file, const std::string& more = "") {
  const LogCapture log;
  const auto solver = NewSolver<float>(Training("unused", more));
  solver->Step(2);
  const std::vector<float> weights = Weights(solver.get()),
                           history = History(solver.get());
  const rng_t stream = *caffe_rng();
  const std::string message = MessageOf<Error>([&] { solver->Restore(file.c_str()); });
  EXPECT_EQ(solver->iter(), 2);
  EXPECT_EQ(Weights(solver.get()), weights);
  EXPECT_EQ(History(solver.get()), history);
  EXPECT_TRUE(*caffe_rng() == stream);
  return message;
}

class HostileStateTest : public ::testing::Test {
 protected:
  HostileStateTest() {
    const LogCapture log;
    const auto solver = NewSolver<float>(Training(folder_ / "s"));
    solver->Step(3);
    solver->Snapshot();
    const auto hdf5 = NewSolver<float>(Training(folder_ / "s", "snapshot_format: HDF5"));
    hdf5->Step(3);
    hdf5->Snapshot();
    EXPECT_TRUE(good_.ParseFromString(ReadBytes(State())));
  }
  std::string State() const { return folder_ / "s_iter_3.solverstate"; }
  std::string ErrorOf(const SolverState& state) {
    WriteBytes(folder_ / "bad.solverstate", state.SerializeAsString());
    return RestoreError(folder_ / "bad.solverstate");
  }
  TemporaryFolder folder_;
  SolverState good_;
};

TEST_F(HostileStateTest, WrongKindsOfFile) {
  EXPECT_THAT(
      RestoreError(folder_ / "s_iter_3.caffemodel"),
      AllOf(HasSubstr("s_iter_3.caffemodel' is a caffemodel"), HasSubstr("-weights")));
  EXPECT_THAT(RestoreError(folder_ / "s_iter_3.caffemodel.h5"),
              AllOf(HasSubstr("is a file of weights"), HasSubstr("-weights")));
  EXPECT_THAT(RestoreError(folder_ / "none.solverstate"), HasSubstr("none.solverstate"));
  EXPECT_THAT(RestoreError(folder_.path()), HasSubstr(folder_.path()));
  WriteBytes(folder_ / "empty", "");
  EXPECT_THAT(RestoreError(folder_ / "empty"), HasSubstr("is empty"));
  WriteBytes(folder_ / "text", "iter: 3\nlearned_net: 'x'\n");
  EXPECT_THAT(RestoreError(folder_ / "text"), HasSubstr("text"));
  // The reverse: a solverstate for weights.
  EXPECT_THAT(MessageOf<Error>([&] {
                const LogCapture log;
                NewSolver<float>(Training("unused", "weights: '" + State() + "'"));
              }),
              HasSubstr("is a solverstate, expected a caffemodel"));
}

TEST_F(HostileStateTest, TruncatedAtEveryLength) {
  const std::string bytes = ReadBytes(State());
  for (size_t size = 0; size < bytes.size(); ++size) {
    SCOPED_TRACE(size);
    SolverState state;
    if (state.ParseFromString(bytes.substr(0, size)) && state.history_size() == 2 &&
        state.layer_state_size() == 0) {
      continue;  // by chance a complete state as BVLC Caffe writes them
    }
    WriteBytes(folder_ / "cut.solverstate", bytes.substr(0, size));
    EXPECT_NE(RestoreError(folder_ / "cut.solverstate"), "");
  }
  const std::string hdf5 = ReadBytes(folder_ / "s_iter_3.solverstate.h5");
  for (size_t size = 0; size < hdf5.size(); size += 701) {
    SCOPED_TRACE(size);
    WriteBytes(folder_ / "cut.solverstate.h5", hdf5.substr(0, size));
    EXPECT_NE(RestoreError(folder_ / "cut.solverstate.h5"), "");
  }
}

TEST_F(HostileStateTest, TheSnapshotBeforeIsNamed) {
  for (const std::string end : {"", ".h5"}) {
    fs::copy(folder_ / ("s_iter_3.solverstate" + end),
             folder_ / ("s_iter_12.solverstate" + end));
    fs::resize_file(folder_ / ("s_iter_12.solverstate" + end), 40);
    EXPECT_THAT(
        RestoreError(folder_ / ("s_iter_12.solverstate" + end)),
        AllOf(HasSubstr("s_iter_12.solverstate"),
              HasSubstr("; the one before is '" + folder_ / "s_iter_3.solverst")));
  }
  // Nor is another type of solver a matter of which snapshot.
  EXPECT_THAT(RestoreError(State(), "type: 'Adam'"), Not(HasSubstr("the one before")));
}

TEST_F(HostileStateTest, AnotherNetOrSolver) {
  EXPECT_THAT(RestoreError(State(), "type: 'Adam'"),
              HasSubstr("was written by a solver of type 'SGD', expected 'Adam'"));
  EXPECT_THAT(RestoreError(folder_ / "s_iter_3.solverstate.h5", "type: 'Adam'"),
              HasSubstr("was written by a solver of type 'SGD', expected 'Adam'"));
  SolverState state = good_;
  state.clear_solver_type();
  state.mutable_history()->RemoveLast();
  EXPECT_THAT(ErrorOf(state), HasSubstr("has 1 history blobs, expected 2"));
  state = good_;
  state.mutable_history(1)->mutable_shape()->set_dim(0, 2);
  EXPECT_THAT(ErrorOf(state), AllOf(HasSubstr("history blob 1"), HasSubstr("(2, 2)"),
                                    HasSubstr("(3, 2)")));
  state = good_;
  state.mutable_history(0)->mutable_data()->RemoveLast();
  EXPECT_THAT(ErrorOf(state), HasSubstr("history blob 0"));
  state = good_;
  state.mutable_history(0)->mutable_shape()->set_dim(0, std::int64_t{1} << 40);
  EXPECT_THAT(ErrorOf(state), HasSubstr("history blob 0"));
}

TEST_F(HostileStateTest, SenselessNumbers) {
  SolverState state = good_;
  state.set_iter(-1);
  EXPECT_THAT(ErrorOf(state), HasSubstr("iteration -1"));
  state = good_;
  state.set_current_step(-1);
  EXPECT_THAT(ErrorOf(state), HasSubstr("step -1"));
  state = good_;
  state.set_rng_state("12345");
  EXPECT_THAT(ErrorOf(state), HasSubstr("5 bytes, expected 24"));
  for (const size_t bytes : {0, 23, 25, 47}) {
    state.set_rng_state(std::string(bytes, '\1'));
    EXPECT_THAT(ErrorOf(state), HasSubstr(Str(bytes, " bytes, expected 24"))) << bytes;
  }
  state = good_;
  state.clear_learned_net_digest();
  EXPECT_THAT(ErrorOf(state), HasSubstr("truncated"));
}

TEST_F(HostileStateTest, WeightsThatAreNotTheirs) {
  SolverState state = good_;
  state.set_learned_net("/nowhere/other.caffemodel");
  EXPECT_THAT(ErrorOf(state), AllOf(HasSubstr("/nowhere/other.caffemodel"),
                                    HasSubstr("neither there nor beside it")));
  for (const std::string path :
       {"/dev/zero", "/proc/self/mem", "/", "..", "../../etc", ""}) {
    state.set_learned_net(path);
    EXPECT_NE(ErrorOf(state), "") << path;
  }
  state.set_learned_net(std::string("a\0b", 3) + std::string(100000, 'c'));
  EXPECT_NE(ErrorOf(state), "");
  state = good_;
  state.set_learned_net_digest(FileDigest(State()));
  state.set_learned_net(State());
  EXPECT_THAT(ErrorOf(state), HasSubstr("is a solverstate, expected a caffemodel"));
  // Another run's weights under the same name.
  const std::string model = folder_ / "s_iter_3.caffemodel";
  std::string bytes = ReadBytes(model);
  bytes.back() ^= 1;
  WriteBytes(model, bytes);
  EXPECT_THAT(RestoreError(State()), AllOf(HasSubstr("s_iter_3.caffemodel"),
                                           HasSubstr("another run has replaced it")));
}

TEST_F(HostileStateTest, PositionOfAnUnknownLayerIsOnlyAWarning) {
  SolverState state = good_;
  LayerState* layer = state.add_layer_state();
  layer->set_layer("gone");
  layer->set_net(12);
  WriteBytes(folder_ / "odd.solverstate", state.SerializeAsString());
  const LogCapture log;
  const auto solver = NewSolver<float>(Training("unused"));
  solver->Restore((folder_ / "odd.solverstate").c_str());
  EXPECT_EQ(solver->iter(), 3);
  EXPECT_NE(log.Find("position of layer 'gone'"), "");
}

TEST(SnapshotFailureTest, FullDiskDoesNotEndTraining) {
  for (const bool hdf5 : {false, true}) {
    SCOPED_TRACE(hdf5 ? "HDF5" : "binary");
    TemporaryFolder folder;
    const std::string end = hdf5 ? ".h5" : "";
    const std::string text = Training(
        folder / "s", hdf5 ? "snapshot: 5 snapshot_format: HDF5" : "snapshot: 5");
    const LogCapture log;
    const auto solver = NewSolver<float>(text);
    solver->Step(5);
    EXPECT_EQ(solver->snapshot_failures(), 0);
    const std::string good = ReadBytes(folder / ("s_iter_5.solverstate" + end));
    {
      const FullDisk full(100);
      solver->Step(5);
      // The one who asks for a snapshot is told.
      EXPECT_NE(MessageOf<FileError>([&] { solver->Snapshot(); }), "");
    }
    EXPECT_EQ(solver->iter(), 10);
    EXPECT_EQ(solver->snapshot_failures(), 1);
    EXPECT_EQ(folder.NumFiles(), 2) << "no parts are left behind";
    EXPECT_EQ(ReadBytes(folder / ("s_iter_5.solverstate" + end)), good);
    EXPECT_THAT(
        log.Find("no snapshot was written"),
        AllOf(HasSubstr("Iteration 10: "), HasSubstr("training goes on"),
              HasSubstr("s_iter_10.caffemodel"),
              HasSubstr("the last snapshot is '" + (folder / "s_iter_5.solverstate"))));
    int errors = 0;
    for (const std::string& line : log.raw()) errors += line[0] == 'E';
    EXPECT_EQ(errors, 1);
    solver->Step(5);  // there is room again
    EXPECT_EQ(solver->snapshot_failures(), 1);
    for (const int iter : {5, 15}) {
      const auto other = NewSolver<float>(text);
      other->Restore((folder / Str("s_iter_", iter, ".solverstate", end)).c_str());
      other->Step(15 - iter);
      EXPECT_EQ(Weights(other.get()), Weights(solver.get()));
    }
  }
}

TEST(SnapshotFailureTest, DiskFullBetweenWeightsAndState) {
  TemporaryFolder folder;
  const LogCapture log;
  // Adam's state is twice the size of the weights.
  const auto solver = NewSolver<float>(
      Training(folder / "s", "type: 'Adam' momentum: 0.5 snapshot: 5", 4000));
  solver->Step(5);
  {
    const FullDisk full(20000);
    solver->Step(5);
  }
  EXPECT_EQ(solver->snapshot_failures(), 1);
  EXPECT_EQ(folder.NumFiles(), 3);
  EXPECT_NE(ReadBytes(folder / "s_iter_10.caffemodel"), "");
  EXPECT_THAT(log.Find("no snapshot was written"), HasSubstr("s_iter_10.solverstate"));
}

TEST(SnapshotFailureTest, SolveEndsAndSaysSo) {
  TemporaryFolder folder;
  const LogCapture log;
  const auto solver = NewSolver<float>(Training(folder / "s", "snapshot: 10"));
  {
    const FullDisk full(100);
    solver->Solve();
  }
  EXPECT_EQ(solver->iter(), 20);
  // At 10, at 20, and the last attempt after training.
  EXPECT_EQ(solver->snapshot_failures(), 3);
  EXPECT_TRUE(
      log.Has("3 snapshot(s) could not be written; there is no snapshot of this run"));
  EXPECT_TRUE(log.Has("Optimization Done."));
  EXPECT_EQ(folder.NumFiles(), 0);
}

TEST(SnapshotFailureTest, SnapshotDueAtTheEndIsTriedAgain) {
  TemporaryFolder folder;
  const LogCapture log;
  const auto solver = NewSolver<float>(Training(folder / "s", "snapshot: 20"));
  auto full = std::make_unique<FullDisk>(100);
  solver->Step(20);
  EXPECT_EQ(solver->snapshot_failures(), 1);
  full.reset();
  solver->Solve();
  EXPECT_NE(ReadBytes(folder / "s_iter_20.solverstate"), "");
}

// Iterations of which the folder has a solverstate.
std::vector<int> SavedIterations(const std::string& folder) {
  std::vector<int> saved;
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::smatch match;
    const std::string name = entry.path().filename().string();
    if (std::regex_match(name, match, std::regex("s_iter_([0-9]+)\\.solverstate"))) {
      saved.push_back(std::stoi(match[1]));
    }
  }
  return saved;
}

TEST(KilledRunTest, EverySnapshotThereIsContinuesTheRunExactly) {
  // Kills come at any moment, and the last one in the middle of a file.
  constexpr int kRounds = 8, kCount = 100000;
  const std::string options = "snapshot: 1 test_initialization: false";
  std::map<int, std::vector<float>> expected;
  const LogCapture log;
  const auto whole =
      NewSolver<float>(Training("unused", options + " snapshot: 0", kCount));
  const auto weights_at = [&](int iter) {
    while (whole->iter() < iter) {
      whole->Step(1);
      expected[whole->iter()] = Weights(whole.get());
    }
    return expected[iter];
  };
  for (int round = 0; round < kRounds; ++round) {
    const bool within_a_file = round == kRounds - 1;
    TemporaryFolder folder;
    const std::string text = Training(folder / "s", options, kCount);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      omp_set_num_threads(1);  // the parent's worker threads are not in this process
      try {
        const auto solver = NewSolver<float>(text);
        solver->Step(2);
        const FullDisk half(within_a_file ? kCount * sizeof(float) / 2 : RLIM_INFINITY);
        // Without a dump of the memory.
        const rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        std::signal(SIGXFSZ, SIG_DFL);
        solver->Step(1000000);
      } catch (...) {
      }
      _exit(1);
    }
    if (!within_a_file) {
      while (SavedIterations(folder.path()).size() < 2 &&
             waitpid(child, nullptr, WNOHANG) == 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      std::this_thread::sleep_for(
          std::chrono::microseconds(static_cast<int>(test::Uniform(1, round, 0, 20000))));
      kill(child, SIGKILL);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the run ended by itself";
    const std::vector<int> saved = SavedIterations(folder.path());
    ASSERT_GE(saved.size(), 2u);
    // Newest and one other: the rest is alike, and reading all would take long.
    for (const int iter : {*std::max_element(saved.begin(), saved.end()), saved[0]}) {
      SCOPED_TRACE(Str("round ", round, ", iteration ", iter));
      const std::vector<float> before = weights_at(iter);
      const std::vector<float> after = weights_at(iter + 1);
      const rng_t stream = *caffe_rng();
      const auto solver =
          NewSolver<float>(Training("unused", options + " snapshot: 0", kCount));
      solver->Restore((folder / Str("s_iter_", iter, ".solverstate")).c_str());
      EXPECT_EQ(solver->iter(), iter);
      EXPECT_EQ(Weights(solver.get()), before);
      solver->Step(1);
      EXPECT_EQ(Weights(solver.get()), after);
      *caffe_rng() = stream;
    }
    if (within_a_file) {
      EXPECT_EQ(folder.NumFiles(), 2 * static_cast<int>(saved.size()) + 1)
          << "part of a file";
    }
  }
}

}  // namespace
}  // namespace caffe
