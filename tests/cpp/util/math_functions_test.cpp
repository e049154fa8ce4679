#include "caffe/util/math_functions.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "fill.hpp"
#include "layer_test.hpp"
#include "tolerance.hpp"

namespace caffe {
namespace {

using test::ErrorOfAction;
using test::ExpectClose;
using test::OpKind;
using test::ToleranceOf;
using test::Uniform;
using testing::HasSubstr;

template <typename T>
std::vector<T> Input(int case_id, int n, double low = -1, double high = 1) {
  std::vector<T> values(n);
  for (int i = 0; i < n; ++i) values[i] = static_cast<T>(Uniform(case_id, i, low, high));
  return values;
}

template <typename T>
std::vector<double> AsDoubles(const std::vector<T>& values) {
  return std::vector<double>(values.begin(), values.end());
}

template <typename T>
class MathTest : public testing::Test {
 protected:
  static constexpr T kNaN = std::numeric_limits<T>::quiet_NaN();
};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(MathTest, Types);

// op(A) is M x K and op(B) K x N, row-major.
TYPED_TEST(MathTest, Gemm) {
  using T = TypeParam;
  const int sizes[][3] = {{1, 1, 1}, {2, 3, 4},    {7, 1, 5},
                          {1, 9, 3}, {17, 33, 65}, {40, 50, 64}};
  for (const auto& [M, N, K] : sizes) {
    for (const auto ta : {CblasNoTrans, CblasTrans}) {
      for (const auto tb : {CblasNoTrans, CblasTrans}) {
        for (const double beta : {0.0, 1.0, -0.5}) {
          const double alpha = 1.25;
          const auto a = Input<T>(1, M * K), b = Input<T>(2, K * N);
          auto c = Input<T>(3, M * N);
          std::vector<double> want(M * N);
          for (int m = 0; m < M; ++m) {
            for (int n = 0; n < N; ++n) {
              double sum = 0;
              for (int k = 0; k < K; ++k) {
                sum += static_cast<double>(ta == CblasNoTrans ? a[m * K + k]
                                                              : a[k * M + m]) *
                       (tb == CblasNoTrans ? b[k * N + n] : b[n * K + k]);
              }
              want[m * N + n] = alpha * sum + beta * c[m * N + n];
            }
          }
          // beta = 0 means that C is not read.
          if (beta == 0) c.assign(c.size(), this->kNaN);
          caffe_cpu_gemm<T>(ta, tb, M, N, K, alpha, a.data(), b.data(), beta, c.data());
          ExpectClose(
              AsDoubles(c), want, ToleranceOf<T>(OpKind::kReduction, K),
              Str("C of ", M, " x ", N, " x ", K, ", ", ta, " ", tb, " beta ", beta));
        }
      }
    }
  }
}

TYPED_TEST(MathTest, GemmOfNothing) {
  using T = TypeParam;
  std::vector<T> c = {1, 2, 3, 4}, some(4, 1);
  caffe_cpu_gemm<T>(CblasNoTrans, CblasNoTrans, 2, 2, 0, 1, some.data(), some.data(), 0.5,
                    c.data());
  EXPECT_EQ(c, (std::vector<T>{0.5, 1, 1.5, 2}));
  caffe_cpu_gemm<T>(CblasNoTrans, CblasNoTrans, 0, 2, 2, 1, some.data(), some.data(), 0,
                    c.data());
  EXPECT_EQ(c, (std::vector<T>{0.5, 1, 1.5, 2}));
}

TYPED_TEST(MathTest, Gemv) {
  using T = TypeParam;
  const int M = 13, N = 29;
  const auto a = Input<T>(1, M * N);
  for (const auto trans : {CblasNoTrans, CblasTrans}) {
    for (const double beta : {0.0, 0.75}) {
      const int rows = trans == CblasNoTrans ? M : N,
                columns = trans == CblasNoTrans ? N : M;
      const auto x = Input<T>(2, columns);
      auto y = Input<T>(3, rows);
      std::vector<double> want(rows);
      for (int r = 0; r < rows; ++r) {
        double sum = 0;
        for (int c = 0; c < columns; ++c) {
          sum +=
              static_cast<double>(trans == CblasNoTrans ? a[r * N + c] : a[c * N + r]) *
              x[c];
        }
        want[r] = -2 * sum + beta * y[r];
      }
      if (beta == 0) y.assign(y.size(), this->kNaN);
      caffe_cpu_gemv<T>(trans, M, N, -2, a.data(), x.data(), beta, y.data());
      ExpectClose(AsDoubles(y), want, ToleranceOf<T>(OpKind::kReduction, columns), "y");
    }
  }
}

// Lengths below and above the point where threads are used, and none at all.
constexpr int kLengths[] = {0, 1, 7, 40000};

TYPED_TEST(MathTest, VectorUpdates) {
  using T = TypeParam;
  const auto tolerance = ToleranceOf<T>(OpKind::kElementwise);
  for (const int n : kLengths) {
    const auto x = Input<T>(1, n), y0 = Input<T>(2, n);
    const auto expect = [&](const char* what, auto act, auto reference) {
      auto y = y0;
      act(&y);
      std::vector<double> want(n);
      for (int i = 0; i < n; ++i) {
        want[i] = reference(static_cast<double>(x[i]), static_cast<double>(y0[i]));
      }
      ExpectClose(AsDoubles(y), want, tolerance, Str(what, " of ", n));
    };
    using Y = std::vector<T>*;
    expect(
        "axpy", [&](Y y) { caffe_axpy<T>(n, 1.5, x.data(), y->data()); },
        [](double a, double b) { return 1.5 * a + b; });
    expect(
        "axpby", [&](Y y) { caffe_cpu_axpby<T>(n, 1.5, x.data(), -0.5, y->data()); },
        [](double a, double b) { return 1.5 * a - 0.5 * b; });
    expect(
        "scal", [&](Y y) { caffe_scal<T>(n, -3, y->data()); },
        [](double, double b) { return -3 * b; });
    expect(
        "scale", [&](Y y) { caffe_cpu_scale<T>(n, -3, x.data(), y->data()); },
        [](double a, double) { return -3 * a; });
    expect(
        "add_scalar", [&](Y y) { caffe_add_scalar<T>(n, 0.25, y->data()); },
        [](double, double b) { return b + 0.25; });
    expect(
        "copy", [&](Y y) { caffe_copy<T>(n, x.data(), y->data()); },
        [](double a, double) { return a; });
    expect(
        "copy to itself", [&](Y y) { caffe_copy<T>(n, y->data(), y->data()); },
        [](double, double b) { return b; });
    expect(
        "set", [&](Y y) { caffe_set<T>(n, 0.5, y->data()); },
        [](double, double) { return 0.5; });
    expect(
        "axpby 0",
        [&](Y y) {
          y->assign(n, this->kNaN);
          caffe_cpu_axpby<T>(n, 2, x.data(), 0, y->data());
        },
        [](double a, double) { return 2 * a; });
  }
}

TYPED_TEST(MathTest, ElementwiseFunctions) {
  using T = TypeParam;
  for (const int n : kLengths) {
    const auto a = Input<T>(1, n), b = Input<T>(2, n, 0.5, 2);
    const auto expect = [&](const char* what, OpKind kind, auto act, auto reference) {
      std::vector<T> y(n, this->kNaN);
      act(y.data());
      std::vector<double> want(n);
      for (int i = 0; i < n; ++i) {
        want[i] = reference(static_cast<double>(a[i]), static_cast<double>(b[i]));
      }
      ExpectClose(AsDoubles(y), want, ToleranceOf<T>(kind), Str(what, " of ", n));
    };
    const T *pa = a.data(), *pb = b.data();
    const OpKind simple = OpKind::kElementwise, transcendental = OpKind::kTranscendental;
    expect(
        "add", simple, [&](T* y) { caffe_add<T>(n, pa, pb, y); },
        [](double u, double v) { return u + v; });
    expect(
        "sub", simple, [&](T* y) { caffe_sub<T>(n, pa, pb, y); },
        [](double u, double v) { return u - v; });
    expect(
        "mul", simple, [&](T* y) { caffe_mul<T>(n, pa, pb, y); },
        [](double u, double v) { return u * v; });
    expect(
        "div", simple, [&](T* y) { caffe_div<T>(n, pa, pb, y); },
        [](double u, double v) { return u / v; });
    expect(
        "sqr", simple, [&](T* y) { caffe_sqr<T>(n, pa, y); },
        [](double u, double) { return u * u; });
    expect(
        "sqrt", simple, [&](T* y) { caffe_sqrt<T>(n, pb, y); },
        [](double, double v) { return std::sqrt(v); });
    expect(
        "abs", OpKind::kCopy, [&](T* y) { caffe_abs<T>(n, pa, y); },
        [](double u, double) { return std::fabs(u); });
    expect(
        "exp", transcendental, [&](T* y) { caffe_exp<T>(n, pa, y); },
        [](double u, double) { return std::exp(u); });
    expect(
        "log", transcendental, [&](T* y) { caffe_log<T>(n, pb, y); },
        [](double, double v) { return std::log(v); });
    expect(
        "powx", transcendental, [&](T* y) { caffe_powx<T>(n, pb, -1.5, y); },
        [](double, double v) { return std::pow(v, -1.5); });
    if (n == 0) continue;  // these demand elements, as in Caffe
    expect(
        "sign", OpKind::kCopy, [&](T* y) { caffe_cpu_sign<T>(n, pa, y); },
        [](double u, double) { return (u > 0) - (u < 0); });
    expect(
        "sgnbit", OpKind::kCopy, [&](T* y) { caffe_cpu_sgnbit<T>(n, pa, y); },
        [](double u, double) { return u < 0; });
    expect(
        "fabs", OpKind::kCopy, [&](T* y) { caffe_cpu_fabs<T>(n, pa, y); },
        [](double u, double) { return std::fabs(u); });
  }
}

TYPED_TEST(MathTest, SumsOfProducts) {
  using T = TypeParam;
  for (const int n : kLengths) {
    // Of one sign, so that the terms do not cancel.
    const auto x = Input<T>(1, n, 0.5, 2), y = Input<T>(2, n, -2, -0.5),
               z = Input<T>(3, n);
    double dot = 0, asum = 0, strided = 0;
    for (int i = 0; i < n; ++i) {
      dot += static_cast<double>(x[i]) * y[i];
      asum += std::fabs(z[i]);
    }
    const int m = n / 3;
    for (int i = 0; i < m; ++i) strided += static_cast<double>(x[2 * i]) * y[3 * i];
    const auto tolerance = ToleranceOf<T>(OpKind::kReduction, n);
    const auto expect = [&](const char* what, double got, double want) {
      ExpectClose({got}, {want}, tolerance, Str(what, " of ", n));
    };
    expect("dot", caffe_cpu_dot<T>(n, x.data(), y.data()), dot);
    expect("strided dot", caffe_cpu_strided_dot<T>(m, x.data(), 2, y.data(), 3), strided);
    expect("asum", caffe_cpu_asum<T>(n, z.data()), asum);
  }
}

// A float accumulator would stop growing at 2^24.
TEST(MathFloatTest, LongSumsKeepTheirDigits) {
  const int n = 20'000'000;
  const std::vector<float> ones(n, 1);
  EXPECT_EQ(caffe_cpu_asum(n, ones.data()), 2e7f);
  EXPECT_EQ(caffe_cpu_dot(n, ones.data(), ones.data()), 2e7f);
}

TYPED_TEST(MathTest, NextafterIsTheNextValue) {
  using T = TypeParam;
  const T next = caffe_nextafter<T>(1);
  EXPECT_EQ(next, T(1) + std::numeric_limits<T>::epsilon());
  EXPECT_GT(caffe_nextafter<T>(-1), T(-1));
}

TYPED_TEST(MathTest, BernoulliHitsItsProbability) {
  using T = TypeParam;
  constexpr int kDraws = 20000;
  Caffe::set_random_seed(5);
  for (const double p : {0.0, 0.25, 0.9, 1.0}) {
    std::vector<int> draws(kDraws, -1);
    std::vector<unsigned int> others(kDraws, 7);
    caffe_rng_bernoulli<T>(kDraws, p, draws.data());
    caffe_rng_bernoulli<T>(kDraws, p, others.data());
    int ones = 0, other_ones = 0;
    for (int i = 0; i < kDraws; ++i) {
      ASSERT_TRUE(draws[i] == 0 || draws[i] == 1);
      ASSERT_LE(others[i], 1u);
      ones += draws[i];
      other_ones += others[i];
    }
    EXPECT_LE(std::fabs(ones - kDraws * p), test::CountTolerance(kDraws, p)) << p;
    EXPECT_LE(std::fabs(other_ones - kDraws * p), test::CountTolerance(kDraws, p)) << p;
  }
}

TYPED_TEST(MathTest, ImpossibleDistributionsAreRefused) {
  using T = TypeParam;
  std::vector<T> r(2);
  std::vector<int> bits(2);
  EXPECT_THAT(ErrorOfAction([&] { caffe_rng_uniform<T>(2, 1, 0, r.data()); }),
              HasSubstr("min <= max"));
  EXPECT_THAT(ErrorOfAction([&] { caffe_rng_gaussian<T>(2, 0, 0, r.data()); }),
              HasSubstr("positive deviation"));
  for (const double p : {-0.1, 1.1, std::nan("")}) {
    EXPECT_THAT(ErrorOfAction([&] { caffe_rng_bernoulli<T>(2, p, bits.data()); }),
                HasSubstr("probability"));
  }
  EXPECT_NE(ErrorOfAction([&] { caffe_rng_uniform<T>(-1, 0, 1, r.data()); }), "");
}

}  // namespace
}  // namespace caffe
