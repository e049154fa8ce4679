#include "caffe/parallel.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "caffe/common.hpp"

// The group of a process that no launcher started. Groups of several are tested with
// mpirun in tests/python/caffe/test_parallel.py.

namespace caffe {
namespace {

TEST(ProcessGroupTest, OneProcessIsAloneAndChangesNothing) {
  Caffe::set_solver_count(4);
  Caffe::set_solver_rank(2);
  ProcessGroup& group = ProcessGroup::Join();
  EXPECT_EQ(group.rank(), 0);
  EXPECT_EQ(group.size(), 1);
  std::vector<float> singles = {1, -2, 0.5};
  std::vector<double> doubles = {3, 4};
  std::string bytes = "bytes";
  group.StartSum(singles.data(), 3);
  group.StartSum(doubles.data(), 2);
  group.Advance();
  group.Wait();
  group.Broadcast(bytes.data(), bytes.size());
  EXPECT_EQ(singles, (std::vector<float>{1, -2, 0.5}));
  EXPECT_EQ(doubles, (std::vector<double>{3, 4}));
  EXPECT_EQ(bytes, "bytes");
  group.Leave();
  group.Wait();
  // A program of its own may have made several solvers by hand.
  EXPECT_EQ(Caffe::solver_count(), 4);
  EXPECT_EQ(Caffe::solver_rank(), 2);
  EXPECT_EQ(&ProcessGroup::Join(), &group);
}

// Compiled with MPI and without: in either case N processes must not train alone each.
TEST(ProcessGroupTest, ProcessesThatCannotBeConnectedAreRefused) {
  const auto refused = [] {
    setenv("PMI_SIZE", "3", 1);
    try {
      ProcessGroup::Join();
    } catch (const RuntimeFailure& error) {
      std::fputs(error.what(), stderr);
      std::exit(7);
    }
    std::_Exit(0);
  };
  EXPECT_EXIT(refused(), testing::ExitedWithCode(7),
              "3 (processes that|that were started)");
}

TEST(ProcessGroupTest, OneLaunchedProcessIsAlone) {
  const auto alone = [] {
    setenv("OMPI_COMM_WORLD_SIZE", "1", 1);
    std::_Exit(ProcessGroup::Join().size() == 1 ? 7 : 0);
  };
  EXPECT_EXIT(alone(), testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace caffe
