#ifndef CUDA_EMULATION_SMALL_FLOAT_H_
#define CUDA_EMULATION_SMALL_FLOAT_H_

// Numbers of 16 bits. Arithmetic is float's, rounded to the nearest number, or to the
// even one of two: as a device computes it.

#include <cmath>
#include <cstdint>

#include <cuda_emulation/device_functions.h>

namespace cuda_emulation {

/// A sign, kExponent bits of exponent and kMantissa of mantissa, with subnormal numbers,
/// infinities and NaN as in IEEE 754.
template <int kExponent, int kMantissa>
class SmallFloat {
 public:
  SmallFloat() = default;
  SmallFloat(double value) : bits_(Encode(value)) {}
  SmallFloat(float value) : bits_(Encode(value)) {}
  SmallFloat(int value) : bits_(Encode(value)) {}
  operator float() const { return Decode(bits_); }

  static SmallFloat OfBits(std::uint16_t bits) {
    SmallFloat result;
    result.bits_ = bits;
    return result;
  }
  std::uint16_t bits() const { return bits_; }

  friend SmallFloat operator-(SmallFloat a) { return OfBits(a.bits_ ^ kSign); }
  friend SmallFloat operator+(SmallFloat a, SmallFloat b) { return float(a) + float(b); }
  friend SmallFloat operator-(SmallFloat a, SmallFloat b) { return float(a) - float(b); }
  friend SmallFloat operator*(SmallFloat a, SmallFloat b) { return float(a) * float(b); }
  friend SmallFloat operator/(SmallFloat a, SmallFloat b) { return float(a) / float(b); }
  friend SmallFloat& operator+=(SmallFloat& a, SmallFloat b) { return a = a + b; }
  friend SmallFloat& operator-=(SmallFloat& a, SmallFloat b) { return a = a - b; }
  friend SmallFloat& operator*=(SmallFloat& a, SmallFloat b) { return a = a * b; }
  friend SmallFloat& operator/=(SmallFloat& a, SmallFloat b) { return a = a / b; }
  friend bool operator==(SmallFloat a, SmallFloat b) { return float(a) == float(b); }
  friend bool operator!=(SmallFloat a, SmallFloat b) { return float(a) != float(b); }
  friend bool operator<(SmallFloat a, SmallFloat b) { return float(a) < float(b); }
  friend bool operator>(SmallFloat a, SmallFloat b) { return float(a) > float(b); }
  friend bool operator<=(SmallFloat a, SmallFloat b) { return float(a) <= float(b); }
  friend bool operator>=(SmallFloat a, SmallFloat b) { return float(a) >= float(b); }

 private:
  static constexpr int kSign = 0x8000;
  static constexpr int kInfinity = ((1 << kExponent) - 1) << kMantissa;
  static constexpr int kNaN = 0x7fff;
  // The exponent of the smallest normal number, and of all subnormal ones.
  static constexpr int kLeast = 2 - (1 << (kExponent - 1));

  static std::uint16_t Encode(double value) {
    const int sign = std::signbit(value) ? kSign : 0;
    if (std::isnan(value)) return static_cast<std::uint16_t>(kNaN);
    const double magnitude = std::fabs(value);
    if (magnitude == 0) return static_cast<std::uint16_t>(sign);
    if (std::isinf(magnitude)) return static_cast<std::uint16_t>(sign | kInfinity);
    int exponent = std::ilogb(magnitude);
    if (exponent < kLeast) exponent = kLeast;
    // In units of the last place; the leading bit of a normal number counts the exponent
    // up by one, and so does a carry.
    const double units = std::nearbyint(std::ldexp(magnitude, kMantissa - exponent));
    const double code = std::ldexp(exponent - kLeast, kMantissa) + units;
    return static_cast<std::uint16_t>(
        sign | (code < kInfinity ? static_cast<int>(code) : kInfinity));
  }

  static float Decode(std::uint16_t bits) {
    const int code = bits & ~kSign;
    const int exponent = code >> kMantissa;
    const int mantissa = code & ((1 << kMantissa) - 1);
    float magnitude;
    if (code >= kInfinity) {
      magnitude = mantissa == 0 ? INFINITY : NAN;
    } else if (exponent == 0) {
      magnitude = std::ldexp(static_cast<float>(mantissa), kLeast - kMantissa);
    } else {
      magnitude = std::ldexp(static_cast<float>(mantissa + (1 << kMantissa)),
                             exponent - 1 + kLeast - kMantissa);
    }
    return bits & kSign ? -magnitude : magnitude;
  }

  std::uint16_t bits_;
};

/// Two of them, in one access.
template <typename T>
struct alignas(4) SmallFloat2 {
  T x, y;

  SmallFloat2() = default;
  SmallFloat2(T x, T y) : x(x), y(y) {}

  friend SmallFloat2 operator+(SmallFloat2 a, SmallFloat2 b) {
    return {a.x + b.x, a.y + b.y};
  }
  friend SmallFloat2 operator-(SmallFloat2 a, SmallFloat2 b) {
    return {a.x - b.x, a.y - b.y};
  }
  friend SmallFloat2 operator*(SmallFloat2 a, SmallFloat2 b) {
    return {a.x * b.x, a.y * b.y};
  }
};

template <int kExponent, int kMantissa>
struct IsShuffled<SmallFloat<kExponent, kMantissa>> : std::true_type {};
template <typename T>
struct IsShuffled<SmallFloat2<T>> : std::true_type {};

}  // namespace cuda_emulation

#endif  // CUDA_EMULATION_SMALL_FLOAT_H_
