#ifndef CUDA_EMULATION_MATRIX_H_
#define CUDA_EMULATION_MATRIX_H_

#include <cstddef>
#include <vector>

#include "number_format.h"

namespace cuda_emulation {

/// A rows x columns matrix in device memory: element (i, j) lies i * row_step +
/// j * column_step elements behind `data`.
struct Matrix {
  NumberFormat format;
  void* data;
  std::ptrdiff_t rows, columns;
  std::ptrdiff_t row_step, column_step;

  Matrix Transposed() const {
    return {format, data, columns, rows, column_step, row_step};
  }
  /// The one that lies `count` elements further.
  Matrix MovedBy(std::ptrdiff_t count) const {
    Matrix moved = *this;
    moved.data = Advance(format, data, count);
    return moved;
  }
  bool empty() const { return rows == 0 || columns == 0; }
  /// From the first to behind the last element.
  std::size_t bytes() const;
};

/// Its values, row by row.
std::vector<double> Load(const Matrix& matrix);

/// Writes `values`, given row by row.
void Store(const std::vector<double>& values, const Matrix& matrix);

/// c += a b, where a is m x k, b is k x n, and all are dense, row by row.
void AddProduct(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k, const double* a,
                const double* b, double* c);

}  // namespace cuda_emulation

#endif  // CUDA_EMULATION_MATRIX_H_
