#include "caffe/gpu/divisor.hpp"

#include <gtest/gtest.h>

#include <climits>
#include <vector>

#include "fill.hpp"

namespace caffe {
namespace test {
namespace {

void ExpectDivides(int d, int n) {
  int remainder = -1;
  ASSERT_EQ(Divisor(d).Quotient(n, &remainder), n / d) << n << " / " << d;
  ASSERT_EQ(remainder, n % d) << n << " % " << d;
  ASSERT_EQ(Divisor(d).Remainder(n), n % d) << n << " % " << d;
}

// Wrong multipliers show at the multiples of the divisor, and most of all at the largest.
TEST(DivisorTest, DividesAroundItsMultiples) {
  std::vector<int> divisors = {1, 2, 3, 5, 7, 12544, 65535, 65536, 65537, INT_MAX};
  for (int i = 0; i < 300; ++i) {
    divisors.push_back(1 + static_cast<int>(Bits(1, i) % INT_MAX));
    divisors.push_back(1 + static_cast<int>(Bits(2, i) % 5000));
    divisors.push_back(1 << i % 31);
  }
  for (const int d : divisors) {
    ExpectDivides(d, 0);
    ExpectDivides(d, INT_MAX);
    const int multiples = INT_MAX / d;
    for (int i = 0; i < 20; ++i) {
      const int multiple =
          d * static_cast<int>(i == 0 ? multiples : Bits(3, i) % multiples);
      ExpectDivides(d, multiple);
      if (multiple > 0) ExpectDivides(d, multiple - 1);
    }
  }
}

TEST(DivisorTest, SmallNumbers) {
  for (int d = 1; d < 200; ++d) {
    for (int n = 0; n < 1000; ++n) ExpectDivides(d, n);
  }
}

}  // namespace
}  // namespace test
}  // namespace caffe
