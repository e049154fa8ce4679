#include "caffe/solvers/solver_state_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "solvers/solver_fixture.hpp"

// What is in the files; hostile ones are in snapshot_test.cpp.

namespace caffe {
namespace {

using test::MessageOf;
using test::TemporaryFolder;
using test::WriteBytes;
using ::testing::HasSubstr;

template <typename Dtype>
std::vector<shared_ptr<Blob<Dtype>>> NewHistory(const std::vector<vector<int>>& shapes) {
  std::vector<shared_ptr<Blob<Dtype>>> history;
  for (const vector<int>& shape : shapes) {
    history.push_back(std::make_shared<Blob<Dtype>>(shape));
    test::Fill(history.back().get(), static_cast<int>(history.size()));
  }
  return history;
}

SolverState NewState() {
  SolverState state;
  state.set_iter(12);
  state.set_current_step(3);
  state.set_learned_net("w.caffemodel");
  state.set_learned_net_digest(~std::uint64_t{0});
  state.set_solver_type("Adam");
  state.add_losses(1.0f / 3);
  state.set_smoothed_loss(1e-30f);
  state.set_rng_state(std::string(24, '\0'));
  state.add_layer_state()->set_layer("data");
  return state;
}

template <typename Dtype>
class SolverStateFileTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(SolverStateFileTest, Types);

TYPED_TEST(SolverStateFileTest, BothFormsGiveBackWhatWasWritten) {
  using File = SolverStateFile<TypeParam>;
  const TemporaryFolder folder;
  const std::string path = folder / "s";
  const File written{NewState(), NewHistory<TypeParam>({{2, 3}, {}, {5}})};
  const auto like = NewHistory<TypeParam>({{2, 3}, {}, {5}});
  const TypeParam before = like[0]->cpu_data()[0];
  for (const bool hdf5 : {false, true}) {
    hdf5 ? written.WriteHdf5(path) : written.WriteBinary(path);
    EXPECT_EQ(IsHdf5State(path), hdf5);
    const File read =
        hdf5 ? File::ReadHdf5(path, "Adam", like) : File::ReadBinary(path, "Adam", like);
    EXPECT_EQ(read.state.SerializeAsString(), NewState().SerializeAsString());
    ASSERT_EQ(read.history.size(), 3u);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(read.history[i]->shape(), like[i]->shape());
      EXPECT_EQ(test::Values(*read.history[i]), test::Values(*written.history[i]));
      EXPECT_NE(read.history[i], like[i]);
    }
    EXPECT_EQ(like[0]->cpu_data()[0], before);
  }
}

TYPED_TEST(SolverStateFileTest, AnotherTypeOrNumberOfArraysIsRefused) {
  using File = SolverStateFile<TypeParam>;
  const TemporaryFolder folder;
  const std::string path = folder / "s";
  const auto two = NewHistory<TypeParam>({{2}, {3}});
  const File written{NewState(), two};
  for (const bool hdf5 : {false, true}) {
    hdf5 ? written.WriteHdf5(path) : written.WriteBinary(path);
    const auto read = hdf5 ? &File::ReadHdf5 : &File::ReadBinary;
    EXPECT_THAT(MessageOf<ValueError>([&] { read(path, "SGD", two); }),
                HasSubstr("was written by a solver of type 'Adam', expected 'SGD'"));
    const auto one = NewHistory<TypeParam>({{2}});
    EXPECT_THAT(MessageOf<ValueError>([&] { read(path, "Adam", one); }),
                HasSubstr("has 2 history blobs, expected 1"));
    const auto other = NewHistory<TypeParam>({{2}, {4}});
    EXPECT_NE(MessageOf<Error>([&] { read(path, "Adam", other); }), "");
  }
}

TEST(IsHdf5StateTest, WeightsAreNoState) {
  const TemporaryFolder folder;
  NetParameter weights;
  weights.set_name("net");
  weights.add_layer()->set_name("l");
  WriteBytes(folder / "w", weights.SerializeAsString());
  EXPECT_THAT(MessageOf<FileError>([&] { IsHdf5State(folder / "w"); }),
              HasSubstr("w' is a caffemodel (weights), expected a solverstate"));
}

}  // namespace
}  // namespace caffe
