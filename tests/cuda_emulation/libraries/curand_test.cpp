#include <curand.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "device_array.h"
#include "tolerance.hpp"

namespace cuda_emulation {
namespace test {
namespace {

using caffe::test::CorrelationTolerance;
using caffe::test::CountTolerance;
using caffe::test::DistributionTolerance;

class Generator {
 public:
  explicit Generator(unsigned long long seed,
                     curandRngType_t type = CURAND_RNG_PSEUDO_DEFAULT) {
    EXPECT_EQ(curandCreateGenerator(&generator_, type), CURAND_STATUS_SUCCESS);
    EXPECT_EQ(curandSetPseudoRandomGeneratorSeed(generator_, seed),
              CURAND_STATUS_SUCCESS);
  }
  ~Generator() { EXPECT_EQ(curandDestroyGenerator(generator_), CURAND_STATUS_SUCCESS); }
  Generator(const Generator&) = delete;
  operator curandGenerator_t() const { return generator_; }

 private:
  curandGenerator_t generator_ = nullptr;
};

std::vector<double> Uniforms(curandGenerator_t generator, std::size_t count) {
  const DeviceArray array(NumberFormat::kFloat, Unset{count});
  EXPECT_EQ(curandGenerateUniform(generator, array.as<float>(), count),
            CURAND_STATUS_SUCCESS);
  return array.Read();
}

/// The largest distance between the values' distribution and `cumulative`.
template <typename Function>
double Distance(std::vector<double> values, Function cumulative) {
  std::sort(values.begin(), values.end());
  double distance = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double expected = cumulative(values[i]);
    const double n = static_cast<double>(values.size());
    distance = std::max(
        {distance, std::fabs(expected - i / n), std::fabs(expected - (i + 1) / n)});
  }
  return distance;
}

double Correlation(const std::vector<double>& values, std::size_t lag) {
  double mean = 0, square = 0, product = 0;
  for (const double value : values) mean += value / values.size();
  for (const double value : values) square += (value - mean) * (value - mean);
  for (std::size_t i = lag; i < values.size(); ++i) {
    product += (values[i] - mean) * (values[i - lag] - mean);
  }
  return product / square;
}

constexpr std::size_t kCount = 20000;

TEST(CurandTest, UniformNumbersFillTheIntervalWithoutZero) {
  for (const curandRngType_t type : {CURAND_RNG_PSEUDO_DEFAULT, CURAND_RNG_PSEUDO_MT19937,
                                     CURAND_RNG_PSEUDO_PHILOX4_32_10}) {
    const std::vector<double> values = Uniforms(Generator(5, type), kCount);
    for (const double value : values) {
      ASSERT_GT(value, 0);
      ASSERT_LE(value, 1);
    }
    EXPECT_LT(Distance(values, [](double x) { return x; }),
              DistributionTolerance(kCount));
    for (const std::size_t lag : {1, 2, 4}) {
      EXPECT_LT(std::fabs(Correlation(values, lag)), CorrelationTolerance(kCount - lag));
    }
  }
}

TEST(CurandTest, NormalNumbersHaveTheirMeanAndDeviation) {
  const Generator generator(6);
  const DeviceArray array(NumberFormat::kDouble, Unset{kCount});
  ASSERT_EQ(curandGenerateNormalDouble(generator, array.as<double>(), kCount, 3, 0.5),
            CURAND_STATUS_SUCCESS);
  const std::vector<double> values = array.Read();
  EXPECT_LT(
      Distance(values,
               [](double x) { return 0.5 * std::erfc(-(x - 3) / 0.5 / std::sqrt(2.0)); }),
      DistributionTolerance(kCount));
  // The two of a pair are not alike, nor are pairs.
  for (const std::size_t lag : {1, 2}) {
    EXPECT_LT(std::fabs(Correlation(values, lag)), CorrelationTolerance(kCount - lag));
  }
}

TEST(CurandTest, EveryBitIsSetHalfOfTheTime) {
  const Generator generator(7);
  const DeviceArray array(NumberFormat::kFloat, Unset{kCount});
  ASSERT_EQ(curandGenerate(generator, array.as<unsigned int>(), kCount),
            CURAND_STATUS_SUCCESS);
  std::vector<unsigned int> values(kCount);
  ASSERT_EQ(cudaMemcpy(values.data(), array.data(), array.bytes(), cudaMemcpyDefault),
            cudaSuccess);
  for (int bit = 0; bit < 32; ++bit) {
    const auto set =
        std::count_if(values.begin(), values.end(),
                      [bit](unsigned int value) { return value >> bit & 1; });
    EXPECT_NEAR(static_cast<double>(set), kCount / 2.0, CountTolerance(kCount, 0.5))
        << bit;
  }
}

TEST(CurandTest, SeedAndOffsetDetermineTheNumbers) {
  const Generator generator(8), other(9);
  const std::vector<double> first = Uniforms(generator, 100);
  EXPECT_NE(Uniforms(generator, 100), first) << "the sequence goes on";
  EXPECT_NE(Uniforms(other, 100), first);
  ASSERT_EQ(curandSetPseudoRandomGeneratorSeed(other, 8), CURAND_STATUS_SUCCESS);
  EXPECT_EQ(Uniforms(other, 100), first);
  ASSERT_EQ(curandSetGeneratorOffset(other, 60), CURAND_STATUS_SUCCESS);
  EXPECT_EQ(Uniforms(other, 40), (std::vector<double>(first.begin() + 60, first.end())));
}

TEST(CurandTest, GeneratorsOfTheHostFillHostMemory) {
  curandGenerator_t host = nullptr;
  ASSERT_EQ(curandCreateGeneratorHost(&host, CURAND_RNG_PSEUDO_DEFAULT),
            CURAND_STATUS_SUCCESS);
  std::vector<double> values(100, -1);
  EXPECT_EQ(curandGenerateUniformDouble(host, values.data(), values.size()),
            CURAND_STATUS_SUCCESS);
  EXPECT_GT(*std::min_element(values.begin(), values.end()), 0);
  EXPECT_EQ(curandDestroyGenerator(host), CURAND_STATUS_SUCCESS);
}

TEST(CurandTest, RefusesOddCountsOfNormalNumbersAndOtherMistakes) {
  const Generator generator(10);
  const DeviceArray array(NumberFormat::kFloat, Unset{4});
  float host[4];
  curandGenerator_t none = nullptr;
  EXPECT_EQ(curandGenerateNormal(generator, array.as<float>(), 3, 0, 1),
            CURAND_STATUS_LENGTH_NOT_MULTIPLE);
  EXPECT_EQ(curandGenerateNormal(generator, array.as<float>(), 4, 0, 1),
            CURAND_STATUS_SUCCESS);
  EXPECT_EQ(curandGenerateUniform(generator, host, 4), CURAND_STATUS_LAUNCH_FAILURE);
  EXPECT_EQ(curandGenerateUniform(none, host, 4), CURAND_STATUS_NOT_INITIALIZED);
  EXPECT_EQ(curandCreateGenerator(&none, CURAND_RNG_QUASI_DEFAULT),
            CURAND_STATUS_TYPE_ERROR);
  int version = 0;
  EXPECT_EQ(curandGetVersion(&version), CURAND_STATUS_SUCCESS);
  EXPECT_EQ(version, CURAND_VERSION);
}

}  // namespace
}  // namespace test
}  // namespace cuda_emulation
