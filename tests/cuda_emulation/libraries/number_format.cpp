#include "number_format.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace cuda_emulation {
namespace {

/// A binary format by its significant bits, the hidden one included, the exponent of
/// its smallest step, and its largest number.
struct Binary {
  int bits;
  int smallest_step;
  double largest;
};

constexpr Binary kHalfBinary = {11, -24, 65504.0};
constexpr Binary kBfloat16Binary = {8, -133, 0x1.fep127};
constexpr Binary kTf32Binary = {11, -136, 0x1.ffcp127};

double Rounded(const Binary& binary, double value) {
  if (!std::isfinite(value) || value == 0) return value;
  int exponent;
  std::frexp(value, &exponent);
  const int step = std::max(exponent - binary.bits, binary.smallest_step);
  const double rounded = std::ldexp(std::nearbyint(std::ldexp(value, -step)), step);
  if (std::fabs(rounded) <= binary.largest) return rounded;
  return std::copysign(std::numeric_limits<double>::infinity(), value);
}

struct Half {
  std::uint16_t bits;

  static Half From(double value) {
    const std::uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    if (std::isnan(value)) return {0x7fff};
    const double rounded = std::fabs(Rounded(kHalfBinary, value));
    if (std::isinf(rounded)) return {static_cast<std::uint16_t>(sign | 0x7c00)};
    int exponent;
    std::frexp(rounded, &exponent);
    // A number below 2^-14 has the smallest step and exponent 0 in its bits, as zero.
    const int biased = std::max(exponent + 14, 0);
    const int step = std::max(exponent - kHalfBinary.bits, kHalfBinary.smallest_step);
    const int significand =
        rounded == 0 ? 0 : static_cast<int>(std::ldexp(rounded, -step));
    const int magnitude =
        significand < 1024 ? significand : (biased << 10) + (significand - 1024);
    return {static_cast<std::uint16_t>(sign | magnitude)};
  }

  explicit operator double() const {
    const int biased = bits >> 10 & 31;
    const int fraction = bits & 1023;
    const double sign = bits >> 15 ? -1 : 1;
    if (biased == 31) {
      return fraction ? std::numeric_limits<double>::quiet_NaN()
                      : sign * std::numeric_limits<double>::infinity();
    }
    if (biased == 0) return sign * std::ldexp(fraction, kHalfBinary.smallest_step);
    return sign * std::ldexp(fraction + 1024, biased - 25);
  }
};

struct Bfloat16 {
  std::uint16_t bits;

  static Bfloat16 From(double value) {
    if (std::isnan(value)) return {0x7fff};
    const float rounded = static_cast<float>(Rounded(kBfloat16Binary, value));
    std::uint32_t wide;
    std::memcpy(&wide, &rounded, sizeof wide);
    return {static_cast<std::uint16_t>(wide >> 16)};
  }

  explicit operator double() const {
    const std::uint32_t wide = static_cast<std::uint32_t>(bits) << 16;
    float value;
    std::memcpy(&value, &wide, sizeof value);
    return value;
  }
};

template <typename T>
void LoadAs(const void* from, std::ptrdiff_t step, std::ptrdiff_t count, double* to) {
  const T* const source = static_cast<const T*>(from);
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    to[i] = static_cast<double>(source[i * step]);
  }
}

template <typename T>
T Convert(double value) {
  return T::From(value);
}
template <>
float Convert<float>(double value) {
  return static_cast<float>(value);
}
template <>
double Convert<double>(double value) {
  return value;
}

template <typename T>
void StoreAs(const double* from, std::ptrdiff_t count, void* to, std::ptrdiff_t step) {
  T* const target = static_cast<T*>(to);
  for (std::ptrdiff_t i = 0; i < count; ++i) target[i * step] = Convert<T>(from[i]);
}

}  // namespace

std::size_t SizeOf(NumberFormat format) {
  switch (format) {
    case NumberFormat::kFloat:
      return 4;
    case NumberFormat::kDouble:
      return 8;
    case NumberFormat::kHalf:
    case NumberFormat::kBfloat16:
      return 2;
  }
  return 0;
}

void Load(NumberFormat format, const void* from, std::ptrdiff_t step,
          std::ptrdiff_t count, double* to) {
  switch (format) {
    case NumberFormat::kFloat:
      return LoadAs<float>(from, step, count, to);
    case NumberFormat::kDouble:
      return LoadAs<double>(from, step, count, to);
    case NumberFormat::kHalf:
      return LoadAs<Half>(from, step, count, to);
    case NumberFormat::kBfloat16:
      return LoadAs<Bfloat16>(from, step, count, to);
  }
}

void Store(NumberFormat format, const double* from, std::ptrdiff_t count, void* to,
           std::ptrdiff_t step) {
  switch (format) {
    case NumberFormat::kFloat:
      return StoreAs<float>(from, count, to, step);
    case NumberFormat::kDouble:
      return StoreAs<double>(from, count, to, step);
    case NumberFormat::kHalf:
      return StoreAs<Half>(from, count, to, step);
    case NumberFormat::kBfloat16:
      return StoreAs<Bfloat16>(from, count, to, step);
  }
}

void Round(FactorPrecision precision, std::vector<double>* values) {
  const Binary* binary = nullptr;
  switch (precision) {
    case FactorPrecision::kFull:
      return;
    case FactorPrecision::kTf32:
      binary = &kTf32Binary;
      break;
    case FactorPrecision::kHalf:
      binary = &kHalfBinary;
      break;
    case FactorPrecision::kBfloat16:
      binary = &kBfloat16Binary;
      break;
  }
  for (double& value : *values) value = Rounded(*binary, value);
}

}  // namespace cuda_emulation
