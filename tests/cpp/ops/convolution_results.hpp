#ifndef CAFFE_TESTS_OPS_CONVOLUTION_RESULTS_HPP_
#define CAFFE_TESTS_OPS_CONVOLUTION_RESULTS_HPP_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "caffe/ops/convolution.hpp"
#include "layer_test.hpp"
#include "ops/problems.hpp"
#include "ops/reference_convolution.hpp"

// The arrays of a convolution, and what an engine must make of them.

namespace caffe {
namespace test {

/// The blobs of one convolution, filled by the case's number.
template <typename T>
struct ConvolutionBlobs {
  ConvolutionBlobs(const ConvolutionProblem& p, std::uint64_t seed)
      : problem(p), x(p.src), y(p.dst), w(p.WeightsShape()), b({p.dst_channels()}) {
    Fill(&x, seed * 8);
    Fill(&w, seed * 8 + 1);
    Fill(&b, seed * 8 + 2);
    FillDiff(&y, seed * 8 + 3);
    FillDiff(&w, seed * 8 + 4);
    FillDiff(&b, seed * 8 + 5);
    FillNaN(&y);
    FillNaN(&x, Half::kDiff);
  }
  const T* bias() const { return problem.bias ? b.cpu_data() : nullptr; }

  /// Forward, then all gradients; those of the parameters are added to their diffs.
  void Run(ConvolutionOp<T>* op) {
    op->Forward(DataOf(&x), DataOf(&w), bias(), DataOf(&y));
    ConvolutionBackwardBias(problem, DiffOf(&y), b.mutable_cpu_diff());
    op->BackwardWeights(DataOf(&x), DiffOf(&y), w.mutable_cpu_diff());
    op->BackwardData(DiffOf(&y), DataOf(&w), DiffOf(&x));
  }

  ConvolutionProblem problem;
  Blob<T> x, y, w, b;
};

/// Results by the definition, or where that takes too long by the reference engine in
/// double, which the small problems check against the definition.
inline constexpr std::int64_t kMostProducts = 40'000'000;

template <typename T>
ConvolutionResults Expected(const ConvolutionCase& c, const ConvolutionBlobs<T>& blobs) {
  const Doubles x = Values(blobs.x), w = Values(blobs.w), b = Values(blobs.b);
  const Doubles dy = Values(blobs.y, Half::kDiff);
  if (c.Products() <= kMostProducts) {
    return ReferenceConvolution(c.problem, x, w, c.problem.bias ? b : Doubles(), dy);
  }
  ConvolutionBlobs<double> exact(c.problem, 0);
  const auto set = [](Blob<double>* blob, Half half, const Doubles& values) {
    FillWith(blob, half, [&](int i) { return values[i]; });
  };
  set(&exact.x, Half::kData, x);
  set(&exact.w, Half::kData, w);
  set(&exact.b, Half::kData, b);
  set(&exact.y, Half::kDiff, dy);
  for (Blob<double>* blob : {&exact.w, &exact.b}) {
    FillWith(blob, Half::kDiff, [](int) { return 0; });
  }
  exact.Run(MakeConvolution<double>(c.problem).get());
  return {Values(exact.y), Values(exact.x, Half::kDiff), Values(exact.w, Half::kDiff),
          Values(exact.b, Half::kDiff)};
}

/// A kernel that leaves memory as it found it, zeroed, must not pass because small
/// values are close to 0.
inline void ExpectNotMostlyZero(const Doubles& got, const Doubles& want,
                                const std::string& what) {
  const auto zeros = [](const Doubles& v) { return std::count(v.begin(), v.end(), 0.0); };
  EXPECT_LE(zeros(got), zeros(want) + static_cast<std::ptrdiff_t>(want.size() / 8))
      << what;
}

template <typename T>
void ExpectResult(const Doubles& got, const Doubles& want, std::int64_t terms,
                  const std::string& what) {
  ExpectClose(got, want, ToleranceOf<T>(OpKind::kReduction, terms), what);
  ExpectNotMostlyZero(got, want, what);
}

template <typename T>
void ExpectResults(const ConvolutionBlobs<T>& start, const ConvolutionBlobs<T>& blobs,
                   const ConvolutionResults& want) {
  const ConvolutionProblem& p = blobs.problem;
  const std::int64_t taps = Product(p.kernel);
  const std::int64_t outputs = Product(p.dst) / p.dst[1];
  ExpectResult<T>(Values(blobs.y), want.y, p.src[1] / p.group * taps + 1, "y");
  ExpectResult<T>(Values(blobs.x, Half::kDiff), want.dx, p.dst[1] / p.group * taps, "dx");
  // Gradients of parameters are added to what was there.
  Doubles dw = Values(start.w, Half::kDiff), db = Values(start.b, Half::kDiff);
  for (std::size_t i = 0; i < dw.size(); ++i) dw[i] += want.dw[i];
  for (std::size_t i = 0; i < db.size(); ++i) db[i] += want.db[i];
  ExpectResult<T>(Values(blobs.w, Half::kDiff), dw, outputs + 1, "dw");
  ExpectResult<T>(Values(blobs.b, Half::kDiff), db, outputs + 1, "db");
}

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_OPS_CONVOLUTION_RESULTS_HPP_
