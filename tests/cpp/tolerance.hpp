#ifndef CAFFE_TESTS_TOLERANCE_HPP_
#define CAFFE_TESTS_TOLERANCE_HPP_

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

// The one table of allowed differences. Tests name the kind of arithmetic and the
// number of terms behind one result, and never write a tolerance themselves.

namespace caffe {
namespace test {

/// What was done to the numbers, hence how far rounding can carry them.
enum class OpKind {
  /// Values are moved, selected, negated or multiplied by 0 or 1: equal bits.
  kCopy,
  /// A few multiplications and additions per result.
  kElementwise,
  /// exp, log, pow, tanh: vector libraries are good to 4 ulp, and an argument's
  /// rounding error e becomes |x| e in exp(x).
  kTranscendental,
  /// A sum of products over `terms` terms, in any order.
  kReduction,
  /// Such a sum, whose result is rounded to the 8 bits of a bfloat16.
  kBfloat16,
  /// Results divided by a deviation or a norm that is itself such a sum.
  kNormalization,
  /// log-sum-exp and what is derived from it, over `terms` classes or samples.
  kLoss,
  /// Four neighbours weighted by the distances to a place that was computed in double:
  /// its error is a few ulps of the image's extent, `terms` pixels, and moves the value
  /// by that share of the step between two neighbours.
  kInterpolation,
  /// A deep network in training: to change the input of SKNet-26 by 1e-6 of itself
  /// changes
  /// gradients by up to 0.5 of their largest, through batch norms over a few values.
  kNetwork,
};

/// A result passes when |got - want| <= relative * |want| + absolute * M, with M the
/// largest |want| of its blob: a sum that cancels keeps the error of its terms, which
/// are as large as its neighbours' results.
struct Tolerance {
  double relative;
  double absolute;
};

/// The tolerance for results of type T.
template <typename T>
Tolerance ToleranceOf(OpKind kind, std::int64_t terms = 1) {
  const double ulp = std::numeric_limits<T>::epsilon();
  // Rounding errors of n additions behave like a random walk of n steps; the factor
  // covers its tail over the largest blobs that tests compare (about 5 deviations).
  const double walk =
      5 * std::sqrt(static_cast<double>(std::max<std::int64_t>(terms, 1)));
  switch (kind) {
    case OpKind::kCopy:
      return {0, 0};
    case OpKind::kElementwise:
      return {8 * ulp, ulp};
    case OpKind::kTranscendental:
      return {64 * ulp, 4 * ulp};
    case OpKind::kReduction:
      return {8 * ulp, walk * ulp};
    case OpKind::kBfloat16:
      return {1.0 / 256, walk * ulp};
    case OpKind::kNormalization:
      // Mean, variance and scale each carry the error of one sum, and subtracting
      // the mean magnifies it by |mean| / deviation, which tests keep below 4.
      return {64 * ulp, 4 * walk * ulp};
    case OpKind::kLoss:
      return {64 * ulp, (16 + walk) * ulp};
    case OpKind::kInterpolation:
      return {8 * ulp, 10 * ulp + 8 * terms * std::numeric_limits<double>::epsilon()};
    case OpKind::kNetwork:
      return {0, 5e6 * ulp};
  }
  return {0, 0};
}

/// The relative error that a float function may have anywhere in its range: some 4 ulp of
/// the function, 4 of what it is divided by or multiplied with.
constexpr double kFloatPrecision = 1e-6;

/// For results of that tolerance which were stored in a type whose numbers are `epsilon`
/// apart at 1, hence moved by up to half of that; and `more` times while they were sums
/// of fewer terms, which may be as large as the largest result where what is left is
/// small.
inline Tolerance StoredAs(double epsilon, Tolerance exact, int more = 0) {
  return {exact.relative + epsilon / 2, exact.absolute + more * epsilon / 2};
}

/// The largest distance, as a share of its length, between a vector and the same vector
/// after `times` independent roundings of all its elements, or of what they come from, to
/// a type of this epsilon. One moves an element by epsilon / sqrt(12) of its size as a
/// standard deviation; the noise of several is that of a random walk, and five times that
/// is allowed. A gradient that goes back through a ReLU is all there or not at all: of
/// values spread like a normal distribution about `epsilon` are so close to 0 that
/// rounding decides.
inline double MostNoise(double epsilon, int times, int relus = 0) {
  return std::sqrt(25 * epsilon * epsilon * times / 12 + relus * epsilon);
}

/// The least cosine between the two.
inline double LeastCosine(double epsilon, int times, int relus = 0) {
  const double noise = MostNoise(epsilon, times, relus);
  return 1 - noise * noise / 2;
}

/// Central differences in double: with step h the truncation error is h^2 f''' / 6
/// and the rounding error 1e-16 |f| / h, about 2e-9 f''' and 1e-12 |f| here; the
/// threshold leaves room for third derivatives of some hundreds.
struct GradientTolerance {
  double step = 1e-4;
  /// Times max(1, |gradient|).
  double threshold = 1e-6;
  /// Inputs this close to a kink are left out: more than one step.
  double kink_range = 1e-3;
};

/// How far a count of n independent events of probability p may lie from n p: five
/// standard deviations, which one count in two million exceeds.
inline double CountTolerance(double n, double p) {
  return 5 * std::sqrt(n * p * (1 - p));
}

/// How far the empirical distribution of n independent draws may lie from the one they
/// are of (Kolmogorov and Smirnov), again exceeded once in two million: the distance is
/// above x / sqrt(n) with probability 2 exp(-2 x^2). For two samples n is
/// n1 n2 / (n1 + n2).
inline double DistributionTolerance(double n) { return 2.76 / std::sqrt(n); }

/// How far the correlation of n independent pairs may lie from 0.
inline double CorrelationTolerance(double n) { return 5 / std::sqrt(n); }

/// Whether `got` passes for `want` in a blob whose largest magnitude is `largest`.
inline bool IsClose(double got, double want, double largest, Tolerance tolerance) {
  if (std::isnan(want)) return std::isnan(got);
  if (got == want) return true;  // also equal infinities
  const double bound =
      tolerance.relative * std::fabs(want) + tolerance.absolute * largest;
  return std::fabs(got - want) <= bound;  // false when `got` is NaN
}

/// Compares two blobs' values, given as doubles, and reports the first few misses.
inline void ExpectClose(const std::vector<double>& got, const std::vector<double>& want,
                        Tolerance tolerance, const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  double largest = 0;
  for (double value : want) {
    if (std::isfinite(value)) largest = std::max(largest, std::fabs(value));
  }
  int misses = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (IsClose(got[i], want[i], largest, tolerance)) continue;
    if (++misses <= 5) {
      ADD_FAILURE() << what << "[" << i << "] is " << got[i] << ", expected " << want[i]
                    << ", difference " << got[i] - want[i] << ", allowed "
                    << tolerance.relative << " * |expected| + " << tolerance.absolute
                    << " * " << largest;
    }
  }
  EXPECT_EQ(misses, 0) << what << ": wrong elements of " << want.size();
}

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_TOLERANCE_HPP_
