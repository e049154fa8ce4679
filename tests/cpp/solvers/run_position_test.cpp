#include "caffe/solvers/run_position.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "parallel/thread_group.hpp"
#include "solvers/solver_fixture.hpp"

namespace caffe {
namespace {

using test::LogCapture;
using test::MessageOf;
using test::ThreadGroup;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Nets = std::vector<shared_ptr<Net<double>>>;

// A net whose layer is named so, with loss 0, 1, 2, … from one Forward to the next.
shared_ptr<Net<double>> NewNet(const std::string& layer) {
  NetParameter param;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      Str("layer { name: '", layer, "' type: 'ScriptedLoss' top: 'loss' }"), &param));
  return std::make_shared<Net<double>>(param);
}

double Step(Net<double>* net) {
  double loss;
  net->Forward(&loss);
  return loss;
}

TEST(RunPositionTest, LayersAndStreamGoOnWhereTheyWere) {
  const LogCapture log;
  ProcessGroup& alone = ProcessGroup::Join();
  *caffe_rng() = rng_t(5, 0);
  caffe_rng()->discard(7);
  const auto net = NewNet("l");
  const Nets tests = {NewNet("l"), NewNet("m")};
  for (int i = 0; i < 3; ++i) Step(net.get());
  Step(tests[1].get());
  const auto state = CapturePosition(*net, tests, &alone);
  EXPECT_EQ(state->layer_state_size(), 3);
  const rng_t stream = *caffe_rng();
  const auto other = NewNet("l");
  const Nets other_tests = {NewNet("l"), NewNet("m")};
  *caffe_rng() = rng_t(6, 3);
  RestorePosition("s", *state, *other, other_tests, alone);
  EXPECT_TRUE(*caffe_rng() == stream);
  EXPECT_EQ(Step(other.get()), 3);
  EXPECT_EQ(Step(other_tests[0].get()), 0);
  EXPECT_EQ(Step(other_tests[1].get()), 1);
  // Without the layers it is only told.
  RestorePosition("s", *state, *NewNet("k"), {other_tests[0]}, alone);
  EXPECT_NE(log.Find("position of layer 'l' of the train net"), "");
  EXPECT_NE(log.Find("position of layer 'm' of the test net"), "");
}

TEST(RunPositionTest, EveryRankHasItsOwnStream) {
  static constexpr int kRanks = 3;
  std::vector<std::string> states(kRanks);
  ThreadGroup::Run(kRanks, [&states](ThreadGroup* group) {
    *caffe_rng() = rng_t(5, group->rank());
    caffe_rng()->discard(10 * (group->rank() + 1));
    states[group->rank()] = CapturePosition(*NewNet("l"), {}, group)->SerializeAsString();
  });
  EXPECT_EQ(states[0], states[1]);
  EXPECT_EQ(states[0], states[2]);
  // In a larger group, the new ranks begin where the last one was.
  const LogCapture log;
  ThreadGroup::Run(kRanks + 1, [&states](ThreadGroup* group) {
    SolverState state;
    ASSERT_TRUE(state.ParseFromString(states[0]));
    RestorePosition("s", state, *NewNet("l"), {}, *group);
    rng_t expected(5, group->rank());
    expected.Seek(10 * (group->rank() < kRanks ? group->rank() + 1 : kRanks));
    EXPECT_TRUE(*caffe_rng() == expected);
  });
  EXPECT_THAT(log.Find("was written by"),
              HasSubstr("'s' was written by 3 process(es) and goes on in 4"));
}

TEST(RunPositionTest, DamagedStreamsAreNamed) {
  SolverState state;
  CheckStreams("s", state);
  for (const int bytes : {24, 48}) {
    state.set_rng_state(std::string(bytes, '\1'));
    CheckStreams("s", state);
  }
  for (const int bytes : {0, 5, 23, 25}) {
    state.set_rng_state(std::string(bytes, '\1'));
    EXPECT_THAT(MessageOf<FileError>([&] { CheckStreams("s", state); }),
                HasSubstr(Str("'s' is damaged: the random streams have ", bytes,
                              " bytes, expected 24")));
  }
}

}  // namespace
}  // namespace caffe
