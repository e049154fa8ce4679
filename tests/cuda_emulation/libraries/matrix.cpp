#include "matrix.h"

#include <algorithm>

namespace cuda_emulation {

std::size_t Matrix::bytes() const {
  if (empty()) return 0;
  const std::ptrdiff_t last = (rows - 1) * row_step + (columns - 1) * column_step;
  return static_cast<std::size_t>(last + 1) * SizeOf(format);
}

std::vector<double> Load(const Matrix& matrix) {
  std::vector<double> values(static_cast<std::size_t>(matrix.rows * matrix.columns));
  for (std::ptrdiff_t i = 0; i < matrix.rows; ++i) {
    Load(matrix.format, Advance(matrix.format, matrix.data, i * matrix.row_step),
         matrix.column_step, matrix.columns, &values[i * matrix.columns]);
  }
  return values;
}

void Store(const std::vector<double>& values, const Matrix& matrix) {
  for (std::ptrdiff_t i = 0; i < matrix.rows; ++i) {
    Store(matrix.format, &values[i * matrix.columns], matrix.columns,
          Advance(matrix.format, matrix.data, i * matrix.row_step), matrix.column_step);
  }
}

void AddProduct(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k, const double* a,
                const double* b, double* c) {
  // Four rows of b at a time, in pieces that stay in the first cache together with c's.
  constexpr std::ptrdiff_t kPiece = 512;
  for (std::ptrdiff_t begin = 0; begin < n; begin += kPiece) {
    const std::ptrdiff_t length = std::min(kPiece, n - begin);
    for (std::ptrdiff_t i = 0; i < m; ++i) {
      double* const to = c + i * n + begin;
      std::ptrdiff_t p = 0;
      for (; p + 4 <= k; p += 4) {
        const double* const f = a + i * k + p;
        const double* const b0 = b + p * n + begin;
        const double* const b1 = b0 + n;
        const double* const b2 = b1 + n;
        const double* const b3 = b2 + n;
        for (std::ptrdiff_t j = 0; j < length; ++j) {
          to[j] += f[0] * b0[j] + f[1] * b1[j] + f[2] * b2[j] + f[3] * b3[j];
        }
      }
      for (; p < k; ++p) {
        const double factor = a[i * k + p];
        const double* const row = b + p * n + begin;
        for (std::ptrdiff_t j = 0; j < length; ++j) to[j] += factor * row[j];
      }
    }
  }
}

}  // namespace cuda_emulation
