// Numbers of 16 bits, held against the compiler's own and against their definition.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cmath>
#include <cstdint>
#include <limits>

#include "test_support.h"

namespace cuda_emulation::test {
namespace {

constexpr int kCodes = 1 << 16;

/// The value of a code by IEEE 754's formula.
double ValueOf(int code, int exponent_bits, int mantissa_bits) {
  const double sign = code & 0x8000 ? -1 : 1;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (code & 0x7fff) >> mantissa_bits;
  const double fraction = (code & ((1 << mantissa_bits) - 1)) / std::exp2(mantissa_bits);
  if (exponent == (1 << exponent_bits) - 1) {
    return fraction == 0 ? sign * std::numeric_limits<double>::infinity()
                         : std::numeric_limits<double>::quiet_NaN();
  }
  return exponent == 0 ? sign * fraction * std::exp2(1 - bias)
                       : sign * (1 + fraction) * std::exp2(exponent - bias);
}

template <typename T>
void TestEveryCode(int exponent_bits, int mantissa_bits) {
  for (int code = 0; code < kCodes; ++code) {
    const double value = ValueOf(code, exponent_bits, mantissa_bits);
    const T number = T::OfBits(static_cast<std::uint16_t>(code));
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(static_cast<float>(number)));
      ASSERT_TRUE(std::isnan(static_cast<float>(T(value))));
      continue;
    }
    ASSERT_EQ(static_cast<float>(number), value) << code;
    ASSERT_EQ(T(value).bits(), code);
    const double next = ValueOf(code + 1, exponent_bits, mantissa_bits);
    if ((code & 0x7fff) == 0x7fff || !std::isfinite(next)) continue;
    // Halfway to the next code it is the even one, and a little off the nearer one.
    const double middle = (value + next) / 2;
    const double nearer = middle + (value - next) / 64;
    ASSERT_EQ(T(middle).bits(), code + code % 2) << code;
    ASSERT_EQ(T(nearer).bits(), code);
    ASSERT_EQ(T(middle - (value - next) / 64).bits(), code + 1);
  }
}

TEST(SmallFloatTest, HalfHasItsValuesAndRoundsToEven) { TestEveryCode<__half>(5, 10); }
TEST(SmallFloatTest, Bfloat16HasItsValuesAndRoundsToEven) {
  TestEveryCode<__nv_bfloat16>(8, 7);
}

TEST(SmallFloatTest, TooLargeIsInfinite) {
  EXPECT_EQ(__half_as_ushort(__float2half(65519.f)), 0x7bff);
  EXPECT_EQ(__half_as_ushort(__float2half(65520.f)), 0x7c00);
  EXPECT_EQ(__half_as_ushort(__float2half(-1e30f)), 0xfc00);
  EXPECT_EQ(__bfloat16_as_ushort(__float2bfloat16(3.4e38f)), 0x7f80);
}

TEST(SmallFloatTest, SumsAreRounded) {
  const __half large = 2048.f, one = 1.f;
  EXPECT_EQ(__half2float(large + one), 2048);
  EXPECT_EQ(__half2float(large + one + one), 2048);
  EXPECT_EQ(__half2float(large + (one + one)), 2050);
  __half sum = 0.f;
  sum += one;
  EXPECT_EQ(__half2float(-sum / __half(4)), -0.25f);
  EXPECT_LT(-one, one);
}

__global__ void ScalePairs(const __half2* in, const __nv_bfloat162* factor,
                           __half2* out) {
  const float2 factors = __bfloat1622float2(factor[0]);
  out[threadIdx.x] = in[threadIdx.x] * __float22half2_rn(factors);
  const __half2 other = __shfl_xor_sync(0xffffffffu, out[threadIdx.x], 1);
  out[threadIdx.x] = __halves2half2(__low2half(other), __high2half(out[threadIdx.x]));
}

using SmallFloatKernelTest = RuntimeTest;

TEST_F(SmallFloatKernelTest, KernelsComputeWithPairs) {
  __half2* in = NewArrayOf<__half2>({__floats2half2_rn(1, 2), __floats2half2_rn(3, 4)});
  __nv_bfloat162* factor = NewArrayOf<__nv_bfloat162>({__floats2bfloat162_rn(2, 0.5f)});
  __half2* out = NewArray<__half2>(2);
  EXPECT_CUDA(Launch(ScalePairs, 1, 2, in, factor, out));
  const std::vector<__half2> values = Read(out, 2);
  EXPECT_EQ(__low2float(values[0]), 6);
  EXPECT_EQ(__high2float(values[0]), 1);
  EXPECT_EQ(__low2float(values[1]), 2);
  EXPECT_EQ(__high2float(values[1]), 2);
}

}  // namespace
}  // namespace cuda_emulation::test
