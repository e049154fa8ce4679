#include <cmath>
#include <string>
#include <vector>

#include "caffe/util/io.hpp"
#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

struct InfogainCase {
  std::string params;
  int axis;
  bool has_ignored;
  std::string divisor;
};

const std::vector<InfogainCase>& Cases() {
  static const std::vector<InfogainCase> cases = {
      {"", 1, false, "VALID"},
      {"infogain_loss_param { axis: -1 }", 3, false, "VALID"},
      {"infogain_loss_param { axis: 2 } loss_param { ignore_label: 1 }", 2, true,
       "VALID"},
      {"loss_param { ignore_label: 1 normalization: FULL }", 1, true, "FULL"},
      {"loss_param { normalization: BATCH_SIZE }", 1, false, "BATCH"},
      {"loss_param { normalization: NONE }", 1, false, "NONE"},
  };
  return cases;
}

std::string Loss(const std::string& params) {
  return "name: 'i' type: 'InfogainLoss' " + params;
}

template <typename T>
LayerRun<T> MakeRun(const InfogainCase& c, const std::vector<int>& shape, int tops = 1) {
  std::vector<int> labels = shape;
  labels[c.axis] = 1;
  const int classes = shape[c.axis];
  LayerRun<T> run(Loss(c.params), {shape, labels, {1, 1, classes, classes}}, tops);
  Fill(run.bottom[0], 1, -3, 3);
  FillIntegers(run.bottom[1], 2, 0, classes - 1);
  Fill(run.bottom[2], 3, 0, 2);
  return run;
}

template <typename T>
class InfogainLossLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(InfogainLossLayerTest, Types);

TYPED_TEST(InfogainLossLayerTest, LossAndGradient) {
  for (const InfogainCase& c : Cases()) {
    SCOPED_TRACE(c.params);
    const std::vector<int> shape = {3, 5, 4, 7};
    auto run = MakeRun<TypeParam>(c, shape, 2);
    const double loss = run.Forward();
    run.Backward({true, false, false});
    const Doubles x = run.Bottom(0), labels = run.Bottom(1), h = run.Bottom(2);
    const int K = shape[c.axis], inner = run.bottom[0]->count(c.axis + 1);
    Doubles dx(x.size(), 0), prob(x.size());
    double want = 0;
    int valid = 0;
    for (size_t position = 0; position < labels.size(); ++position) {
      const size_t first = position / inner * K * inner + position % inner;
      double sum = 0;
      for (int k = 0; k < K; ++k) sum += std::exp(x[first + k * inner]);
      const int label = static_cast<int>(labels[position]);
      double row = 0;
      for (int k = 0; k < K; ++k) row += h[label * K + k];
      const bool counts = !c.has_ignored || label != 1;
      valid += counts;
      for (int k = 0; k < K; ++k) {
        const size_t i = first + k * inner;
        prob[i] = std::exp(x[i]) / sum;
        if (!counts) continue;
        want -= h[label * K + k] * std::log(prob[i]);
        dx[i] = prob[i] * row - h[label * K + k];
      }
    }
    double divisor = 1;
    if (c.divisor == "VALID") divisor = valid;
    if (c.divisor == "FULL") divisor = labels.size();
    if (c.divisor == "BATCH") divisor = run.bottom[0]->count(0, c.axis);
    for (double& d : dx) d /= divisor;
    const auto tolerance = ToleranceOf<TypeParam>(OpKind::kLoss, x.size());
    ExpectClose({loss}, {want / divisor}, tolerance, "loss");
    ExpectClose(run.Top(1), prob, tolerance, "prob");
    ExpectClose(run.BottomDiff(0), dx, tolerance, "dx");
  }
}

TEST(InfogainLossLayerTestDouble, Gradient) {
  for (const InfogainCase& c : Cases()) {
    SCOPED_TRACE(c.params);
    auto run = MakeRun<double>(c, {2, 3, 2, 2});
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top, 0);
  }
}

TEST(InfogainLossLayerTestDouble, MatrixOfAFile) {
  const InfogainCase c = Cases()[0];
  auto given = MakeRun<double>(c, {4, 3, 1, 1});
  const std::string path = ::testing::TempDir() + "/infogain.binaryproto";
  BlobProto proto;
  given.bottom[2]->ToProto(&proto);
  WriteProtoToBinaryFile(proto, path);
  LayerRun<double> read(Loss("infogain_loss_param { source: '" + path + "' }"),
                        {{4, 3, 1, 1}, {4, 1, 1, 1}});
  read.bottom[0]->CopyFrom(*given.bottom[0]);
  read.bottom[1]->CopyFrom(*given.bottom[1]);
  EXPECT_EQ(read.Forward(), given.Forward());
  given.Backward({true, false, false});
  read.Backward({true, false});
  EXPECT_EQ(read.BottomDiff(0), given.BottomDiff(0));
  ExpectLayerError(Loss("infogain_loss_param { source: '" + path + "' }"), {{4, 5}, {4}},
                   1,
                   {"layer 'i' (InfogainLoss): the matrix of '" + path, "(1, 1, 3, 3)",
                    "expected (5, 5) for the 5 classes"});
}

TEST(InfogainLossLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(Loss(""), {{4, 5}, {4}}, 1, {"infogain_loss_param.source is missing"});
  ExpectLayerError(Loss("infogain_loss_param { source: '/none/h' }"), {{4, 5}, {4}}, 1,
                   {"/none/h"});
  ExpectLayerError(Loss(""), {{4, 5}, {4}, {4, 5}}, 1,
                   {"bottom[2] has shape (4, 5), expected (5, 5)"});
  ExpectLayerError(Loss(""), {{4, 5}, {4, 2}, {5, 5}}, 1, {"holds 8 labels, expected 4"});
  ExpectLayerError(Loss("loss_param { normalize: true }"), {{4, 5}, {4}, {5, 5}}, 1,
                   {"normalize is not for this layer", "normalization: VALID"});
  auto run = MakeRun<float>(Cases()[0], {2, 3, 1, 1});
  run.Forward();
  EXPECT_NE(ErrorOfAction([&] {
              run.Backward({true, false, true});
            }).find("bottom[2]: prices have no gradient"),
            std::string::npos);
  run.bottom[1]->mutable_cpu_data()[1] = 3;
  EXPECT_NE(ErrorOfAction([&] { run.Forward(); }).find("sample 1 has label 3"),
            std::string::npos);
}

}  // namespace
}  // namespace test
}  // namespace caffe
