#include "caffe/solvers/solver_nets.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "solvers/solver_fixture.hpp"

// The nets of a solver's definition; what solvers do with them is in solver_test.cpp.

namespace caffe {
namespace {

using test::LogCapture;
using test::MessageOf;
using test::SolverFromText;
using test::TemporaryFolder;
using test::WriteBytes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A net of one parameter with `count` values.
std::string NetText(const std::string& name, int count) {
  return Str("name: '", name, "' layer { name: 'l' type: 'ScriptedLoss' top: 'loss' ",
             "dummy_data_param { shape { dim: ", count, " } } } ");
}

TEST(SolverNetsTest, TestNetsComeInOrderAndShareTheirParameters) {
  const LogCapture log;
  const TemporaryFolder folder;
  WriteBytes(folder / "b", NetText("b", 3));
  const SolverParameter param = SolverFromText(
      Str("net_param { ", NetText("c", 3), " } test_net: '", folder / "b",
          "' test_net_param { ", NetText("a", 3), " } test_interval: 1 ",
          "test_iter: [1, 1, 1, 1] test_state: [{}, { stage: 'x' }, {}, { level: 7 }]"));
  const auto trained = BuildTrainNet<double>(param);
  EXPECT_EQ(trained->phase(), TRAIN);
  const auto nets = BuildTestNets<double>(param, trained.get());
  std::vector<std::string> names;
  for (const auto& net : nets) {
    names.push_back(net->name());
    EXPECT_EQ(net->phase(), TEST);
    EXPECT_EQ(net->learnable_params()[0]->cpu_data(),
              trained->learnable_params()[0]->cpu_data());
  }
  EXPECT_THAT(names, ElementsAre("a", "b", "c", "c"));
}

TEST(SolverNetsTest, BothPhasesStartFromTheWeights) {
  const LogCapture log;
  const TemporaryFolder folder;
  NetParameter weights;
  BuildTrainNet<float>(SolverFromText("net_param { " + NetText("n", 2) + "}"))
      ->ToProto(&weights);
  weights.mutable_layer(0)->mutable_blobs(0)->set_data(0, 7);
  WriteBytes(folder / "w", weights.SerializeAsString());
  const std::string text = Str("net_param { ", NetText("n", 2), " } test_iter: 1 ",
                               "test_interval: 1 weights: ' ", folder / "w", " ' ");
  const SolverParameter param = SolverFromText(text);
  const auto trained = BuildTrainNet<float>(param);
  EXPECT_EQ(trained->learnable_params()[0]->cpu_data()[0], 7);
  const Net<float> empty{NetParameter()};
  const auto tests = BuildTestNets<float>(param, &empty);
  EXPECT_EQ(tests[0]->learnable_params()[0]->cpu_data()[0], 7);
  EXPECT_EQ(log.Count("Finetuning from " + folder / "w"), 2);

  weights.mutable_layer(0)->mutable_blobs(0)->set_data(
      1, std::numeric_limits<float>::infinity());
  WriteBytes(folder / "w", weights.SerializeAsString());
  EXPECT_THAT(MessageOf<ValueError>([&] { BuildTrainNet<float>(param); }),
              HasSubstr("w' gives layer 'l' (ScriptedLoss), parameter 0: 1 of 2 values"));
  BuildTrainNet<float>(SolverFromText(text + "on_nan: CONTINUE"));
}

TEST(SolverNetsTest, ErrorsNameTheFieldOrFile) {
  const LogCapture log;
  const auto error = [](const std::string& text) {
    return MessageOf<Error>([&] {
      const SolverParameter param = SolverFromText(text);
      BuildTestNets(param, BuildTrainNet<float>(param).get());
    });
  };
  const std::string net = NetText("n", 1);
  EXPECT_THAT(error(""), HasSubstr("no train net given"));
  EXPECT_THAT(error(Str("net_param { ", net, " } net: 'x'")),
              HasSubstr("net and net_param given, expected exactly one"));
  EXPECT_THAT(error("train_net: '/nowhere/n'"), HasSubstr("/nowhere/n"));
  EXPECT_THAT(error(Str("net_param { ", net, " } test_net_param { layer { name: 'q' ",
                        "type: 'None' } } test_iter: 1 test_interval: 1")),
              HasSubstr("test_net_param: layer 'q'"));
}

}  // namespace
}  // namespace caffe
