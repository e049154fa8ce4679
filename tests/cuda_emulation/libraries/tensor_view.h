#ifndef CUDA_EMULATION_TENSOR_VIEW_H_
#define CUDA_EMULATION_TENSOR_VIEW_H_

#include <array>
#include <cstddef>
#include <vector>

#include "number_format.h"

namespace cuda_emulation {

/// How a tensor lies in memory. Axes are (n, c, d, h, w); one of four axes has d = 1.
struct TensorView {
  static constexpr int kAxes = 5;

  NumberFormat format;
  std::array<std::ptrdiff_t, kAxes> sizes;
  /// In elements.
  std::array<std::ptrdiff_t, kAxes> steps;

  std::size_t count() const;
  /// From the first to behind the last element.
  std::size_t bytes() const;
  /// Repeated along the axes where this has size 1, as far as `shape` goes.
  TensorView BroadcastTo(const TensorView& shape) const;
};

/// Values in the order of the axes.
std::vector<double> Load(const TensorView& view, const void* data);

/// Writes `values`, given in the order of the axes.
void Store(const std::vector<double>& values, const TensorView& view, void* data);

/// data = alpha * result + beta * data, where data is not read if beta is 0.
void BlendInto(const TensorView& view, void* data, double alpha,
               std::vector<double> result, double beta);

}  // namespace cuda_emulation

#endif  // CUDA_EMULATION_TENSOR_VIEW_H_
