#ifndef CUDA_EMULATION_NUMBER_FORMAT_H_
#define CUDA_EMULATION_NUMBER_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

// The emulated libraries compute in double, whatever format their arrays have: values
// are converted as they are read, and rounded once as they are written.

namespace cuda_emulation {

enum class NumberFormat { kFloat, kDouble, kHalf, kBfloat16 };

std::size_t SizeOf(NumberFormat format);

/// to[i] = from[i * step], for i < count.
void Load(NumberFormat format, const void* from, std::ptrdiff_t step,
          std::ptrdiff_t count, double* to);

/// to[i * step] = from[i] rounded to nearest, ties to even; beyond the range infinite.
void Store(NumberFormat format, const double* from, std::ptrdiff_t count, void* to,
           std::ptrdiff_t step);

inline double LoadOne(NumberFormat format, const void* from) {
  double value;
  Load(format, from, 1, 1, &value);
  return value;
}

/// `pointer` moved by `count` elements.
inline const void* Advance(NumberFormat format, const void* pointer,
                           std::ptrdiff_t count) {
  return static_cast<const char*>(pointer) +
         count * static_cast<std::ptrdiff_t>(SizeOf(format));
}
inline void* Advance(NumberFormat format, void* pointer, std::ptrdiff_t count) {
  return const_cast<void*>(Advance(format, static_cast<const void*>(pointer), count));
}

/// What tensor cores may reduce the factors of a product to.
enum class FactorPrecision { kFull, kTf32, kHalf, kBfloat16 };

/// Rounds every value to the significant bits, and the range, of `precision`.
void Round(FactorPrecision precision, std::vector<double>* values);

/// alpha * result + beta * what is there, which is not read when beta is 0.
inline double Blend(double alpha, double result, double beta, double there) {
  return beta == 0 ? alpha * result : alpha * result + beta * there;
}

}  // namespace cuda_emulation

#endif  // CUDA_EMULATION_NUMBER_FORMAT_H_
