#include "caffe/solver_factory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "solvers/solver_fixture.hpp"

namespace caffe {
namespace {

using ::testing::HasSubstr;
using ::testing::IsSupersetOf;

TEST(SolverFactoryTest, KnowsCaffesSolvers) {
  for (const auto& types : {SolverRegistry<float>::SolverTypeList(),
                            SolverRegistry<double>::SolverTypeList()}) {
    EXPECT_THAT(types, IsSupersetOf({"SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta",
                                     "Adam"}));
  }
}

TEST(SolverFactoryTest, GetSolverMakesTheTypeOfTheParameter) {
  const test::LogCapture quiet;
  const SolverParameter param = test::SolverFromText(
      "type: 'Adam' net_param { layer { name: 'l' type: 'ScriptedLoss' top: 'loss' "
      "dummy_data_param { shape { dim: 1 } } } }");
  const std::unique_ptr<Solver<float>> solver(GetSolver<float>(param));
  EXPECT_STREQ(solver->type(), "Adam");
}

TEST(SolverFactoryTest, UnknownTypeNamesTheClosest) {
  SolverParameter param;
  param.set_type("Nesterow");
  EXPECT_THAT(test::MessageOf<ValueError>([&] { GetSolver<double>(param); }),
              HasSubstr("unknown type 'Nesterow'; the closest is 'Nesterov'"));
}

}  // namespace
}  // namespace caffe
