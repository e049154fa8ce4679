#include "caffe/ops/convolution.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "caffe/ops/convolution/engines.hpp"
#include "caffe/ops/onednn.hpp"
#include "caffe/util/zero_denormals.hpp"
#include "layer_test.hpp"
#include "ops/bfloat16.hpp"
#include "ops/convolution_results.hpp"
#include "ops/problems.hpp"

// Every engine on the shared list of problems.

namespace caffe {
namespace test {
namespace {

bool Packs(const std::vector<int>& shape, int block) {
  return shape.size() > 2 && shape[1] % block == 0;
}

class ConvolutionEnginesTest : public ::testing::TestWithParam<ConvolutionCase> {
 protected:
  std::uint64_t Seed() const {
    return std::hash<std::string>()(GetParam().name) % 100000;
  }
};

TEST_P(ConvolutionEnginesTest, AgreeWithTheDefinition) {
  const ConvolutionCase& c = GetParam();
  const ConvolutionBlobs<float> start(c.problem, Seed());
  const ConvolutionResults want = Expected(c, start);
  int engines = 0;
  for (const auto& engine : ConvolutionEngines<float>()) {
    std::string why;
    const auto op = engine.make(c.problem, &why);
    if (!op) {
      EXPECT_NE(why, "") << engine.name << " declines without a reason";
      continue;
    }
    ++engines;
    for (const int block : {1, 8, 16}) {
      if (block > 1 && !Packs(c.problem.src, block) && !Packs(c.problem.dst, block))
        continue;
      SCOPED_TRACE(Str(op->name(), ", inputs in blocks of ", block));
      ConvolutionBlobs<float> blobs(c.problem, Seed());
      if (block > 1 && Packs(c.problem.src, block))
        FillPacked(&blobs.x, Values(blobs.x), block);
      if (block > 1 && Packs(c.problem.dst, block)) {
        FillPacked(&blobs.y, Values(blobs.y, Half::kDiff), block, Half::kDiff);
      }
      blobs.Run(op.get());
      ExpectResults(start, blobs, want);
    }
  }
  EXPECT_GE(engines, 1);
}

// Engines keep weights in their own layout: a change must reach them.
TEST_P(ConvolutionEnginesTest, SeeChangedWeights) {
  const ConvolutionCase& c = GetParam();
  for (const auto& engine : ConvolutionEngines<float>()) {
    std::string why;
    const auto op = engine.make(c.problem, &why);
    if (!op) continue;
    SCOPED_TRACE(op->name());
    ConvolutionBlobs<float> blobs(c.problem, Seed());
    op->Forward(DataOf(&blobs.x), DataOf(&blobs.w), blobs.bias(), DataOf(&blobs.y));
    op->BackwardData(DiffOf(&blobs.y), DataOf(&blobs.w), DiffOf(&blobs.x));
    Doubles y = Values(blobs.y), dx = Values(blobs.x, Half::kDiff);
    // Twice the weights (and bias) are twice the results, to the last bit.
    blobs.w.scale_data(2);
    blobs.b.scale_data(2);
    for (Doubles* values : {&y, &dx}) {
      for (double& value : *values) value *= 2;
    }
    op->BackwardData(DiffOf(&blobs.y), DataOf(&blobs.w), DiffOf(&blobs.x));
    op->Forward(DataOf(&blobs.x), DataOf(&blobs.w), blobs.bias(), DataOf(&blobs.y));
    ExpectClose(Values(blobs.y), y, ToleranceOf<float>(OpKind::kCopy), "y");
    ExpectClose(Values(blobs.x, Half::kDiff), dx, ToleranceOf<float>(OpKind::kCopy),
                "dx");
  }
}

// As the layer ReLU defines it: max(x, 0) + 0 * min(x, 0).
double ReluOf(double x) { return x > 0 ? x : 0 * x; }

// What is no number, or infinite, goes through the ReLU of every engine as through the
// layer.
TEST_P(ConvolutionEnginesTest, TheReluHidesNothing) {
  const ZeroDenormals zero_denormals;
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    for (const auto precision : {NetParameter::FLOAT32, NetParameter::BF16}) {
      ConvolutionProblem problem = GetParam().problem;
      problem.training = false;
      problem.precision = precision;
      for (const auto& engine : ConvolutionEngines<float>()) {
        std::string why;
        ConvolutionProblem fused_problem = problem;
        fused_problem.relu = true;
        const auto op = engine.make(problem, &why);
        const auto fused = engine.make(fused_problem, &why);
        if (!op || !fused) continue;
        SCOPED_TRACE(Str(fused->name(), " on ", problem.Text(), " with ", value));
        ConvolutionBlobs<float> blobs(problem, Seed());
        blobs.x.mutable_cpu_data()[blobs.x.count() / 2] = value;
        Doubles want;
        for (const bool relu : {false, true}) {
          (relu ? fused : op)
              ->Forward(DataOf(&blobs.x), DataOf(&blobs.w), blobs.bias(),
                        DataOf(&blobs.y), nullptr);
          if (relu) break;
          want = Values(blobs.y);
        }
        std::transform(want.begin(), want.end(), want.begin(), ReluOf);
        const Doubles got = Values(blobs.y);
        ASSERT_EQ(got.size(), want.size());
        for (std::size_t i = 0; i < want.size(); ++i) {
          ASSERT_EQ(std::isnan(got[i]), std::isnan(want[i])) << i << ": " << want[i];
          ASSERT_EQ(std::isinf(got[i]), std::isinf(want[i])) << i << ": " << want[i];
        }
      }
    }
  }
}

// The sum and the ReLU of an inference net, in the same pass.
TEST_P(ConvolutionEnginesTest, EpilogueIsTheSumAndTheRelu) {
  const ZeroDenormals zero_denormals;
  const ConvolutionCase& c = GetParam();
  const ConvolutionBlobs<float> start(c.problem, Seed());
  const Doubles plain = Expected(c, start).y;
  Blob<float> addend(c.problem.dst);
  Fill(&addend, Seed() * 8 + 6);
  for (const bool add : {false, true}) {
    ConvolutionProblem problem = c.problem;
    problem.training = false;
    problem.addend = add;
    problem.relu = true;
    Doubles want = plain;
    for (std::size_t i = 0; i < want.size(); ++i) {
      want[i] = std::max(0.0, want[i] + (add ? addend.cpu_data()[i] : 0));
    }
    int engines = 0;
    for (const auto& engine : ConvolutionEngines<float>()) {
      std::string why;
      const auto op = engine.make(problem, &why);
      if (!op) continue;
      ++engines;
      SCOPED_TRACE(Str(op->name(), " on ", problem.Text()));
      ConvolutionBlobs<float> blobs(problem, Seed());
      op->Forward(DataOf(&blobs.x), DataOf(&blobs.w), blobs.bias(), DataOf(&blobs.y),
                  add ? &addend : nullptr);
      const std::int64_t terms =
          problem.src[1] / problem.group * Product(problem.kernel) + 2;
      ExpectClose(Values(blobs.y), want, ToleranceOf<float>(OpKind::kReduction, terms),
                  "y");
    }
    EXPECT_GE(engines, 1);
  }
}

// With bf16 what is multiplied is rounded first, what is added up is not: the definition
// holds for the rounded operands. Away from the usual layouts an op may have no such
// kernel for one of its gradients.
TEST_P(ConvolutionEnginesTest, Bfloat16RoundsOperandsOnly) {
  const ConvolutionCase& c = GetParam();
  ConvolutionCase rounded_case = c;
  rounded_case.problem.precision = NetParameter::BF16;
  const ConvolutionBlobs<float> start(c.problem, Seed());
  ConvolutionBlobs<float> rounded(c.problem, Seed());
  const auto round = [](Blob<float>* blob, Half half) {
    const Doubles values = Values(*blob, half);
    FillWith(blob, half, [&](int i) { return RoundedToBfloat16(values[i]); });
  };
  round(&rounded.x, Half::kData);
  round(&rounded.w, Half::kData);
  round(&rounded.y, Half::kDiff);
  const ConvolutionResults want = Expected(c, rounded), exact = Expected(c, start);
  const auto op = MakeConvolution<float>(rounded_case.problem);
  const bool has_kernel = op->name().find("bf16") != std::string::npos;
  EXPECT_EQ(has_kernel, c.problem.group == 1 && onednn::HasBfloat16() &&
                            op->name().find("onednn") != std::string::npos)
      << op->name();
  ConvolutionBlobs<float> blobs(c.problem, Seed());
  blobs.Run(op.get());
  const ConvolutionProblem& p = c.problem;
  const std::int64_t taps = Product(p.kernel), outputs = Product(p.dst) / p.dst[1];
  const auto near = [](const Doubles& got, const Doubles& of, std::int64_t terms) {
    const Tolerance tolerance = ToleranceOf<float>(OpKind::kReduction, terms);
    double largest = 0;
    for (double value : of) largest = std::max(largest, std::fabs(value));
    for (std::size_t i = 0; i < of.size(); ++i) {
      if (!IsClose(got[i], of[i], largest, tolerance)) return false;
    }
    return true;
  };
  const std::int64_t forward_terms = p.src[1] / p.group * taps + 1;
  EXPECT_TRUE(near(Values(blobs.y), has_kernel ? want.y : exact.y, forward_terms));
  const bool usual = has_kernel && Packs(p.src, 16) && Packs(p.dst, 16);
  const auto either = [&](const Doubles& got, const Doubles& first, const Doubles& second,
                          std::int64_t terms) {
    return near(got, first, terms) || (!usual && near(got, second, terms));
  };
  EXPECT_TRUE(
      either(Values(blobs.x, Half::kDiff), want.dx, exact.dx, p.dst[1] / p.group * taps));
  const auto added = [&start](Doubles dw) {
    const Doubles before = Values(start.w, Half::kDiff);
    for (std::size_t i = 0; i < dw.size(); ++i) dw[i] += before[i];
    return dw;
  };
  EXPECT_TRUE(
      either(Values(blobs.w, Half::kDiff), added(want.dw), added(exact.dw), outputs + 1));
  // Not a product: the gradient of the bias is that of float32.
  Doubles db = exact.db;
  for (std::size_t i = 0; i < db.size(); ++i) db[i] += Values(start.b, Half::kDiff)[i];
  ExpectResult<float>(Values(blobs.b, Half::kDiff), db, outputs + 1, "db");
}

std::string CaseName(const ::testing::TestParamInfo<ConvolutionCase>& info) {
  return "_" + info.param.name;
}
INSTANTIATE_TEST_SUITE_P(Small, ConvolutionEnginesTest,
                         ::testing::ValuesIn(SmallConvolutions()), CaseName);
INSTANTIATE_TEST_SUITE_P(SkNet50, ConvolutionEnginesTest,
                         ::testing::ValuesIn(SkNet50Convolutions()), CaseName);

// The reference that large problems rely on.
TEST(ReferenceEngineTest, AgreesWithTheDefinitionInDouble) {
  std::uint64_t seed = 0;
  for (const ConvolutionCase& c : SmallConvolutions()) {
    SCOPED_TRACE(c.name + ": " + c.problem.Text());
    const ConvolutionBlobs<double> start(c.problem, ++seed);
    ConvolutionBlobs<double> blobs(c.problem, seed);
    blobs.Run(MakeConvolution<double>(c.problem).get());
    ExpectResults(start, blobs, Expected(c, start));
  }
}

// What training SKNet runs on: no shape of it may fall back to reference code.
TEST(ConvolutionSelectionTest, SkNet50RunsOnFastEngines) {
  for (const ConvolutionCase& c : SkNet50Convolutions()) {
    EXPECT_NE(MakeConvolution<float>(c.problem)->name(), kReferenceEngine) << c.name;
  }
}

TEST(ConvolutionSelectionTest, SkNet50RunsOnFastEnginesWithAnEpilogue) {
  for (const ConvolutionCase& c : SkNet50Convolutions()) {
    ConvolutionProblem problem = c.problem;
    problem.training = false;
    problem.relu = true;
    EXPECT_NE(MakeConvolution<float>(problem)->name(), kReferenceEngine) << c.name;
    problem.addend = true;
    EXPECT_NE(MakeConvolution<float>(problem)->name(), kReferenceEngine) << c.name;
  }
}

TEST(ConvolutionSelectionTest, SkNet50MultipliesInBfloat16WhereItIsFaster) {
  int with = 0, without_groups = 0;
  for (const ConvolutionCase& c : SkNet50Convolutions()) {
    EXPECT_EQ(MakeConvolution<float>(c.problem)->name().find("bf16"), std::string::npos)
        << "never unasked";
    ConvolutionProblem problem = c.problem;
    problem.precision = NetParameter::BF16;
    without_groups += problem.group == 1;
    for (const bool epilogue : {false, true}) {
      problem.training = !epilogue;
      problem.relu = problem.addend = epilogue;
      with += MakeConvolution<float>(problem)->name().find("bf16") != std::string::npos;
    }
  }
  EXPECT_EQ(with, onednn::HasBfloat16() ? 2 * without_groups : 0);
}

TEST(ConvolutionSelectionTest, EngineCaffeIsTheReference) {
  for (const ConvolutionCase& c : SmallConvolutions()) {
    ConvolutionProblem problem = c.problem;
    problem.reference_only = true;
    EXPECT_EQ(MakeConvolution<float>(problem)->name(), kReferenceEngine) << c.name;
  }
}

TEST(ConvolutionSelectionTest, SeveralBatchAxesAreLeftToTheReference) {
  ConvolutionCase c = MakeCase("batch_of_batches", {2, 16, 6, 6}, 16, {{3}});
  c.problem.batch_is_axis0 = false;
  EXPECT_EQ(MakeConvolution<float>(c.problem)->name(), kReferenceEngine);
}

}  // namespace
}  // namespace test
}  // namespace caffe
