#include "tensor_view.h"

namespace cuda_emulation {
namespace {

/// Calls function(row in the order of the axes, its place in elements) for every row.
template <typename Function>
void ForRows(const TensorView& view, Function function) {
  const auto& sizes = view.sizes;
  const auto& steps = view.steps;
  std::ptrdiff_t row = 0;
  for (std::ptrdiff_t n = 0; n < sizes[0]; ++n) {
    for (std::ptrdiff_t c = 0; c < sizes[1]; ++c) {
      for (std::ptrdiff_t d = 0; d < sizes[2]; ++d) {
        for (std::ptrdiff_t h = 0; h < sizes[3]; ++h) {
          function(row++, n * steps[0] + c * steps[1] + d * steps[2] + h * steps[3]);
        }
      }
    }
  }
}

}  // namespace

std::size_t TensorView::count() const {
  std::size_t product = 1;
  for (const std::ptrdiff_t size : sizes) product *= static_cast<std::size_t>(size);
  return product;
}

std::size_t TensorView::bytes() const {
  std::ptrdiff_t last = 0;
  for (int axis = 0; axis < kAxes; ++axis) last += (sizes[axis] - 1) * steps[axis];
  return static_cast<std::size_t>(last + 1) * SizeOf(format);
}

TensorView TensorView::BroadcastTo(const TensorView& shape) const {
  TensorView repeated = *this;
  for (int axis = 0; axis < kAxes; ++axis) {
    if (sizes[axis] != 1) continue;
    repeated.sizes[axis] = shape.sizes[axis];
    repeated.steps[axis] = 0;
  }
  return repeated;
}

std::vector<double> Load(const TensorView& view, const void* data) {
  std::vector<double> values(view.count());
  const std::ptrdiff_t width = view.sizes[4];
  ForRows(view, [&](std::ptrdiff_t row, std::ptrdiff_t place) {
    Load(view.format, Advance(view.format, data, place), view.steps[4], width,
         &values[row * width]);
  });
  return values;
}

void Store(const std::vector<double>& values, const TensorView& view, void* data) {
  const std::ptrdiff_t width = view.sizes[4];
  ForRows(view, [&](std::ptrdiff_t row, std::ptrdiff_t place) {
    Store(view.format, &values[row * width], width, Advance(view.format, data, place),
          view.steps[4]);
  });
}

void BlendInto(const TensorView& view, void* data, double alpha,
               std::vector<double> result, double beta) {
  if (beta == 0) {
    for (double& value : result) value *= alpha;
  } else {
    const std::vector<double> there = Load(view, data);
    for (std::size_t i = 0; i < result.size(); ++i) {
      result[i] = alpha * result[i] + beta * there[i];
    }
  }
  Store(result, view, data);
}

}  // namespace cuda_emulation
