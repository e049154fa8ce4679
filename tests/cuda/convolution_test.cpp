// Every engine of convolution on a GPU on the shared list of problems, in both layouts,
// and how cuDNN's algorithms are chosen.

#include "caffe/gpu/convolution.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "both_layouts.hpp"
#include "caffe/device.hpp"
#include "caffe/gpu/convolution/engines.hpp"
#include "gpu_mode.hpp"
#include "layer_test.hpp"
#include "ops/convolution_results.hpp"
#include "ops/problems.hpp"
#include "sixteen_bits.hpp"

namespace caffe {
namespace test {
namespace {

// An emulation takes as long for a product as a GPU for thousands.
#ifdef CUDA_EMULATION_CUDA_RUNTIME_H_
constexpr std::int64_t kMostProductsOfATest = 8'000'000;
#else
constexpr std::int64_t kMostProductsOfATest = std::numeric_limits<std::int64_t>::max();
#endif

std::vector<ConvolutionCase> Cases() {
  std::vector<ConvolutionCase> cases = SmallConvolutions();
  for (ConvolutionCase& c : SkNet50Convolutions()) {
    if (c.Products() <= kMostProductsOfATest) cases.push_back(std::move(c));
  }
  return cases;
}

template <typename T>
using DeviceOp = DeviceConvolution<T>;

template <typename T>
void ForwardOf(DeviceOp<T>* op, ConvolutionBlobs<T>* blobs,
               const Blob<T>* addend = nullptr) {
  op->Forward(DeviceDataOf(&blobs->x), DeviceDataOf(&blobs->w),
              blobs->problem.bias ? blobs->b.gpu_data() : nullptr,
              DeviceDataOf(&blobs->y), addend);
}

template <typename T>
void BackwardOf(DeviceOp<T>* op, ConvolutionBlobs<T>* blobs) {
  DeviceConvolutionBackwardBias(DeviceDiffOf(&blobs->y), 1, blobs->b.mutable_gpu_diff());
  op->BackwardWeights(DeviceDataOf(&blobs->x), DeviceDiffOf(&blobs->y),
                      blobs->w.mutable_gpu_diff());
  op->BackwardData(DeviceDiffOf(&blobs->y), DeviceDataOf(&blobs->w),
                   DeviceDiffOf(&blobs->x));
}

template <typename T>
void MoveInputsTo(DeviceLayout layout, ConvolutionBlobs<T>* blobs) {
  MoveTo(layout, DeviceDataOf(&blobs->x));
  MoveTo(layout, DeviceDiffOf(&blobs->y));
}

// Calls check(op) for each engine that takes the problem.
template <typename T, typename Check>
void ForEachEngine(const ConvolutionProblem& problem, Check check) {
  int engines = 0;
  for (const auto& engine : DeviceConvolutionEngines<T>()) {
    std::string why;
    const auto op = engine.make(problem, &why);
    if (!op) {
      EXPECT_NE(why, "") << engine.name << " declines without a reason";
      continue;
    }
    ++engines;
    check(op.get());
  }
  EXPECT_GE(engines, 1);
}

class DeviceConvolutionTest : public ::testing::TestWithParam<ConvolutionCase> {
 protected:
  void SetUp() override { Caffe::set_mode(Caffe::GPU); }
  void TearDown() override { Caffe::set_mode(Caffe::CPU); }
  std::uint64_t Seed() const {
    return std::hash<std::string>()(GetParam().name) % 100000;
  }

  template <typename T>
  void ExpectTheDefinition() const {
    const ConvolutionCase& c = GetParam();
    const ConvolutionBlobs<T> start(c.problem, Seed());
    const ConvolutionResults want = Expected(c, start);
    ForEachEngine<T>(c.problem, [&](DeviceOp<T>* op) {
      for (const DeviceLayout layout : kBothLayouts) {
        SCOPED_TRACE(Str(op->name(), " on ", NameOf(layout)));
        ConvolutionBlobs<T> blobs(c.problem, Seed());
        MoveInputsTo(layout, &blobs);
        ForwardOf(op, &blobs);
        BackwardOf(op, &blobs);
        ExpectResults(start, blobs, want);
      }
    });
  }
};

TEST_P(DeviceConvolutionTest, FloatAgreesWithTheDefinition) {
  ExpectTheDefinition<float>();
}

TEST_P(DeviceConvolutionTest, DoubleAgreesWithTheDefinition) {
  if (GetParam().Products() <= kMostProductsOfATest) ExpectTheDefinition<double>();
}

// Operands of 16 bits are the problem's; sums are float32, and what is stored is rounded.
TEST_P(DeviceConvolutionTest, In16BitsAgreesWithTheDefinition) {
  const ConvolutionCase& c = GetParam();
  for (const SixteenBits& bits : kSixteenBits) {
    SCOPED_TRACE(bits.name);
    ConvolutionProblem p = c.problem;
    p.precision = bits.precision;
    std::string why;
    const auto op = MakeCudnnConvolution<float>(p, &why);
    if (!op) GTEST_SKIP() << why;
    ConvolutionBlobs<float> blobs(p, Seed());
    bits.Round(&blobs.x);
    bits.Round(&blobs.w);
    bits.Round(&blobs.y, Half::kDiff);
    const ConvolutionResults want = Expected(c, blobs);
    Doubles dw = Values(blobs.w, Half::kDiff), db = Values(blobs.b, Half::kDiff);
    for (std::size_t i = 0; i < dw.size(); ++i) dw[i] += want.dw[i];
    for (std::size_t i = 0; i < db.size(); ++i) db[i] += want.db[i];
    MoveTo(bits.format(), DeviceDiffOf(&blobs.y));
    ForwardOf(op.get(), &blobs);
    BackwardOf(op.get(), &blobs);
    EXPECT_EQ(DeviceDataOf(&blobs.y).format(), bits.format());
    EXPECT_EQ(DeviceDiffOf(&blobs.x).format(), bits.format());
    const auto stored = [&](std::int64_t terms, int more) {
      return StoredAs(bits.epsilon(), ToleranceOf<float>(OpKind::kReduction, terms),
                      more);
    };
    const std::int64_t taps = Product(p.kernel), outputs = Product(p.dst) / p.dst[1];
    ExpectClose(Values(blobs.y), want.y,
                stored(p.src[1] / p.group * taps + 1, p.bias ? 1 : 0), "y");
    ExpectClose(Values(blobs.x, Half::kDiff), want.dx,
                stored(p.dst[1] / p.group * taps, 0), "dx");
    ExpectClose(Values(blobs.w, Half::kDiff), dw, stored(outputs + 1, 1), "dw");
    ExpectResult<float>(Values(blobs.b, Half::kDiff), db, outputs + 1, "db");
  }
}

// What cuDNN gets with its channels last it leaves so: a net is converted once.
TEST_P(DeviceConvolutionTest, ResultsAreInTheLayoutOfTheInputs) {
  const ConvolutionProblem& problem = GetParam().problem;
  std::string why;
  const auto op = MakeCudnnConvolution<float>(problem, &why);
  if (!op) GTEST_SKIP() << why;
  ConvolutionBlobs<float> blobs(problem, Seed());
  MoveInputsTo(DeviceLayout::kChannelsLast, &blobs);
  ForwardOf(op.get(), &blobs);
  BackwardOf(op.get(), &blobs);
  if (HasLayouts(problem.src) && HasLayouts(problem.dst)) {
    EXPECT_EQ(DeviceDataOf(&blobs.y).layout(), DeviceLayout::kChannelsLast);
    EXPECT_EQ(DeviceDiffOf(&blobs.x).layout(), DeviceLayout::kChannelsLast);
  }
}

// The sum and the ReLU of an inference net are in the format of the result.
TEST_P(DeviceConvolutionTest, EpilogueIn16Bits) {
  const ConvolutionCase& c = GetParam();
  for (const SixteenBits& bits : kSixteenBits) {
    SCOPED_TRACE(bits.name);
    ConvolutionProblem p = c.problem;
    p.precision = bits.precision;
    p.training = false;
    p.addend = p.relu = true;
    std::string why;
    const auto op = MakeCudnnConvolution<float>(p, &why);
    if (!op) GTEST_SKIP() << why;
    ConvolutionBlobs<float> blobs(p, Seed());
    Blob<float> addend(p.dst);
    Fill(&addend, Seed() * 8 + 6);
    bits.Round(&blobs.x);
    bits.Round(&blobs.w);
    bits.Round(&addend);
    Doubles want = Expected(c, blobs).y;
    const Doubles added = Values(addend);
    for (std::size_t i = 0; i < want.size(); ++i) {
      want[i] = std::max(want[i] + added[i], 0.0);
    }
    ForwardOf(op.get(), &blobs, &addend);
    EXPECT_EQ(DeviceDataOf(&blobs.y).format(), bits.format());
    const std::int64_t terms = p.src[1] / p.group * Product(p.kernel) + 2;
    // What the ReLU makes 0 was as large as what it leaves.
    ExpectClose(
        Values(blobs.y), want,
        StoredAs(bits.epsilon(), ToleranceOf<float>(OpKind::kReduction, terms), 2), "y");
  }
}

// The weights have a copy with their channels last: a change must reach it.
TEST_P(DeviceConvolutionTest, SeesChangedWeights) {
  const ConvolutionCase& c = GetParam();
  ForEachEngine<float>(c.problem, [&](DeviceOp<float>* op) {
    for (const DeviceLayout layout : kBothLayouts) {
      SCOPED_TRACE(Str(op->name(), " on ", NameOf(layout)));
      ConvolutionBlobs<float> blobs(c.problem, Seed());
      MoveInputsTo(layout, &blobs);
      const auto run = [&] {
        ForwardOf(op, &blobs);
        op->BackwardData(DeviceDiffOf(&blobs.y), DeviceDataOf(&blobs.w),
                         DeviceDiffOf(&blobs.x));
        Doubles results = Values(blobs.y);
        const Doubles dx = Values(blobs.x, Half::kDiff);
        results.insert(results.end(), dx.begin(), dx.end());
        return results;
      };
      Doubles want = run();
      // Twice the weights (and bias) are twice the results, to rounding.
      blobs.w.scale_data(2);
      blobs.b.scale_data(2);
      for (double& value : want) value *= 2;
      const std::int64_t terms = c.problem.WeightsShape()[1] * Product(c.problem.kernel) *
                                 std::max(c.problem.group, 2);
      ExpectClose(run(), want, ToleranceOf<float>(OpKind::kReduction, terms), "results");
    }
  });
}

// The sum and the ReLU of an inference net, in the same call.
TEST_P(DeviceConvolutionTest, EpilogueIsTheSumAndTheRelu) {
  const ConvolutionCase& c = GetParam();
  const ConvolutionBlobs<float> start(c.problem, Seed());
  const Doubles plain = Expected(c, start).y;
  Blob<float> addend(c.problem.dst);
  Fill(&addend, Seed() * 8 + 6);
  const Doubles added = Values(addend);
  for (const bool add : {false, true}) {
    for (const bool relu : {false, true}) {
      ConvolutionProblem problem = c.problem;
      problem.training = false;
      problem.addend = add;
      problem.relu = relu;
      Doubles want = plain;
      for (std::size_t i = 0; i < want.size(); ++i) {
        if (add) want[i] += added[i];
        if (relu) want[i] = std::max(want[i], 0.0);
      }
      const std::int64_t terms =
          problem.src[1] / problem.group * Product(problem.kernel) + 2;
      ForEachEngine<float>(problem, [&](DeviceOp<float>* op) {
        for (const DeviceLayout layout : kBothLayouts) {
          SCOPED_TRACE(Str(op->name(), ", ", NameOf(layout), ", ", problem.Text()));
          ConvolutionBlobs<float> blobs(problem, Seed());
          MoveInputsTo(layout, &blobs);
          ForwardOf(op, &blobs, add ? &addend : nullptr);
          ExpectClose(Values(blobs.y), want,
                      ToleranceOf<float>(OpKind::kReduction, terms), "y");
        }
      });
    }
  }
}

std::string CaseName(const ::testing::TestParamInfo<ConvolutionCase>& info) {
  return "_" + info.param.name;
}
INSTANTIATE_TEST_SUITE_P(Shared, DeviceConvolutionTest, ::testing::ValuesIn(Cases()),
                         CaseName);

// What is no number, or infinite, goes through the ReLU as through the layer.
using DeviceConvolutionReluTest = GpuModeTest<float>;

TEST_F(DeviceConvolutionReluTest, HidesNothing) {
  const ConvolutionCase c =
      MakeCase("relu", {2, 8, 6, 5}, 6, {.kernel = {3}, .pad = {1}}, 2, true);
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    for (const DeviceLayout layout : kBothLayouts) {
      const auto run = [&](bool relu) {
        ConvolutionProblem problem = c.problem;
        problem.training = false;
        problem.relu = relu;
        ConvolutionBlobs<float> blobs(problem, 3);
        blobs.x.mutable_cpu_data()[blobs.x.count() / 2] = value;
        MoveInputsTo(layout, &blobs);
        ForwardOf(MakeDeviceConvolution<float>(problem).get(), &blobs);
        return Values(blobs.y);
      };
      Doubles want = run(false);
      for (double& y : want) y = y > 0 ? y : 0 * y;
      // Each run may sum in an order of its own.
      const Tolerance tolerance = ToleranceOf<float>(OpKind::kReduction, 4 * 3 * 3);
      ExpectClose(run(true), want, tolerance, NameOf(layout));
    }
  }
}

// --- How algorithms are chosen.

// Sets a variable of the environment while it lives.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    setenv(name, value, /*overwrite=*/1);
  }
  ~Variable() { unsetenv(name_); }
  Variable(const Variable&) = delete;

 private:
  const char* name_;
};

// Of no other test, so that no verdict is there yet.
ConvolutionProblem ProblemOfWidth(int width) {
  return MakeCase("own", {2, 8, 6, width}, 12, {.kernel = {3}, .pad = {1}}).problem;
}

using DeviceConvolutionChoiceTest = GpuModeTest<float>;

TEST_F(DeviceConvolutionChoiceTest, OneSearchForAPassOfAProblem) {
  const ConvolutionProblem problem = ProblemOfWidth(31);
  const auto searches = [&](const ConvolutionProblem& p, DeviceLayout layout) {
    const std::int64_t before = ConvolutionSearchCount();
    const auto op = MakeDeviceConvolution<float>(p);
    for (int repeat = 0; repeat < 2; ++repeat) {
      ConvolutionBlobs<float> blobs(p, 1);
      MoveInputsTo(layout, &blobs);
      ForwardOf(op.get(), &blobs);
      BackwardOf(op.get(), &blobs);
    }
    return ConvolutionSearchCount() - before;
  };
  const Variable any("CAFFE_DETERMINISTIC", "0");
  EXPECT_EQ(searches(problem, DeviceLayout::kPlain), 3);
  EXPECT_EQ(searches(problem, DeviceLayout::kPlain), 0) << "another op";
  EXPECT_EQ(searches(problem, DeviceLayout::kChannelsLast), 3);
  EXPECT_EQ(searches(ProblemOfWidth(32), DeviceLayout::kPlain), 3);
  // What is added behind the products does not matter to their choice.
  ConvolutionProblem rectified = problem;
  rectified.relu = true;
  EXPECT_EQ(searches(rectified, DeviceLayout::kPlain), 0);
  const Variable deterministic("CAFFE_DETERMINISTIC", "1");
  EXPECT_EQ(searches(problem, DeviceLayout::kPlain), 3);
}

// In a thread of its own, which has no workspace yet: returns what it grew to.
std::size_t WorkspaceOf(const ConvolutionProblem& problem) {
  std::size_t grown = 0;
  std::thread([&] {
    Caffe::set_mode(Caffe::GPU);
    const ConvolutionBlobs<float> start(problem, 1);
    ConvolutionBlobs<float> blobs(problem, 1);
    MoveInputsTo(DeviceLayout::kPlain, &blobs);
    for (Blob<float>* blob : {&blobs.x, &blobs.y, &blobs.w, &blobs.b}) {
      blob->gpu_data();
      blob->gpu_diff();
    }
    const std::size_t before = device::CountMemory().used;
    const auto op = MakeDeviceConvolution<float>(problem);
    ForwardOf(op.get(), &blobs);
    op->BackwardData(DeviceDiffOf(&blobs.y), DeviceDataOf(&blobs.w),
                     DeviceDiffOf(&blobs.x));
    grown = device::CountMemory().used - before;
    const ConvolutionResults want = Expected(ConvolutionCase{"", problem}, start);
    ExpectClose(Values(blobs.y), want.y,
                ToleranceOf<float>(OpKind::kReduction, problem.src[1] * 9), "y");
  }).join();
  return grown;
}

TEST_F(DeviceConvolutionChoiceTest, TheWorkspaceStaysWithinItsLimit) {
  {
    const Variable limit("CAFFE_CUDNN_WORKSPACE_MB", "0");
    EXPECT_EQ(WorkspaceOf(ProblemOfWidth(33)), 0u);
  }
  constexpr std::size_t kMegabyte = 1 << 20;
  const Variable limit("CAFFE_CUDNN_WORKSPACE_MB", "0.5");
  EXPECT_LE(WorkspaceOf(ProblemOfWidth(34)), kMegabyte / 2);
}

TEST_F(DeviceConvolutionChoiceTest, DeterministicGivesEqualBitsAlways) {
  const Variable deterministic("CAFFE_DETERMINISTIC", "1");
  for (const DeviceLayout layout : kBothLayouts) {
    SCOPED_TRACE(NameOf(layout));
    const ConvolutionProblem problem = ProblemOfWidth(35);
    Doubles first;
    for (int repeat = 0; repeat < 3; ++repeat) {
      const auto op = MakeDeviceConvolution<float>(problem);
      ConvolutionBlobs<float> blobs(problem, 1);
      MoveInputsTo(layout, &blobs);
      ForwardOf(op.get(), &blobs);
      BackwardOf(op.get(), &blobs);
      Doubles results = Values(blobs.y);
      for (const Doubles& more :
           {Values(blobs.x, Half::kDiff), Values(blobs.w, Half::kDiff),
            Values(blobs.b, Half::kDiff)}) {
        results.insert(results.end(), more.begin(), more.end());
      }
      if (repeat == 0) first = results;
      ExpectClose(results, first, ToleranceOf<float>(OpKind::kCopy), "results");
    }
  }
}

TEST_F(DeviceConvolutionChoiceTest, WrongSwitchesAreNamed) {
  for (const auto& [name, value] : {std::pair("CAFFE_CUDNN_WORKSPACE_MB", "much"),
                                    {"CAFFE_CUDNN_WORKSPACE_MB", "-1"},
                                    {"CAFFE_DETERMINISTIC", "yes"}}) {
    const Variable wrong(name, value);
    const std::string message =
        ErrorOfAction([] { MakeDeviceConvolution<float>(ProblemOfWidth(36)); });
    EXPECT_NE(message.find(name), std::string::npos) << message;
    EXPECT_NE(message.find(value), std::string::npos) << message;
  }
}

TEST_F(DeviceConvolutionChoiceTest, WhatCudnnHasNotIsUnfolded) {
  ConvolutionProblem problem = ProblemOfWidth(37);
  const auto engine = [](const ConvolutionProblem& p) {
    return MakeDeviceConvolution<float>(p)->name();
  };
  EXPECT_EQ(engine(problem), "cudnn");
  problem.reference_only = true;
  EXPECT_EQ(engine(problem), kReferenceEngine) << "engine: CAFFE";
  EXPECT_EQ(engine(MakeCase("4d", {1, 4, 3, 4, 3, 2}, 6, {.kernel = {2}}).problem),
            kReferenceEngine);
  EXPECT_EQ(engine(MakeCase("no batch", {0, 4, 3, 4}, 6, {.kernel = {2}}).problem),
            kReferenceEngine);
}

}  // namespace
}  // namespace test
}  // namespace caffe
