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

}  // namespace
}  // namespace caffe
