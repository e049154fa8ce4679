#include "caffe/solvers/snapshot_files.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "solvers/solver_fixture.hpp"

namespace caffe {
namespace {

namespace fs = std::filesystem;
using test::MessageOf;
using test::TemporaryFolder;
using test::WriteBytes;
using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(SnapshotRecordTest, ASnapshotIsGoodWhenItsWeightsHaveHadALoss) {
  SnapshotRecord record;
  EXPECT_EQ(record.LastGood(), "there is no snapshot of this run, begin again");
  EXPECT_EQ(record.Last(), "there is no snapshot of this run");
  record.LossIsFinite();
  EXPECT_EQ(record.Last(), "there is no snapshot of this run");
  record.Written("s2");
  EXPECT_EQ(record.LastGood(),
            "the snapshot 's2' is of the same iteration, and there is none from before, "
            "begin again");
  EXPECT_EQ(record.Last(), "the last snapshot is 's2'");
  record.LossIsFinite();
  record.LossIsFinite();
  EXPECT_EQ(record.LastGood(), "the last good snapshot is 's2', go on from there");
  record.Written("s4");
  EXPECT_EQ(record.LastGood(),
            "the snapshot 's4' is of the same iteration, the last good snapshot is 's2', "
            "go on from there");
  EXPECT_EQ(record.Last(), "the last snapshot is 's4'");
  record.Restored("s1");
  EXPECT_EQ(record.Last(), "the last snapshot is 's1'");
}

TEST(SnapshotRecordTest, FailuresAreCounted) {
  SnapshotRecord record;
  EXPECT_EQ(record.failures(), 0);
  EXPECT_FALSE(record.last_failed());
  record.Failed();
  record.Failed();
  EXPECT_TRUE(record.last_failed());
  record.Restored("s1");
  EXPECT_TRUE(record.last_failed());
  record.Written("s2");
  EXPECT_FALSE(record.last_failed());
  EXPECT_EQ(record.failures(), 2);
}

TEST(CheckSnapshotPrefixTest, MakesTheFolderAndLeavesNothingInIt) {
  const TemporaryFolder folder;
  SolverParameter param;
  param.set_snapshot(5);
  EXPECT_THAT(MessageOf<ValueError>([&] { CheckSnapshotPrefix(param, "x"); }),
              HasSubstr("snapshot is given without snapshot_prefix"));
  param.set_snapshot_prefix(folder / "of/runs/s");
  CheckSnapshotPrefix(param, folder / "of/runs/s_iter_0.tempfile");
  EXPECT_TRUE(fs::is_empty(folder / "of/runs"));
  WriteBytes(folder / "file", "");
  param.set_snapshot_prefix(folder / "file/s");
  EXPECT_THAT(MessageOf<FileError>([&] { CheckSnapshotPrefix(param, "x"); }),
              AllOf(HasSubstr("file/s': the folder '"), HasSubstr("cannot be made: ")));
}

TEST(FindWeightsTest, ThereOrBesideTheState) {
  const TemporaryFolder there, beside;
  SolverState state;
  state.set_learned_net(there / "w");
  const std::string file = beside / "s.solverstate";
  EXPECT_THAT(MessageOf<FileError>([&] { FindWeights(file, state); }),
              AllOf(HasSubstr("s.solverstate' needs the weights '" + there / "w"),
                    HasSubstr("neither there nor beside it as '" + beside / "w")));
  WriteBytes(beside / "w", "a");
  EXPECT_EQ(FindWeights(file, state), beside / "w");
  WriteBytes(there / "w", "b");
  EXPECT_EQ(FindWeights(file, state), there / "w");
  // FNV-1a of "a", as published with the function.
  state.set_learned_net_digest(0xaf63dc4c8601ec8cu);
  EXPECT_EQ(FindWeights(file, state), beside / "w");
  WriteBytes(beside / "w", "c");
  EXPECT_THAT(MessageOf<FileError>([&] { FindWeights(file, state); }),
              HasSubstr("w' is not the file that was saved with '" + file));
}

TEST(AdviceOnSnapshotBeforeTest, NamesTheNewestOfThisRunBeforeIt) {
  const TemporaryFolder folder;
  const auto advice = [&folder](const std::string& name) {
    return AdviceOnSnapshotBefore(folder / name);
  };
  const auto names = [&folder](const std::string& name) {
    return HasSubstr("; the one before is '" + folder / name + "', from which");
  };
  EXPECT_EQ(advice("s_iter_30.solverstate"), "");
  for (const std::string name :
       {"s_iter_30.solverstate", "s_iter_4.solverstate", "s_iter_9.caffemodel",
        "t_iter_9.solverstate", "s_iter_.solverstate", "s_iter_9x.solverstate",
        "s_iter_40.solverstate", ".s_iter_9.solverstate.caffe-tmp",
        "s_iter_9.solverstate."}) {
    WriteBytes(folder / name, "");
  }
  EXPECT_THAT(advice("s_iter_30.solverstate"), names("s_iter_4.solverstate"));
  WriteBytes(folder / "s_iter_10.solverstate.h5", "");
  EXPECT_THAT(advice("s_iter_30.solverstate"), names("s_iter_10.solverstate.h5"));
  EXPECT_THAT(advice("s_iter_10.solverstate.h5"), names("s_iter_4.solverstate"));
  EXPECT_EQ(advice("s_iter_4.solverstate"), "");
  for (const std::string odd : {"", "s_iter_20.solverstate", "s_iter_9.caffemodel",
                                "s_iter_.solverstate", "t_iter_9.solverstate"}) {
    EXPECT_EQ(advice(odd), "") << odd;
  }
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  EXPECT_THAT(AdviceOnSnapshotBefore("s_iter_30.solverstate"),
              HasSubstr("'s_iter_10.solverstate.h5'"));
  fs::current_path(before);
}

}  // namespace
}  // namespace caffe
